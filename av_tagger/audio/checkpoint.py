"""Writes and reads an ear's weights: one safetensors file with its header; strict, never pickle."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.files import write_whole
from av_tagger.audio.header import AGAIN, KEY, Header, parse_header, read_metadata
from av_tagger.audio.network import MilNetwork, build_network
from av_tagger.errors import UsageError, WeightsError, sentence
from av_tagger.settings import to_table
from av_tagger.state_file import check_finite, safetensors_shapes


def save_checkpoint(path: Path, network: MilNetwork, header: Header) -> None:
    """Write the file atomically: it appears complete or not at all."""
    _check_same(header.architecture, network)
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    table = to_table(header) | {"normalisation": _normalisation(tensors)}
    write_whole(path, save(tensors, {"format": "pt", KEY: json.dumps(table, ensure_ascii=False)}))


def load_checkpoint(path: Path, labels: tuple[str, ...] | None = None) -> tuple[MilNetwork, Header]:
    """The network in evaluation mode on the CPU; `labels`: the classes it must have, in order."""
    header, normalisation = parse_header(path, read_metadata(path))
    if labels is not None and labels != header.labels:
        remedy = "give the class list that these weights were made for"
        raise WeightsError(sentence(path, _other_classes(header.labels, labels), remedy))
    with torch.device("meta"):  # allocates nothing, whatever the header asks for
        _check_shapes(path, safetensors_shapes(path), _network(path, header).state_dict())
    network, tensors = _network(path, header), load_file(path)
    check_finite(path, tensors, AGAIN)
    if _normalisation(tensors) != normalisation:
        reason = "its header and its tensors disagree on the normalisation"
        raise WeightsError(sentence(path, reason, AGAIN))
    network.load_state_dict(tensors, strict=True)
    return network.eval(), header


def _network(path: Path, header: Header) -> MilNetwork:
    try:
        return build_network(header.architecture)
    except UsageError as error:
        reason = f"describes a network that this version cannot build ({error})"
        raise WeightsError(sentence(path, reason, "update av_tagger")) from error


def _check_shapes(
    path: Path, found: dict[str, tuple[int, ...]] | None, wanted: dict[str, Tensor]
) -> None:
    if found is None:
        raise WeightsError(sentence(path, "is cut short or not a safetensors file", AGAIN))
    missing, foreign = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing or foreign:
        what = (
            f"lacks the tensor {missing[0]!r}"
            if missing
            else f"holds the foreign tensor {foreign[0]!r}"
        )
        raise WeightsError(sentence(path, what, AGAIN))
    for name, shape in found.items():
        if shape != tuple(wanted[name].shape):
            shapes = f"{shape} where its architecture has {tuple(wanted[name].shape)}"
            raise WeightsError(sentence(path, f"the tensor {name!r} is {shapes}", AGAIN))


def _check_same(architecture: EarArchitecture, network: MilNetwork) -> None:
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    described = build_network(architecture).state_dict()
    if shapes != {name: tensor.shape for name, tensor in described.items()}:
        raise WeightsError(
            f"{architecture.extractor}, {architecture.pooling}: "
            "the header describes another network than the one given"
        )


def _other_classes(found: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    if set(found) == set(wanted):
        return "knows the classes that are asked for, but in another order"
    unknown = [label for label in wanted if label not in found]
    return (
        f"does not know the class {unknown[0]!r}"
        if unknown
        else f"knows {len(found)} classes where {len(wanted)} are asked for"
    )


def _normalisation(tensors: dict[str, Tensor]) -> dict[str, list[list[float]]]:
    """For readers of the header; the tensors are what is used."""
    return {key: tensors[f"normalise.{key}"].tolist() for key in ("mean", "std")}

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
    try:
        network = build_network(header.architecture)
    except UsageError as error:
        reason = f"describes a network that this version cannot build ({error})"
        raise WeightsError(sentence(path, reason, "update av_tagger")) from error
    tensors = load_file(path)
    _check_tensors(path, tensors, network.state_dict())
    if _normalisation(tensors) != normalisation:
        reason = "its header and its tensors disagree on the normalisation"
        raise WeightsError(sentence(path, reason, AGAIN))
    network.load_state_dict(tensors, strict=True)
    return network.eval(), header


def _check_tensors(path: Path, found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    missing, foreign = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing or foreign:
        what = (
            f"lacks the tensor {missing[0]!r}"
            if missing
            else f"holds the foreign tensor {foreign[0]!r}"
        )
        raise WeightsError(sentence(path, what, AGAIN))
    for name, tensor in found.items():
        if tensor.shape != wanted[name].shape:
            shapes = f"{tuple(tensor.shape)} where its architecture has {tuple(wanted[name].shape)}"
            raise WeightsError(sentence(path, f"the tensor {name!r} is {shapes}", AGAIN))
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(
                sentence(path, f"the tensor {name!r} holds numbers that are not finite", AGAIN)
            )


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

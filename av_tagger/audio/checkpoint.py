"""The ear as one file: safetensors, with everything that explains the numbers in its header; never pickle, always strict."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from av_tagger.audio.files import write_whole
from av_tagger.audio.network import EarArchitecture, MilNetwork, build_network
from av_tagger.errors import UsageError, WeightsError, sentence
from av_tagger.settings import from_table, to_table

KEY = "av_tagger.ear"  # the entry of the safetensors metadata that makes a file ours
AGAIN = "fetch it again with `av-tag weights fetch`, or train one with `av-tag train`"


@dataclass(frozen=True)
class EarThresholds:
    """One decision threshold a class: for both witnesses together, and for each when the other is missing; empty: not tuned."""

    both: tuple[float, ...] = ()
    ear: tuple[float, ...] = ()
    eye: tuple[float, ...] = ()


@dataclass(frozen=True)
class Header:
    """What a weights file says of itself."""

    name: str
    architecture: EarArchitecture
    labels: tuple[str, ...]
    ids: tuple[str, ...] = ()
    thresholds: EarThresholds = field(default_factory=EarThresholds)
    licence: str = ""
    made: str = ""  # from which data, by which command
    notes: dict[str, Any] = field(
        default_factory=dict
    )  # figures and whatever else a card wants to say
    version: int = 1
    embedder: str = ""  # the published ear whose embeddings this network reads, by name or file; empty: it hears for itself

    def __post_init__(self) -> None:
        n = self.architecture.classes
        if len(self.labels) != n:
            raise ValueError(f"the network has {n} classes, the header names {len(self.labels)}")
        if len(set(self.labels)) != n:
            raise ValueError("the header names a class twice")
        if self.version != 1:
            raise ValueError(
                f"the header has version {self.version}, this program reads version 1; update it"
            )
        for row in (self.ids, self.thresholds.both, self.thresholds.ear, self.thresholds.eye):
            if len(row) not in (0, n):
                raise ValueError(f"a row of the header has {len(row)} entries for {n} classes")


def save_checkpoint(path: Path, network: MilNetwork, header: Header) -> None:
    """Appears whole or not at all."""
    _check_same(header.architecture, network)
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    table = to_table(header) | {"normalisation": _normalisation(tensors)}
    write_whole(path, save(tensors, {"format": "pt", KEY: json.dumps(table, ensure_ascii=False)}))


def read_header(path: Path) -> Header:
    """The header alone: quick, whatever the size of the file."""
    return _read(path, with_tensors=False)[0]


def load_checkpoint(path: Path, labels: tuple[str, ...] | None = None) -> tuple[MilNetwork, Header]:
    """The network in evaluation mode, on the CPU; `labels` are the classes that are asked for, in that order."""
    header, tensors, normalisation = _read(path, with_tensors=True)
    if labels is not None and labels != header.labels:
        raise WeightsError(
            sentence(
                path,
                _other_classes(header.labels, labels),
                "give the class list that these weights were made for",
            )
        )
    try:
        network = build_network(header.architecture)
    except UsageError as error:
        raise WeightsError(
            sentence(
                path,
                f"describes a network that this version cannot build ({error})",
                "update av_tagger",
            )
        ) from error
    _check_tensors(path, tensors, network.state_dict())
    if _normalisation(tensors) != normalisation:
        raise WeightsError(
            sentence(path, "its header and its tensors disagree on the normalisation", AGAIN)
        )
    network.load_state_dict(tensors, strict=True)
    return network.eval(), header


def _read(path: Path, *, with_tensors: bool) -> tuple[Header, dict[str, Tensor], Any]:
    if not path.is_file():
        raise WeightsError(
            sentence(
                path,
                "there is no such weights file",
                "check the path, or see `av-tag weights list`",
            )
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()} if with_tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            sentence(path, f"is cut short or not a safetensors file ({error})", AGAIN)
        ) from error
    if KEY not in metadata:
        raise WeightsError(
            sentence(
                path,
                "is a safetensors file, but not the weights of an ear",
                "give a file that `av-tag train` made",
            )
        )
    header, normalisation = _parse(path, metadata[KEY])
    return header, tensors, normalisation


def _parse(path: Path, text: str) -> tuple[Header, Any]:
    try:
        table = json.loads(text)
        normalisation = table.pop("normalisation", None)
        return from_table(Header, table, "header"), normalisation
    except (ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
        raise WeightsError(sentence(path, f"its header cannot be read ({error})", AGAIN)) from error


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
    compute = {
        name: tensor.shape for name, tensor in build_network(architecture).state_dict().items()
    }
    if shapes != compute:
        raise WeightsError(
            f"{architecture.extractor}, {architecture.pooling}: the header describes another network than the one given"
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
    """Written out for people; the tensors are what is used."""
    return {key: tensors[f"normalise.{key}"].tolist() for key in ("mean", "std")}

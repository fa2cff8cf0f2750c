"""The header of an ear's weights file: architecture, labels, thresholds, licence (no torch)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.settings import check_assumption
from av_tagger.errors import UsageError, WeightsError, sentence
from av_tagger.path_checks import is_file
from av_tagger.settings import from_table, parse_json
from av_tagger.weights_ref import no_such_file

KEY = "av_tagger.ear"  # the entry of the safetensors metadata that holds the header
VERSION = 1
HIGHEST_THRESHOLD = 1.01  # above 1: the class is never tagged
AGAIN = "fetch it again with `av-tag weights fetch`, or train one with `av-tag train`"


@dataclass(frozen=True)
class EarThresholds:
    """Decision thresholds, one per class: both branches, ear alone, eye alone; empty: not tuned."""

    both: tuple[float, ...] = ()
    ear: tuple[float, ...] = ()
    eye: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("both", "ear", "eye"):
            if not all(0.0 <= value <= HIGHEST_THRESHOLD for value in getattr(self, name)):
                raise ValueError(f"{name} must lie between 0 and {HIGHEST_THRESHOLD}")


@dataclass(frozen=True)
class Header:
    """What a weights file says about its network."""

    name: str
    architecture: EarArchitecture
    labels: tuple[str, ...]
    ids: tuple[str, ...] = ()
    thresholds: EarThresholds = field(default_factory=EarThresholds)
    licence: str = ""
    made: str = ""  # from which data, by which command
    notes: dict[str, Any] = field(default_factory=dict)  # scores, settings, anything for the card
    version: int = VERSION
    embedder: str = ""  # the ear whose embeddings are the input; empty: waveforms are
    assumption: str = "pooling"  # at inference, see `av_tagger.audio.bag_assumptions`

    def __post_init__(self) -> None:
        n = self.architecture.classes
        if len(self.labels) != n:
            raise ValueError(f"the network has {n} classes, the header names {len(self.labels)}")
        check_assumption(self.assumption)
        if len(set(self.labels)) != n:
            raise ValueError("the header names a class twice")
        if self.version != VERSION:
            raise ValueError(
                f"the header has version {self.version}, this program reads {VERSION}; update it"
            )
        for row in (self.ids, self.thresholds.both, self.thresholds.ear, self.thresholds.eye):
            if len(row) not in (0, n):
                raise ValueError(f"a row of the header has {len(row)} entries for {n} classes")


def read_header(path: Path) -> Header:
    """The header alone, without reading the tensors."""
    return parse_header(path, read_metadata(path))[0]


def read_metadata(path: Path) -> dict[str, str]:
    """The safetensors metadata of a weights file."""
    if not is_file(path):
        raise WeightsError(no_such_file(path))
    try:
        with safe_open(path, framework="np") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            sentence(path, f"is cut short or not a safetensors file ({error})", AGAIN)
        ) from error


def parse_header(path: Path, metadata: dict[str, str]) -> tuple[Header, Any]:
    """The header, and the normalisation that was recorded with it."""
    if KEY not in metadata:
        raise WeightsError(
            sentence(
                path,
                "is a safetensors file, but not the weights of an ear",
                "give a file that `av-tag train` made",
            )
        )
    try:
        table = parse_json(metadata[KEY])
        normalisation = table.pop("normalisation", None)
        return from_table(Header, table, "header"), normalisation
    except (ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
        raise WeightsError(sentence(path, f"its header cannot be read ({error})", AGAIN)) from error

"""An ensemble as a small JSON file: its members, their weights, the thresholds (no torch)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from av_tagger.errors import (
    LONGEST_REASON,
    StorageError,
    UsageError,
    WeightsError,
    in_line,
    sentence,
)
from av_tagger.path_checks import exists
from av_tagger.settings import from_table, parse_json, to_table

FILE = "ensemble.json"  # in the folder of a run, or of `av-tag vote`
VERSION = 1


@dataclass(frozen=True)
class Member:
    """A weights file or the folder of a run."""

    path: str  # relative to the file of the ensemble, or absolute
    weight: float = 1.0
    thresholds: tuple[float, ...] = ()  # for votes; empty: it votes for its most probable class


@dataclass(frozen=True)
class Ensemble:
    """`mean`: of the members' scores (ATT). `vote`: weighted share of their decisions (SMALL)."""

    mode: Literal["mean", "vote"]
    members: tuple[Member, ...]
    labels: tuple[str, ...]
    thresholds: tuple[float, ...] = ()  # of the ensemble's own scores
    name: str = "ensemble"
    version: int = VERSION

    def __post_init__(self) -> None:
        if not self.members or any(m.weight < 0 for m in self.members):
            raise ValueError("an ensemble has members, none with a negative weight")
        if sum(m.weight for m in self.members) <= 0:
            raise ValueError("the weights of an ensemble are not all zero")
        rows = (self.thresholds, *(m.thresholds for m in self.members))
        if any(len(row) not in (0, len(self.labels)) for row in rows):
            raise ValueError(f"thresholds are one per class: {len(self.labels)}")
        if self.version != VERSION:
            raise ValueError(f"version {self.version}; this program reads {VERSION}")


def write_ensemble(folder: Path, ensemble: Ensemble) -> Path:
    """The file in `folder`, which is made if need be."""
    path = folder / FILE
    part = folder / f".{FILE}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(to_table(ensemble), indent=1) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        reason = f"cannot be written ({error.strerror})"
        raise StorageError(sentence(path, reason, "choose another folder")) from error
    return path


def read_ensemble(path: Path) -> Ensemble:
    """The ensemble with paths of members that can be opened from anywhere."""
    try:
        table = parse_json(path.read_text(encoding="utf-8"))
        found = from_table(Ensemble, table, str(path))
    except (OSError, ValueError, UsageError) as error:
        reason = f"cannot be read as an ensemble ({error})"
        raise WeightsError(sentence(path, reason, "make it again with av-tag vote")) from error
    folder = path.parent
    members = [replace(m, path=str((folder / m.path).resolve())) for m in found.members]
    for member in members:
        if not exists(member.path):
            remedy = "put it back, or use a single weights file such as best.safetensors"
            reason = f"its member {in_line(member.path, LONGEST_REASON)} is missing"
            raise WeightsError(sentence(path, reason, remedy))
    return replace(found, members=tuple(members))

"""Acoustic scenes (TAU Urban Acoustic Scenes): meta files, and accuracy by recording device."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip
from av_tagger.errors import TableError, UsageError
from av_tagger.labels import ClassList
from av_tagger.learning.data.examples import Example

COLUMNS = "tab-separated columns, the first two filename and scene_label"


@dataclass(frozen=True)
class MetaRow:
    """A line of a meta file."""

    name: str  # such as audio/airport-lisbon-1000-40000-s1.wav
    scene: str
    line: int


def device_of(name: str) -> str:
    """The device in a file name: a (binaural), b and c (phones), s1 to s6 (simulated)."""
    return Path(name).stem.rpartition("-")[2]


def is_meta(source: Path) -> bool:
    """True for meta.csv and for the fold lists, which are known by their header."""
    if not source.is_file():
        return False
    with source.open(encoding="utf-8-sig", errors="replace") as lines:
        return lines.readline().rstrip("\n").split("\t")[:2] == ["filename", "scene_label"]


def read_meta(source: Path) -> list[MetaRow]:
    """The rows of a meta file or fold list, 2019 and 2020 mobile; further columns are ignored."""
    with source.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, delimiter="\t")
        next(reader, None)
        rows = [_row(source, line, cells) for line, cells in enumerate(reader, 2) if cells]
    if not rows:
        raise UsageError(
            f"{source}: lists no clip; give meta.csv, fold1_train.csv or fold1_evaluate.csv"
        )
    return rows


def root_of(source: Path) -> Path:
    """The folder of the data set, with meta.csv and the folders audio and evaluation_setup."""
    return source.parent if (source.parent / "audio").is_dir() else source.parent.parent


def read_scenes(source: Path, classes: ClassList, media: Path) -> Iterator[Example]:
    """One example per row; `media` is the folder of the data set, or its folder audio."""
    for row in read_meta(source):
        if not classes.knows(row.scene):
            raise TableError(
                source,
                row.line,
                f"has the scene {row.scene!r}, which is not in the class list",
                ", ".join(classes.labels),
            )
        path, beside = media / row.name, media / Path(row.name).name
        clip = Clip(beside if beside.is_file() and not path.is_file() else path)
        yield Example(clip, (classes.find(row.scene).label,))


@dataclass(frozen=True)
class Accuracy:
    """How many clips have their scene as the highest score."""

    right: int
    clips: int

    @property
    def share(self) -> float:
        return self.right / self.clips if self.clips else float("nan")


def by_device(
    scores: NDArray[np.float32], targets: NDArray[np.float32], devices: Sequence[str]
) -> dict[str, Accuracy]:
    """Accuracy per device in alphabetical order, then over all clips (`all`)."""
    if not len(scores) == len(targets) == len(devices):
        raise ValueError(f"one device per clip: {len(scores) = }, {len(devices) = }")
    right = scores.argmax(axis=1) == targets.argmax(axis=1)
    names = np.array(devices)
    table = {
        device: Accuracy(int(right[names == device].sum()), int((names == device).sum()))
        for device in sorted(set(devices))
    }
    return {**table, "all": Accuracy(int(right.sum()), len(right))}


def _row(source: Path, line: int, cells: Sequence[str]) -> MetaRow:
    if len(cells) < 2 or not cells[0].strip() or not cells[1].strip():
        raise TableError(source, line, "has no scene", COLUMNS)
    return MetaRow(cells[0].strip(), cells[1].strip(), line)

"""Acoustic scenes: the meta files of TAU Urban Acoustic Scenes, accuracy of one label a clip, and the same by recording device."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip
from av_tagger.errors import TableError, UsageError
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.data.manifests import Example

COLUMNS = "tab-separated columns, the first two filename and scene_label"
SCENES = ClassList(
    tuple(
        SoundClass(name)
        for name in (
            "airport",
            "bus",
            "metro",
            "metro_station",
            "park",
            "public_square",
            "shopping_mall",
            "street_pedestrian",
            "street_traffic",
            "tram",
        )
    )
)


@dataclass(frozen=True)
class MetaRow:
    """A line of a meta file."""

    name: str  # such as audio/airport-lisbon-1000-40000-s1.wav
    scene: str
    line: int


def device_of(name: str) -> str:
    """The recording device, which ends a file's name: a is the good one, b, c and s1 ... s6 are phones and made-up phones."""
    return Path(name).stem.rpartition("-")[2]


def is_meta(source: Path) -> bool:
    """Whether a file is meta.csv or one of the folds: its header says so."""
    if not source.is_file():
        return False
    with source.open(encoding="utf-8-sig", errors="replace") as lines:
        return lines.readline().split("\t")[:2] in (
            ["filename", "scene_label"],
            ["filename", "scene_label\n"],
        )


def read_meta(source: Path) -> list[MetaRow]:
    """Meta files and folds of 2019 and 2020 mobile: what stands behind the first two columns (identifier, source_label) is not needed."""
    with source.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, delimiter="\t")
        next(reader, None)
        rows = [_row(source, line, cells) for line, cells in enumerate(reader, 2) if cells]
    if not rows:
        raise UsageError(
            f"{source}: names no clip; give meta.csv, fold1_train.csv or fold1_evaluate.csv"
        )
    return rows


def root_of(source: Path) -> Path:
    """The data set's folder, which holds meta.csv and the folders audio and evaluation_setup."""
    return source.parent if (source.parent / "audio").is_dir() else source.parent.parent


def read_scenes(source: Path, classes: ClassList, media: Path) -> Iterator[Example]:
    """Clips of a meta file; their names begin with the folder audio, which may also be what `media` names."""
    for row in read_meta(source):
        if not classes.knows(row.scene):
            raise TableError(
                source,
                row.line,
                f"names the scene {row.scene!r}, which is not among the classes",
                ", ".join(classes.labels),
            )
        path = media / row.name
        beside = media / Path(row.name).name
        yield Example(
            Clip(beside if beside.is_file() and not path.is_file() else path),
            (classes.find(row.scene).label,),
        )


@dataclass(frozen=True)
class Accuracy:
    """Clips whose likeliest scene is the right one."""

    right: int
    clips: int

    @property
    def share(self) -> float:
        return self.right / self.clips if self.clips else float("nan")


def by_device(
    scores: NDArray[np.float32], targets: NDArray[np.float32], devices: Sequence[str]
) -> dict[str, Accuracy]:
    """Accuracy of every device, in the order of their names, then of all clips."""
    if not len(scores) == len(targets) == len(devices):
        raise ValueError(f"a device a clip: {len(scores) = }, {len(targets) = }, {len(devices) = }")
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

"""Sound manifests: recordings with labels of the 17 classes, some of them uncertain.

Columns: file, labels, ambiguous (both separated by |), recording, and optionally licence.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip
from av_tagger.errors import MediaError, TableError
from av_tagger.labels import dcase2017
from av_tagger.media import open_media
from av_tagger.protocols import DecodeRequest

LABELS = dcase2017().labels
SIRENS = tuple(x for x in LABELS if "iren" in x)
ROAD = ("Car", "Car passing by", "Bus", "Truck", "Motorcycle")
HORNS = ("Train horn", "Air horn, truck horn")
# Classes that an ambiguous label may stand for: their targets are unknown.
COULD_BE: dict[str, tuple[str, ...]] = {
    "ENGINE_ANY": (*ROAD, "Train"),
    "ALERT_ANY": (*SIRENS, *HORNS, *ROAD, "Car alarm", "Reversing beeps"),
    "SIREN_ANY": (*SIRENS, *ROAD),
    "HORN_ANY": (*HORNS, *ROAD, "Car alarm"),
    "RAIL_WHISTLE": (*HORNS, "Train"),
    "RAIL_CROSSING": (*HORNS, "Train"),
    "RAIL_TRAM": ("Train",),
    "STREET": LABELS,
    "DUBIOUS": LABELS,
}
# Sounds of a vehicle that may or may not be audible itself:
WITH_VEHICLE = (*SIRENS, "Air horn, truck horn", "Car alarm", "Reversing beeps")

Samples = NDArray[np.float32]
ClassTargets = NDArray[np.float32]  # (classes,): 1 present, 0 absent, NaN unknown


@dataclass(frozen=True)
class SoundRow:
    """One recording of a manifest."""

    name: str  # as in the manifest
    path: Path
    labels: tuple[str, ...]
    ambiguous: tuple[str, ...] = ()
    recording: str = ""  # rows of one recording stay on one side of a split
    licence: str = ""

    @property
    def targets(self) -> ClassTargets:
        return targets_of_labels(self.labels, self.ambiguous)


def read_sounds(manifest: Path) -> list[SoundRow]:
    """The rows of a manifest in their order."""
    rows = []
    with manifest.open(newline="", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            labels, ambiguous = (_split(row[key]) for key in ("labels", "ambiguous"))
            unknown = sorted({*labels} - {*LABELS} | {*ambiguous} - {*COULD_BE})
            if unknown:
                reason = f"has the unknown label {unknown[0]!r}"
                raise TableError(manifest, line, reason, ", ".join((*LABELS, *COULD_BE)))
            path, licence = manifest.parent / row["file"], row.get("licence") or ""
            source = row.get("recording") or row["file"]
            rows.append(SoundRow(row["file"], path, labels, ambiguous, source, licence))
    return rows


def targets_of_labels(labels: tuple[str, ...], ambiguous: tuple[str, ...] = ()) -> ClassTargets:
    """1 for labels, NaN for classes that may be present, 0 for the others."""
    unknown = {c for x in ambiguous for c in COULD_BE[x]}
    if set(labels) & set(WITH_VEHICLE):
        unknown |= set(ROAD)
    if "Train horn" in labels:
        unknown.add("Train")
    if "Car" in labels:
        unknown.add("Car passing by")
    if "Car passing by" in labels:
        unknown.add("Car")
    targets = np.zeros(len(LABELS), np.float32)
    targets[[c in unknown for c in LABELS]] = np.nan
    targets[[c in labels for c in LABELS]] = 1.0
    return targets


def read_waveform(path: Path, rate: int, seconds: float | None = None) -> Samples:
    """The sound of a file at `rate`, at most `seconds` of it."""
    request = DecodeRequest(
        audio_rate=rate, short_side=None, window_seconds=60.0, overlap_seconds=0.0
    )
    windows = open_media(Clip(path, 0.0, seconds), request)
    pieces = [w.waveform.samples for w in windows if w.waveform is not None]
    if not pieces:
        raise MediaError(path, "has no sound")
    samples = np.concatenate(pieces)
    return samples if seconds is None else samples[: round(seconds * rate)]


def _split(cell: str | None) -> tuple[str, ...]:
    return tuple(x for x in (cell or "").split("|") if x)

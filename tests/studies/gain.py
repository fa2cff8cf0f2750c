"""Manifests and pictures for tests of the fusion-gain study."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from av_tagger.studies.av_gain_clips import SHOWS, GainSettings

SETTINGS = GainSettings(clips=200, deals=3, frames=6)
NEEDED = sorted({name for names in SHOWS.values() for name in names})
OTHERS = [f"thing{i}" for i in range(20)]
LONE = {"ambulance", "fire_engine", "police_van"}  # a class's only picture


def make_manifest(folder: Path, rows: Sequence[tuple[str, str, str]]) -> Path:
    """Rows of labels, ambiguous labels and the recording."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dev.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "labels", "ambiguous", "recording"])
        table.writerows([f"dev/{i:03}.ogg", *row] for i, row in enumerate(rows))
    return path

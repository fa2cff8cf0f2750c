"""Sounds for the day-one ear: labelled real clips in the program's windows, synthetic scenes."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_tagger.clip import Clip
from av_tagger.media import open_media
from av_tagger.protocols import DecodeRequest
from av_tagger.studies.sound_manifest import LABELS, ClassTargets, targets_of_labels
from av_tagger.studies.starter_examples import (
    KINDS,
    RATE,
    Library,
    Recording,
    pair_example,
    real_example,
)
from av_tagger.synth.dsp import RandomDraw, Sound

FOLDS = 5
NONE_OF_THESE = ("Car passing by", "Bus", "Truck")  # unclear in a video labelled Car: mixed traffic


@dataclass(frozen=True)
class LabelledClip:
    """A file of a manifest; its sound is decoded only when it is needed."""

    path: Path
    targets: ClassTargets
    group: str  # recordings of one group never stand on both sides of a split
    source_label: str = ""  # what the source calls it: for classes outside the 17

    @property
    def fold(self) -> int:
        return fold_of(self.group)

    def windows(self) -> Iterator[Sound]:
        """Its sound at RATE in the windows in which the program would hear it."""
        request = DecodeRequest(audio_rate=RATE, short_side=None)
        for media in open_media(Clip(self.path), request):
            if media.waveform is not None and len(media.waveform.samples):
                yield media.waveform.samples


@dataclass(frozen=True)
class SoundExample:
    """A synthetic scene, or real recordings altered or mixed; at RATE, 10 s or shorter."""

    samples: Sound
    targets: ClassTargets
    fold: int
    altered: bool  # made of real recordings only


def fold_of(group: str) -> int:
    return zlib.crc32(f"fold{group}".encode()) % FOLDS


def read_sounds(manifest: Path) -> list[LabelledClip]:
    """A manifest of sounds: columns file, labels, ambiguous, recording, source_label."""
    return [
        LabelledClip(
            manifest.parent / row["file"],
            targets_of_labels(_split(row["labels"]), _split(row["ambiguous"])),
            row["recording"],
            row.get("source_label", ""),
        )
        for row in _rows(manifest)
    ]


def read_videos(manifest: Path) -> list[LabelledClip]:
    """A manifest of videos: columns file, labels, source, note (`ambiguous=A|B; ...`)."""
    clips = []
    for row in _rows(manifest):
        found = re.search(r"ambiguous=([A-Z_|]+)", row.get("note", ""))
        labels = _split(row["labels"])
        targets = targets_of_labels(labels, _split(found[1]) if found else ())
        if "Car" in labels:
            targets = _without(targets, NONE_OF_THESE)
        clips.append(LabelledClip(manifest.parent / row["file"], targets, row["source"]))
    return clips


def examples(
    recordings: Sequence[Recording], first_seed: int, count: int
) -> Iterator[SoundExample]:
    """Seeded examples; each uses recordings of one fold only, so that folds stay apart."""
    folds = [[r for r in recordings if fold_of(r.group) == f] for f in range(FOLDS)]
    libraries = [Library(part) for part in folds]
    for seed in range(first_seed, first_seed + count):
        d = RandomDraw(np.random.default_rng(seed))
        fold = seed % FOLDS
        kind = KINDS[d.count(0, len(KINDS) - 1)]
        samples, targets = kind(d, libraries[fold], int(_seconds(d) * RATE))
        yield SoundExample(samples, targets, fold, kind in (real_example, pair_example))


def _seconds(d: RandomDraw) -> float:
    if d.chance(0.35):
        return 5.0
    return 10.0 if d.chance(0.4) else d.log(0.8, 10.0)


def _without(targets: ClassTargets, labels: Sequence[str]) -> ClassTargets:
    named = np.array([label in labels for label in LABELS])
    return np.where(named & (targets == 0), np.nan, targets).astype(np.float32)


def _rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _split(text: str) -> tuple[str, ...]:
    return tuple(x for x in text.split("|") if x)

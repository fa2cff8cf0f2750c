"""Scenes of real recordings at known times: one sound, a sound that repeats, or at the start."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Waveform
from av_tagger.dcase import SoundEvent
from av_tagger.studies.sound_manifest import read_waveform

RATE = 20_000
HOP = RATE // 40  # samples of a step in the search for sounding parts
QUIET_DB = -30.0  # below the loudest step, a recording counts as silent
PAUSE, SHORTEST, RAMP = 0.4, 0.3, 0.01  # seconds
SNR_DB = (6.0, 24.0)

Samples = NDArray[np.float32]

# What the sources call a sound, and the AudioSet class; by the 17 classes, then by source label.
CLASSES: Mapping[str, str] = {
    "Ambulance (siren)": "Siren",
    "Police car (siren)": "Siren",
    "Fire engine, fire truck (siren)": "Siren",
    "Civil defense siren": "Siren",
    "Train": "Rail transport",
    "Train horn": "Train",
    "Air horn, truck horn": "Vehicle horn, car horn, honking",
    "Bus": "Vehicle",
    "Truck": "Vehicle",
    "Car": "Vehicle",
    "Screaming": "Screaming",
    "Motorcycle": "Motorcycle",
    "Skateboard": "Skateboard",
    "Car alarm": "Car alarm",
    "Bicycle": "Bicycle",
    "Reversing beeps": "Reversing beeps",
    "Person sneeze": "Sneeze",
    "Baby cry": "Baby cry, infant cry",
    "Helicopter": "Helicopter",
    "Rooster": "Crowing, cock-a-doodle-doo",
    "Dog bark": "Dog",
    "Chainsaw": "Chainsaw",
    "Rain": "Rain",
    "Clock tick": "Clock",
    "Sea waves": "Ocean",
    "Fire crackling": "Fire",
    "clean speech": "Speech",
}
BACKGROUNDS = frozenset({"engine", "engine|non_machinery_impact", "non_machinery_impact"})


@dataclass(frozen=True)
class TimedScene:
    """Samples at RATE, and what sounds when."""

    samples: Samples
    events: tuple[SoundEvent, ...]

    @property
    def waveform(self) -> Waveform:
        return Waveform(self.samples, RATE)


@dataclass(frozen=True)
class SoundBank:
    """Recordings by class, and street recordings to put behind them."""

    sounds: Mapping[str, Sequence[Path]]
    backgrounds: Sequence[Path]

    def of(self, labels: Sequence[str]) -> SoundBank:
        """Without the classes that are not among the labels."""
        known = {label: paths for label, paths in self.sounds.items() if label in labels}
        return replace(self, sounds=known)

    def part(self, draw: np.random.Generator, label: str, longest: float) -> Samples | None:
        """A sounding part of a random recording, faded at both ends; None if all are too short."""
        for _ in range(20):
            x = recording(self.sounds[label][int(draw.integers(len(self.sounds[label])))])
            spans = sounding(x)
            if spans:
                first, end = spans[draw.integers(len(spans))]
                part = x[first : min(end, first + round(longest * RATE))].copy()
                return _faded(part * np.float32(10 ** (draw.uniform(*SNR_DB) / 20)) / _rms(part))
        return None

    def background(self, draw: np.random.Generator, seconds: float) -> Samples:
        """A street without any of the classes, repeated to this length."""
        x = recording(self.backgrounds[int(draw.integers(len(self.backgrounds)))])
        x = np.resize(x, round(seconds * RATE))
        return x / _rms(x)


def read_bank(folder: Path) -> SoundBank:
    """From dev.csv and train.csv (file, labels, source_label, source) in a folder."""
    sounds: dict[str, list[Path]] = {}
    backgrounds = []
    for name in ("dev.csv", "train.csv"):
        with (folder / name).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                label = CLASSES.get(row["source_label"]) or CLASSES.get(row["labels"])
                if label is not None and not row["ambiguous"]:
                    sounds.setdefault(label, []).append(folder / row["file"])
                elif row["source_label"] in BACKGROUNDS:
                    backgrounds.append(folder / row["file"])
    return SoundBank({label: sounds[label] for label in sorted(sounds)}, backgrounds)


@cache
def recording(path: Path) -> Samples:
    """Mono at RATE."""
    return read_waveform(path, RATE)


def sounding(x: Samples) -> list[tuple[int, int]]:
    """Spans of samples that are loud enough and long enough; short pauses are part of them."""
    steps = x[: len(x) // HOP * HOP].reshape(-1, HOP)
    level = np.sqrt(np.square(steps).mean(axis=1))
    loud = np.flatnonzero(level > level.max(initial=0.0) * 10 ** (QUIET_DB / 20))
    if not len(loud):
        return []
    gaps = np.flatnonzero(np.diff(loud) * HOP > PAUSE * RATE)
    firsts, lasts = loud[[0, *(gaps + 1)]], loud[[*gaps, -1]]
    spans = [(int(a) * HOP, int(b + 1) * HOP) for a, b in zip(firsts, lasts, strict=True)]
    return [(a, b) for a, b in spans if b - a >= SHORTEST * RATE]


def single(bank: SoundBank, seed: int) -> TimedScene:
    """10 s with one sound, or two of different classes."""
    draw = np.random.default_rng([7, seed])
    labels = draw.permutation(list(bank.sounds))[: int(draw.choice([1, 1, 2]))]
    placed = []
    for label in map(str, labels):
        part = bank.part(draw, label, float(draw.uniform(1, 6)))
        if part is not None:
            placed.append((label, draw.uniform(0, 10 - len(part) / RATE), part))
    return _mixed(bank.background(draw, 10.0), placed)


def repeated(bank: SoundBank, seed: int) -> TimedScene:
    """10 s with two to four sounds of one class, with pauses of 0.25 to 3 s."""
    draw = np.random.default_rng([9, seed])
    label, at, placed = str(draw.choice(list(bank.sounds))), float(draw.uniform(0.2, 2)), []
    for _ in range(int(draw.integers(2, 5))):
        part = bank.part(draw, label, float(draw.uniform(0.4, 2.5)))
        if part is None or at + len(part) / RATE > 9.8:
            break
        placed.append((label, at, part))
        at += len(part) / RATE + float(np.exp(draw.uniform(np.log(0.25), np.log(3.0))))
    return _mixed(bank.background(draw, 10.0), placed)


def starting(bank: SoundBank, seed: int) -> TimedScene:
    """5 s with a sound from the very start, or one that begins in the first second."""
    draw = np.random.default_rng([11, seed])
    label = str(draw.choice(list(bank.sounds)))
    part = bank.part(draw, label, float(draw.uniform(1, 4)))
    if part is None:
        return _mixed(bank.background(draw, 5.0), [])
    if seed % 2:
        return _mixed(bank.background(draw, 5.0), [(label, 0.0, part[min(6000, len(part) // 3) :])])
    return _mixed(bank.background(draw, 5.0), [(label, float(draw.uniform(0.1, 0.9)), part)])


SCENES = {"one sound": single, "repeated": repeated, "at the start": starting}


def _mixed(bed: Samples, placed: Sequence[tuple[str, float, Samples]]) -> TimedScene:
    x, events = bed.copy(), []
    for label, at, part in placed:
        first = round(at * RATE)
        end = min(len(x), first + len(part))
        x[first:end] += part[: end - first]
        events.append(SoundEvent(label, first / RATE, end / RATE))
    x *= 0.5 / np.abs(x).max()
    return TimedScene(x.astype(np.float32), tuple(events))


def _rms(x: Samples) -> np.float32:
    return np.float32(max(float(np.sqrt(np.square(x).mean())), 1e-6))


def _faded(x: Samples) -> Samples:
    ramp = np.linspace(0, 1, round(RAMP * RATE), dtype=np.float32)
    x[: len(ramp)] *= ramp
    x[-len(ramp) :] *= ramp[::-1]
    return x

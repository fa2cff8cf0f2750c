"""The starter ear's examples: synthetic scenes, licence-clear recordings, and mixtures of both, each heard by a teacher and stored."""

from __future__ import annotations

import csv
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from av_tagger.labels import dcase2017
from av_tagger.synth import SceneSettings, empty_scene, scene
from av_tagger.synth.dsp import RandomDraw, SampleSpan, Sound, eq, fade, unit
from av_tagger.synth.rooms import heard, through_recorder

RATE = 32_000  # at which examples are made: the teacher's
EAR_RATE = 20_000  # at which they are stored
SECONDS = 5.0
LABELS = dcase2017().labels
UNCLEAR_LICENCES = ("unclear", "measurement")

SIRENS = tuple(x for x in LABELS if "iren" in x)
ROAD = ("Car", "Car passing by", "Bus", "Truck", "Motorcycle")
HORNS = ("Train horn", "Air horn, truck horn")
# Which classes an indefinite label of the manifest could mean: these are then unknown, neither yes nor no.
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
# A truck's siren, horn or beeps come with a vehicle that may or may not be heard.
WITH_VEHICLE = (*SIRENS, "Air horn, truck horn", "Car alarm", "Reversing beeps")

Targets = NDArray[np.float32]  # (classes,): 1 yes, 0 no, NaN unknown


@dataclass(frozen=True)
class Recording:
    samples: Sound  # at RATE
    targets: Targets
    name: str
    group: str  # recordings of one group never stand on both sides of a split

    @property
    def held_out(self) -> bool:
        """One group in seven is kept from training, for thresholds."""
        return zlib.crc32(self.group.encode()) % 7 == 0


def targets_of(labels: tuple[str, ...], indefinite: tuple[str, ...] = ()) -> Targets:
    """Yes for what is named, unknown for what could be meant, no for the rest."""
    y = np.zeros(len(LABELS), np.float32)
    unknown = {c for x in indefinite for c in COULD_BE[x]}
    if set(labels) & set(WITH_VEHICLE):
        unknown |= set(ROAD)
    if "Train horn" in labels:
        unknown.add("Train")
    if "Car" in labels:
        unknown.add("Car passing by")
    if "Car passing by" in labels:
        unknown.add("Car")
    y[[i for i, c in enumerate(LABELS) if c in unknown]] = np.nan
    y[[i for i, c in enumerate(LABELS) if c in labels]] = 1.0
    return y


def read_recordings(manifest: Path) -> list[Recording]:
    """The clips of a manifest (columns file, labels, ambiguous, licence) whose licence is clear."""
    import soundfile  # type: ignore[import-untyped]

    out = []
    with manifest.open(newline="", encoding="utf-8") as f:
        for row in csv.DictReader(f):
            if any(word in row["licence"] for word in UNCLEAR_LICENCES):
                continue
            samples, rate = soundfile.read(manifest.parent / row["file"], dtype="float32")
            mono = samples if samples.ndim == 1 else samples.mean(1)
            mono = mono if rate == RATE else resample_poly(mono, RATE, rate).astype(np.float32)
            labels, vague = (
                tuple(x for x in row[k].split("|") if x) for k in ("labels", "ambiguous")
            )
            out.append(Recording(mono, targets_of(labels, vague), row["file"], row["recording"]))
    return out


class Library:
    """Recordings to draw from: those with a class in them as often as street scenes and as all others together."""

    def __init__(self, recordings: list[Recording]) -> None:
        self.positive = [r for r in recordings if np.nansum(r.targets) > 0]
        self.vague = [
            r for r in recordings if np.nansum(r.targets) == 0 and np.isnan(r.targets).any()
        ]
        self.none = [
            r for r in recordings if not np.isnan(r.targets).any() and r.targets.sum() == 0
        ]

    def draw(self, d: RandomDraw, positive: float = 0.4, vague: float = 0.3) -> Recording:
        u = d.rng.random()
        group = self.positive if u < positive else self.vague if u < positive + vague else self.none
        group = group or self.none or self.vague or self.positive
        return group[d.count(0, len(group) - 1)]


def crop(d: RandomDraw, x: Sound, n: int) -> Sound:
    """A stretch of n samples; what is shorter lies somewhere in silence."""
    if len(x) > n:
        start = d.count(0, len(x) - n)
        return fade(x[start : start + n], RATE, 0.005, 0.005)
    out = np.zeros(n, np.float32)
    at = d.count(0, n - len(x)) if d.chance(0.5) else 0
    out[at : at + len(x)] = x
    return out


def altered(d: RandomDraw, x: Sound, n: int) -> Sound:
    """Played faster or slower, elsewhere, through something else: the same source, another recording."""
    if d.chance(0.6):
        speed = d.log(0.75, 1.35)
        x = (
            x[: int(n * speed * 1.6) + 1]
            if len(x) < n
            else crop(d, x, min(len(x), int(n * speed) + 1))
        )
        x = np.interp(np.arange(0, len(x) - 1, speed), np.arange(len(x)), x).astype(np.float32)
    x = crop(d, x, n)
    if d.chance(0.4):
        x = eq(
            x,
            RATE,
            (100, d.between(-8, 8)),
            (600, d.between(-4, 4)),
            (2500, d.between(-6, 6)),
            (9000, d.between(-12, 8)),
        )
    if d.chance(0.25):
        x = heard(d, x, SampleSpan(RATE, n / RATE))
    return through_recorder(d, x, RATE) if d.chance(0.2) else x


def leveled(d: RandomDraw, x: Sound) -> Sound:
    peak = max(float(np.abs(x).max()), 1e-5)
    return np.asarray(x * np.float32(10 ** (d.between(-24, -0.5) / 20) / peak), np.float32)


def both(a: Targets, b: Targets) -> Targets:
    """Of a mixture: yes if either says yes, unknown if either might, else no."""
    yes = (a == 1) | (b == 1)
    return np.where(yes, 1.0, a + b).astype(np.float32)


def real_example(d: RandomDraw, library: Library, n: int) -> tuple[Sound, Targets]:
    r = library.draw(d)
    return leveled(d, altered(d, r.samples, n)), r.targets


def pair_example(d: RandomDraw, library: Library, n: int) -> tuple[Sound, Targets]:
    a, b = library.draw(d), library.draw(d, 0.15, 0.35)
    x = unit(altered(d, a.samples, n)) + unit(altered(d, b.samples, n)) * np.float32(
        10 ** (-d.between(-3, 20) / 20)
    )
    return leveled(d, x), both(a.targets, b.targets)


def scene_example(d: RandomDraw, _library: Library, n: int) -> tuple[Sound, Targets]:
    s = scene(int(d.rng.integers(2**62)), n / RATE, RATE, settings=SceneSettings(bed=0.6))
    return s.samples, targets_of(s.labels)


def alone_example(d: RandomDraw, _library: Library, n: int) -> tuple[Sound, Targets]:
    """As in a library of effects: one class, no background."""
    settings = SceneSettings(counts=(1,), bed=0.15, distractor=0.05, snr_db=(15, 40))
    s = scene(int(d.rng.integers(2**62)), n / RATE, RATE, settings=settings)
    return s.samples, targets_of(s.labels)


def over_example(d: RandomDraw, library: Library, n: int) -> tuple[Sound, Targets]:
    """Synthetic events in a real place."""
    s = scene(
        int(d.rng.integers(2**62)), n / RATE, RATE, settings=SceneSettings(bed=0.0, distractor=0.1)
    )
    r = library.draw(d, 0.0, 0.4)
    x = unit(s.samples) + unit(crop(d, r.samples, n)) * np.float32(10 ** (-d.between(-3, 25) / 20))
    return leveled(d, x), both(targets_of(s.labels), r.targets)


def empty_example(d: RandomDraw, _library: Library, n: int) -> tuple[Sound, Targets]:
    return empty_scene(int(d.rng.integers(2**62)), n / RATE, RATE).samples, targets_of(())


def example(seed: int, library: Library) -> tuple[Sound, Targets]:
    """One of the stored examples: at RATE, SECONDS long or shorter."""
    d = RandomDraw(np.random.default_rng(seed))
    seconds = SECONDS if d.chance(0.65) else d.log(0.8, SECONDS)
    return d.pick(*KINDS)(d, library, int(seconds * RATE))


def to_ear(x: Sound) -> NDArray[np.int16]:
    """At the ear's rate, 16 bits."""
    y = resample_poly(x, EAR_RATE // 4000, RATE // 4000).astype(np.float32)
    return np.asarray(np.round(np.clip(y, -1, 1) * 32767), np.int16)


KINDS = (
    scene_example,
    scene_example,
    alone_example,
    alone_example,
    over_example,
    over_example,
    real_example,
    real_example,
    pair_example,
    empty_example,
)

"""Training examples of the starter ear: synthetic scenes, recordings, and mixtures of both."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from av_tagger.studies.sound_manifest import (
    ClassTargets,
    SoundRow,
    read_waveform,
    targets_of_labels,
)
from av_tagger.synth import SceneSettings, empty_scene, scene
from av_tagger.synth.dsp import RandomDraw, SampleSpan, Sound, eq, fade, unit
from av_tagger.synth.rooms import heard, through_recorder

RATE = 32_000  # of all examples: the teacher's rate
SECONDS = 5.0
UNCLEAR_LICENCES = ("unclear", "measurement")


@dataclass(frozen=True)
class Recording:
    samples: Sound  # at RATE
    targets: ClassTargets
    name: str
    group: str  # recordings of one group stay on one side of a split

    @property
    def held_out(self) -> bool:
        """One group in seven is kept for validation."""
        return zlib.crc32(self.group.encode()) % 7 == 0


def read_recordings(rows: list[SoundRow]) -> list[Recording]:
    """The recordings with a clear licence."""
    clear = [r for r in rows if not any(word in r.licence for word in UNCLEAR_LICENCES)]
    return [Recording(read_waveform(r.path, RATE), r.targets, r.name, r.recording) for r in clear]


class Library:
    """Recordings in three groups: with a class, with uncertain classes, without any class."""

    def __init__(self, recordings: list[Recording]) -> None:
        uncertain = [r for r in recordings if np.isnan(r.targets).any()]
        self.positive = [r for r in recordings if np.nansum(r.targets) > 0]
        self.vague = [r for r in uncertain if np.nansum(r.targets) == 0]
        self.none = [r for r in recordings if r.targets.sum() == 0]  # NaN compares false

    def draw(self, d: RandomDraw, positive: float = 0.4, vague: float = 0.3) -> Recording:
        """A random recording; the probabilities of the first two groups are given."""
        u = d.rng.random()
        group = self.positive if u < positive else self.vague if u < positive + vague else self.none
        group = group or self.none or self.vague or self.positive
        return group[d.count(0, len(group) - 1)]


def crop(d: RandomDraw, x: Sound, n: int) -> Sound:
    """A random stretch of n samples; shorter sounds are padded with silence."""
    if len(x) > n:
        start = d.count(0, len(x) - n)
        return fade(x[start : start + n], RATE, 0.005, 0.005)
    out = np.zeros(n, np.float32)
    at = d.count(0, n - len(x)) if d.chance(0.5) else 0
    out[at : at + len(x)] = x
    return out


def altered(d: RandomDraw, x: Sound, n: int) -> Sound:
    """A recording with random speed, position, equaliser, room and recorder."""
    if d.chance(0.6):
        speed = d.log(0.75, 1.35)
        if len(x) < n:
            x = x[: int(n * speed * 1.6) + 1]
        else:
            x = crop(d, x, min(len(x), int(n * speed) + 1))
        x = np.interp(np.arange(0, len(x) - 1, speed), np.arange(len(x)), x).astype(np.float32)
    x = crop(d, x, n)
    if d.chance(0.4):
        gains = ((100, 8, 8), (600, 4, 4), (2500, 6, 6), (9000, 12, 8))  # Hz, -dB, +dB
        x = eq(x, RATE, *((hz, d.between(-down, up)) for hz, down, up in gains))
    if d.chance(0.25):
        x = heard(d, x, SampleSpan(RATE, n / RATE))
    return through_recorder(d, x, RATE) if d.chance(0.2) else x


def leveled(d: RandomDraw, x: Sound) -> Sound:
    """A random peak level between -24 and -0.5 dB."""
    peak = max(float(np.abs(x).max()), 1e-5)
    return np.asarray(x * np.float32(10 ** (d.between(-24, -0.5) / 20) / peak), np.float32)


def united(a: ClassTargets, b: ClassTargets) -> ClassTargets:
    """Targets of a mixture: present if in either, else unknown if unknown in either."""
    present = (a == 1) | (b == 1)
    return np.where(present, 1.0, a + b).astype(np.float32)


LabelledSound = tuple[Sound, ClassTargets]


def real_example(d: RandomDraw, library: Library, n: int) -> LabelledSound:
    """One altered recording."""
    r = library.draw(d)
    return leveled(d, altered(d, r.samples, n)), r.targets


def pair_example(d: RandomDraw, library: Library, n: int) -> LabelledSound:
    """Two altered recordings, mixed."""
    a, b = library.draw(d), library.draw(d, 0.15, 0.35)
    first, second = unit(altered(d, a.samples, n)), unit(altered(d, b.samples, n))
    x = first + second * _gain(-d.between(-3, 20))
    return leveled(d, x), united(a.targets, b.targets)


def scene_example(d: RandomDraw, _library: Library, n: int) -> LabelledSound:
    """A synthetic scene with synthetic background."""
    return _scene(d, n, SceneSettings(bed=0.6))


def alone_example(d: RandomDraw, _library: Library, n: int) -> LabelledSound:
    """One synthetic class, nearly always without background."""
    return _scene(d, n, SceneSettings(counts=(1,), bed=0.15, distractor=0.05, snr_db=(15, 40)))


def over_example(d: RandomDraw, library: Library, n: int) -> LabelledSound:
    """A synthetic scene over a real recording."""
    x, targets = _scene(d, n, SceneSettings(bed=0.0, distractor=0.1))
    r = library.draw(d, 0.0, 0.4)
    x = unit(x) + unit(crop(d, r.samples, n)) * _gain(-d.between(-3, 25))
    return leveled(d, x), united(targets, r.targets)


def empty_example(d: RandomDraw, _library: Library, n: int) -> LabelledSound:
    """A synthetic scene without any class, but with similar sounds."""
    made = empty_scene(int(d.rng.integers(2**62)), n / RATE, RATE)
    return made.samples, targets_of_labels(())


def example(seed: int, library: Library) -> LabelledSound:
    """The example of a seed: at RATE, at most SECONDS long."""
    d = RandomDraw(np.random.default_rng(seed))
    seconds = SECONDS if d.chance(0.65) else d.log(0.8, SECONDS)
    return d.pick(*KINDS)(d, library, int(seconds * RATE))


def held_out_example(seed: int, kind: int, library: Library) -> LabelledSound:
    """An example for validation: 1.5 to 10 s long."""
    d = RandomDraw(np.random.default_rng(seed))
    make = HELD_OUT_KINDS[kind % len(HELD_OUT_KINDS)]
    return make(d, library, int(RATE * d.log(1.5, 10.0)))


def _scene(d: RandomDraw, n: int, settings: SceneSettings) -> LabelledSound:
    made = scene(int(d.rng.integers(2**62)), n / RATE, RATE, settings=settings)
    return made.samples, targets_of_labels(made.labels)


def _gain(db: float) -> np.float32:
    return np.float32(10 ** (db / 20))


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
HELD_OUT_KINDS = (scene_example, alone_example, over_example, empty_example)


def pcm(x: Sound) -> NDArray[np.int16]:
    """16-bit samples."""
    return np.asarray(np.round(np.clip(x, -1, 1) * 32767), np.int16)

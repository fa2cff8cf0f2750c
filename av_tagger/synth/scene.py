"""Seeded sound scenes: one to three events over a background, with weak labels and exact times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from av_tagger.clip import Waveform
from av_tagger.errors import UsageError, did_you_mean
from av_tagger.synth.beds import BEDS
from av_tagger.synth.distractors import DISTRACTORS
from av_tagger.synth.dsp import RandomDraw, SampleSpan, Sound, fade, unit
from av_tagger.synth.rooms import heard, through_recorder
from av_tagger.synth.sources import SOURCES

AUDIBLE = 10 ** (-50 / 20)  # relative to the peak of an event; below this it counts as silent


@dataclass(frozen=True)
class SceneEvent:
    """One class that sounds from `start` to `end` (seconds of the scene)."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Scene:
    samples: Sound
    rate: int
    labels: tuple[str, ...]  # weak labels, in the order of SOURCES
    events: tuple[SceneEvent, ...]

    @property
    def waveform(self) -> Waveform:
        return Waveform(self.samples, self.rate)


@dataclass(frozen=True)
class SceneSettings:
    """Distribution of event counts, backgrounds, distractors and levels."""

    counts: tuple[int, ...] = (1, 1, 1, 2, 2, 3)  # numbers of events, all equally likely
    bed: float = 0.75  # share of scenes with a background
    snr_db: tuple[float, float] = (-3.0, 30.0)  # of the events over the background
    distractor: float = 0.25  # share of scenes with a distractor
    recorder: float = 0.4  # share of scenes with recorder distortion
    peak_db: tuple[float, float] = (-24.0, -0.5)  # of the whole scene


def render(seed: int, label: str, span: SampleSpan) -> Sound:
    """One class alone: no reverberation, no background, RMS level 0.1, onset at 0 s."""
    return class_sound(RandomDraw(np.random.default_rng(seed)), label, span)


def class_sound(d: RandomDraw, label: str, span: SampleSpan) -> Sound:
    if label not in SOURCES:
        raise UsageError(
            f"there is no synthetic source for the class {label!r}; {did_you_mean(label, SOURCES)}"
        )
    return np.asarray(SOURCES[label](d, span)[: span.n], np.float32)


def audible_span(x: Sound, rate: int) -> tuple[float, float]:
    """Start and end (s) of the part within 50 dB of the peak, in steps of 5 ms."""
    hop = max(1, rate // 200)
    frames = np.abs(x[: len(x) // hop * hop]).reshape(-1, hop).max(1)
    loud = np.flatnonzero(frames > AUDIBLE * max(float(frames.max(initial=0.0)), 1e-9))
    return (
        (0.0, len(x) / rate)
        if len(loud) == 0
        else (float(loud[0]) * hop / rate, float(loud[-1] + 1) * hop / rate)
    )


def place_event(
    d: RandomDraw, label: str, span: SampleSpan, alone: bool
) -> tuple[Sound, SceneEvent]:
    """Place one event at a random time: over the whole scene or shorter."""
    length = (
        span.seconds
        if d.chance(0.45 if alone else 0.3)
        else d.log(min(1.0, span.seconds), span.seconds)
    )
    part = SampleSpan(span.rate, length)
    x = fade(heard(d, class_sound(d, label, part), part), span.rate, 0.004, 0.02)
    start = d.between(0, max(0.0, span.seconds - len(x) / span.rate))
    offset = int(start * span.rate)
    first, last = audible_span(x, span.rate)
    out = np.zeros(span.n, np.float32)
    end = min(span.n, offset + len(x))
    out[offset:end] = x[: end - offset]
    return out, SceneEvent(
        label, offset / span.rate + first, min(span.seconds, offset / span.rate + last)
    )


def random_bed(d: RandomDraw, span: SampleSpan) -> Sound:
    return BEDS[d.pick(*BEDS)](d, span)


def random_distractor(d: RandomDraw, span: SampleSpan) -> Sound:
    part = span.part(d.log(0.6, span.seconds))
    x = heard(d, DISTRACTORS[d.pick(*DISTRACTORS)](d, part), part)
    out = np.zeros(span.n, np.float32)
    offset = int(d.between(0, max(0.0, span.seconds - len(x) / span.rate)) * span.rate)
    out[offset : offset + len(x)] = x[: span.n - offset]
    return out


def mix(d: RandomDraw, events: Sound, span: SampleSpan, settings: SceneSettings) -> Sound:
    """Add a background and a distractor with the probabilities of `settings`."""
    x = events
    if d.chance(settings.bed):
        x = x + random_bed(d, span) * np.float32(10 ** (-d.between(*settings.snr_db) / 20))
    if d.chance(settings.distractor):
        x = x + random_distractor(d, span) * np.float32(10 ** (-d.between(0, 20) / 20))
    return x


def record(d: RandomDraw, x: Sound, span: SampleSpan, settings: SceneSettings) -> Sound:
    """Apply the recorder, a random peak level and a noise floor."""
    if d.chance(settings.recorder):
        x = through_recorder(d, x, span.rate)
    peak = max(float(np.abs(x).max()), 1e-6)
    y = x * np.float32(10 ** (d.between(*settings.peak_db) / 20) / peak)
    return np.asarray(
        y
        + d.rng.standard_normal(span.n, dtype=np.float32)
        * np.float32(10 ** (d.between(-95, -65) / 20)),
        np.float32,
    )


def scene(
    seed: int,
    seconds: float = 10.0,
    rate: int = 20_000,
    classes: Sequence[str] | None = None,
    settings: SceneSettings | None = None,
) -> Scene:
    """A scene of `classes` (default: all 17); the same arguments give the same samples."""
    settings = settings or SceneSettings()
    d, span = RandomDraw(np.random.default_rng(seed)), SampleSpan(rate, seconds)
    names = tuple(classes) if classes is not None else tuple(SOURCES)
    if not names:
        raise UsageError("a scene needs at least one class to choose from")
    count = min(settings.counts[d.count(0, len(settings.counts) - 1)], len(names))
    chosen = [names[i] for i in d.rng.permutation(len(names))[:count]]
    parts = [place_event(d, label, span, count == 1) for label in chosen]
    events = np.asarray(
        np.sum([x * np.float32(d.log(0.3, 1.0)) for x, _ in parts], axis=0, dtype=np.float32),
        np.float32,
    )
    samples = record(d, mix(d, events, span, settings), span, settings)
    placed = sorted((e for _, e in parts), key=lambda e: e.start)
    return Scene(samples, rate, tuple(n for n in SOURCES if n in chosen), tuple(placed))


def empty_scene(seed: int, seconds: float = 10.0, rate: int = 20_000) -> Scene:
    """A scene of none of the classes: a background and zero to three distractors."""
    d, span = RandomDraw(np.random.default_rng(seed)), SampleSpan(rate, seconds)
    x = random_bed(d, span) * np.float32(d.log(0.03, 1.0))
    for _ in range(d.pick(0, 1, 1, 1, 2, 3)):
        x = x + random_distractor(d, span)
    return Scene(record(d, unit(x), span, SceneSettings()), rate, (), ())

"""A sound scene: one to three events over a bed, in a room, at distances, with weak labels and true onsets; seeded."""

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

AUDIBLE = 10 ** (
    -50 / 20
)  # of an event's own peak: before and after this it is not yet, or no longer, there


@dataclass(frozen=True)
class SceneEvent:
    """One class sounding from `start` to `end`, in seconds of the scene."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Scene:
    samples: Sound
    rate: int
    labels: tuple[str, ...]  # weak: which classes sound, in the order of the sources
    events: tuple[SceneEvent, ...]

    @property
    def waveform(self) -> Waveform:
        return Waveform(self.samples, self.rate)


@dataclass(frozen=True)
class SceneSettings:
    """How busy, how noisy, how clean scenes are."""

    counts: tuple[int, ...] = (1, 1, 1, 2, 2, 3)  # how many events, drawn evenly
    bed: float = (
        0.75  # share of scenes with a background; the others are as clean as a sample library
    )
    snr_db: tuple[float, float] = (-3.0, 30.0)  # of the events over the bed
    distractor: float = 0.25  # share of scenes with something near but wrong in it
    recorder: float = 0.4
    peak_db: tuple[float, float] = (-24.0, -0.5)


def render(seed: int, label: str, span: SampleSpan) -> Sound:
    """One class alone: dry, at a root-mean-square level of 0.1, beginning at once."""
    return sound_of(RandomDraw(np.random.default_rng(seed)), label, span)


def sound_of(d: RandomDraw, label: str, span: SampleSpan) -> Sound:
    if label not in SOURCES:
        raise UsageError(
            f"nothing is known of how {label!r} sounds; {did_you_mean(label, SOURCES)}"
        )
    return np.asarray(SOURCES[label](d, span)[: span.n], np.float32)


def audible(x: Sound, rate: int) -> tuple[float, float]:
    """First and last second at which a sound is more than 50 dB below its own peak, in steps of 5 ms."""
    hop = max(1, rate // 200)
    frames = np.abs(x[: len(x) // hop * hop]).reshape(-1, hop).max(1)
    loud = np.flatnonzero(frames > AUDIBLE * max(float(frames.max(initial=0.0)), 1e-9))
    return (
        (0.0, len(x) / rate)
        if len(loud) == 0
        else (float(loud[0]) * hop / rate, float(loud[-1] + 1) * hop / rate)
    )


def laid(d: RandomDraw, label: str, span: SampleSpan, alone: bool) -> tuple[Sound, SceneEvent]:
    """One event somewhere in the scene: a whole-length one as often as a short one."""
    length = (
        span.seconds
        if d.chance(0.45 if alone else 0.3)
        else d.log(min(1.0, span.seconds), span.seconds)
    )
    part = SampleSpan(span.rate, length)
    x = fade(heard(d, sound_of(d, label, part), part), span.rate, 0.004, 0.02)
    start = d.between(0, max(0.0, span.seconds - len(x) / span.rate))
    offset = int(start * span.rate)
    first, last = audible(x, span.rate)
    out = np.zeros(span.n, np.float32)
    end = min(span.n, offset + len(x))
    out[offset:end] = x[: end - offset]
    return out, SceneEvent(
        label, offset / span.rate + first, min(span.seconds, offset / span.rate + last)
    )


def background(d: RandomDraw, span: SampleSpan) -> Sound:
    return BEDS[d.pick(*BEDS)](d, span)


def wrong(d: RandomDraw, span: SampleSpan) -> Sound:
    part = span.part(d.log(0.6, span.seconds))
    x = heard(d, DISTRACTORS[d.pick(*DISTRACTORS)](d, part), part)
    out = np.zeros(span.n, np.float32)
    offset = int(d.between(0, max(0.0, span.seconds - len(x) / span.rate)) * span.rate)
    out[offset : offset + len(x)] = x[: span.n - offset]
    return out


def mixed(d: RandomDraw, events: Sound, span: SampleSpan, settings: SceneSettings) -> Sound:
    """Events over what is always there."""
    x = events
    if d.chance(settings.bed):
        x = x + background(d, span) * np.float32(10 ** (-d.between(*settings.snr_db) / 20))
    if d.chance(settings.distractor):
        x = x + wrong(d, span) * np.float32(10 ** (-d.between(0, 20) / 20))
    return x


def finished(d: RandomDraw, x: Sound, span: SampleSpan, settings: SceneSettings) -> Sound:
    """Through a recorder, with a noise floor, at some level."""
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
    """One to three events of `classes` (default: all 17), mixed as `settings` say."""
    settings = settings or SceneSettings()
    d, span = RandomDraw(np.random.default_rng(seed)), SampleSpan(rate, seconds)
    names = tuple(classes) if classes is not None else tuple(SOURCES)
    if not names:
        raise UsageError("a scene needs at least one class to choose from")
    count = min(settings.counts[d.count(0, len(settings.counts) - 1)], len(names))
    chosen = [names[i] for i in d.rng.permutation(len(names))[:count]]
    parts = [laid(d, label, span, count == 1) for label in chosen]
    events = np.asarray(
        np.sum([x * np.float32(d.log(0.3, 1.0)) for x, _ in parts], axis=0, dtype=np.float32),
        np.float32,
    )
    samples = finished(d, mixed(d, events, span, settings), span, settings)
    spoken = sorted((e for _, e in parts), key=lambda e: e.start)
    return Scene(samples, rate, tuple(n for n in SOURCES if n in chosen), tuple(spoken))


def empty_scene(seed: int, seconds: float = 10.0, rate: int = 20_000) -> Scene:
    """A scene without any of the classes: a bed, most often with one to three sounds that are near but wrong."""
    d, span = RandomDraw(np.random.default_rng(seed)), SampleSpan(rate, seconds)
    x = background(d, span) * np.float32(d.log(0.03, 1.0))
    for _ in range(d.pick(0, 1, 1, 1, 2, 3)):
        x = x + wrong(d, span)
    return Scene(finished(d, unit(x), span, SceneSettings()), rate, (), ())

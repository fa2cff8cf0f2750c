"""Combustion engines as pulse trains: cylinders, exhaust resonances, throttle and gear changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_tagger.synth.dsp import (
    Curve,
    RandomDraw,
    SampleSpan,
    Sound,
    band_noise,
    curve,
    fade,
    noise,
    partials,
    pulse_train,
    random_drift,
    resonate,
    saturate,
    tone,
    unit,
)


@dataclass(frozen=True)
class Engine:
    """Parameters of an engine that do not depend on its speed."""

    weights: Curve  # strength of each cylinder's pulse
    sharpness: float  # decay rate of a pulse
    peaks: tuple[tuple[float, float, float], ...]  # resonances of exhaust and body
    clatter: float  # level of mechanical and combustion noise
    whine: float  # level of gears, turbo and fan
    drive: float  # soft clipping


def engine_sound(d: RandomDraw, span: SampleSpan, firing: Curve, engine: Engine) -> Sound:
    """Pulses at the `firing` frequency (Hz), modulated noise, resonances and soft clipping."""
    firing = firing * random_drift(d, span, 15, 0.012) * random_drift(d, span, 2, 0.015)
    turns = np.cumsum(firing / span.rate) + d.between(0, 4)
    p = pulse_train(turns, engine.weights, engine.sharpness)
    hot = noise(d, span, (30, -6), (200, 0), (1500, -d.between(0, 8)), (8000, -d.between(8, 26)))
    breath = hot * (np.float32(d.log(0.05, 0.6)) + p) * np.float32(10 * engine.clatter)
    x = resonate(p - p.mean() + breath, span.rate, engine.peaks, d.log(0.02, 0.3))
    x = saturate(x, engine.drive) if engine.drive > 0.05 else unit(x)
    if engine.whine > 0:
        whine = tone(firing * d.between(5.5, 17.0), span.rate, partials(d, 3, 10))
        x = x + whine * np.float32(engine.whine)
    return unit(x)


def cylinders(d: RandomDraw, n: int, unevenness: float) -> Curve:
    return np.maximum(0.1, d.rng.normal(1.0, unevenness, n))


def exhaust(
    d: RandomDraw, low: tuple[float, float], count: int, top: float
) -> tuple[tuple[float, float, float], ...]:
    """One low resonance and `count` weaker ones above it."""
    peaks = [(d.log(*low), d.log(40, 200), 1.0)]
    for _ in range(count):
        f = d.log(low[1], top)
        peaks.append((f, f * d.between(0.15, 0.8), d.log(0.03, 0.5)))
    return tuple(peaks)


def car_engine(d: RandomDraw, racing: bool = False) -> Engine:
    n = d.pick(4, 4, 6, 8)
    return Engine(
        cylinders(d, n, d.between(0.05, 0.3)),
        d.log(2, 9),
        exhaust(d, (60, 250), d.count(3, 6), 7000 if racing else 4000),
        d.log(0.1, 1.5),
        d.log(0.01, 0.15) if d.chance(0.4) else 0.0,
        d.log(0.05, 2.0) if racing or d.chance(0.3) else 0.0,
    )


def motorcycle_engine(d: RandomDraw) -> Engine:
    twin = d.chance(0.55)
    weights = (
        np.array([1.0, d.between(0.3, 0.9), 0.0, 0.0, 0.0])
        if twin and d.chance(0.5)
        else cylinders(d, d.pick(1, 2, 4), 0.35)
    )
    return Engine(
        weights,
        d.log(3, 14),
        exhaust(d, (70, 320), d.count(3, 7), 6500),
        d.log(0.3, 2.0),
        d.log(0.01, 0.06),
        d.log(0.3, 4.0),
    )


def diesel_engine(d: RandomDraw) -> Engine:
    """Short pulses, low resonances, more clatter; half of them with turbo whine."""
    return Engine(
        cylinders(d, d.pick(4, 6, 6, 8), d.between(0.1, 0.35)),
        d.log(5, 22),
        exhaust(d, (40, 140), d.count(4, 7), 5000),
        d.log(0.5, 3.0),
        d.log(0.01, 0.12) if d.chance(0.5) else 0.0,
        d.log(0.1, 1.5) if d.chance(0.5) else 0.0,
    )


def gears(
    d: RandomDraw, span: SampleSpan, low: float, high: float, shift: tuple[float, float]
) -> Curve:
    """Firing frequency while accelerating: it rises in each gear and drops at each change."""
    points, t, base = [(0.0, low)], 0.0, low
    while t < span.seconds:
        t += d.log(*shift)
        top = d.between(0.75, 1.0) * high
        points.append((t, top))
        base = top * d.between(0.55, 0.75)
        t += d.between(0.1, 0.45)
        points.append((t, base))
    return curve(span, points)


def revving(d: RandomDraw, span: SampleSpan, low: float, high: float) -> Curve:
    """Firing frequency at rest: idling, constant speed, or blips of the throttle."""
    kind = d.rng.random()
    if kind < 0.25:
        return low * curve(span, [(0, 1.0), (span.seconds, d.between(0.9, 1.15))])
    if kind < 0.45:
        return np.full(span.n, d.log(low, high))
    points = [(0.0, low if d.chance(0.6) else d.log(low, high))]
    while points[-1][0] < span.seconds:
        t = points[-1][0] + d.log(0.1, 1.5)
        peak = d.log(low * 1.3, high)
        points += [
            (t, points[-1][1]),
            (t + d.log(0.12, 1.2), peak),
            (t + d.log(1.3, 3.0), d.log(low, peak)),
        ]
    return curve(span, points)


def starter(d: RandomDraw, span: SampleSpan) -> Sound:
    """Starter motor: a tone and noise modulated by compression."""
    f = np.full(span.n, d.log(90, 260)) * (
        1 + 0.12 * np.sin(2 * np.pi * span.times() * d.between(6, 12))
    )
    x = tone(f, span.rate, partials(d, 20, d.between(1, 5), 5.0)) + band_noise(
        d, span, 600, 4000
    ) * np.float32(0.4)
    return fade(
        unit(
            x * (0.5 + 0.5 * np.sin(2 * np.pi * span.times() * d.between(6, 12))).astype(np.float32)
        ),
        span.rate,
        0.01,
        0.05,
    )


def with_starter(d: RandomDraw, span: SampleSpan, engine: Sound) -> Sound:
    """With probability 1/4 the engine is preceded by its starter motor."""
    if not d.chance(0.25) or span.seconds < 2:
        return engine
    crank = starter(d, span.part(d.between(0.5, 1.5)))
    out = engine.copy()
    out[: len(crank)] = crank
    return out

"""Propagation and recording: reverberation, air absorption over distance, recorder distortion."""

from __future__ import annotations

import numpy as np

from av_tagger.synth.dsp import RandomDraw, SampleSpan, Sound, eq, filtered, unit


def impulse(d: RandomDraw, rate: int, decay: float, wet: float) -> Sound:
    """Impulse response: direct sound, early reflections and a noise tail; `decay` is RT60 in s."""
    n = max(64, int(rate * min(decay, 1.6)))
    t = np.arange(n) / rate
    tail = d.rng.standard_normal(n, dtype=np.float32) * (10 ** (-3 * t / decay)).astype(np.float32)
    tail = eq(tail, rate, (100, 0), (1000, 0), (6000, -d.between(4, 20)))
    tail[: int(0.003 * rate)] = 0
    h = wet * tail / max(float(np.sqrt(np.sum(tail**2))), 1e-9)
    for _ in range(d.count(0, 5)):
        h[int(d.log(0.002, min(0.08, n / rate * 0.9)) * rate)] += d.between(-0.5, 0.5)
    h[0] += 1.0
    return np.asarray(h, np.float32)


def in_room(
    d: RandomDraw,
    x: Sound,
    rate: int,
    decay: tuple[float, float] = (0.15, 2.2),
    wet: tuple[float, float] = (0.1, 1.5),
) -> Sound:
    """Reverberate with a random RT60 (s) and wet level."""
    h = impulse(d, rate, d.log(*decay), d.log(*wet))
    return unit(filtered(x, lambda n: np.fft.rfft(h, n).astype(np.complex64)))


def at_distance(d: RandomDraw, x: Sound, rate: int) -> Sound:
    """Air absorption for 10 to 600 m: about 1 dB per 100 m at 2 kHz, 9 dB at 8 kHz.

    The values approximate ISO 9613-1 at 20 degrees in dry air; the level is not changed.
    """
    metres = d.log(10, 600)
    per_100m = metres / 100
    return eq(
        x,
        rate,
        (200, 0),
        (1000, -0.5 * per_100m),
        (2000, -1.0 * per_100m),
        (4000, -3.0 * per_100m),
        (8000, -min(40.0, 9.0 * per_100m)),
        (16000, -min(60.0, 22.0 * per_100m)),
    )


def through_recorder(d: RandomDraw, x: Sound, rate: int) -> Sound:
    """Cheap microphone or codec: band limits, a tilt, sometimes clipping."""
    low, high = d.log(20, 300), d.log(3500, 16000)
    y = eq(
        x,
        rate,
        (low / 2, -18),
        (low, 0),
        (d.log(500, 4000), d.between(-5, 5)),
        (high, 0),
        (high * 1.3, -d.between(10, 50)),
    )
    if d.chance(0.15):
        peak = float(np.abs(y).max()) * d.between(0.2, 0.8)
        y = np.clip(y, -peak, peak)
    return y


def heard(d: RandomDraw, x: Sound, span: SampleSpan) -> Sound:
    """One source at the microphone: with distance and reverberation about half of the time each."""
    if d.chance(0.5):
        x = at_distance(d, x, span.rate)
    if d.chance(0.55):
        x = in_room(d, x, span.rate)
    return unit(x)

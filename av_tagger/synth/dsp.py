"""Signal processing shared by all sources: random draws, oscillators, noise, pulses and filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Sound = NDArray[np.float32]
Curve = NDArray[np.float64]
T = TypeVar("T")

TABLE = 4096  # points per period of an oscillator; reading the nearest leaves noise at -65 dB


class RandomDraw:
    """All random choices of one sound, from one seeded generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(min(low, high), max(low, high)))

    def log(self, low: float, high: float) -> float:
        """Log-uniform, for frequencies, rates and durations."""
        return float(np.exp(self.between(np.log(low), np.log(high))))

    def count(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, *options: T) -> T:
        return options[int(self.rng.integers(len(options)))]

    def many(self, n: int, low: float, high: float) -> Curve:
        return self.rng.uniform(low, high, n)


@dataclass(frozen=True)
class SampleSpan:
    """Length and sample rate of a sound."""

    rate: int
    seconds: float

    @property
    def n(self) -> int:
        return max(2, round(self.rate * self.seconds))

    def times(self) -> Curve:
        return np.arange(self.n) / self.rate

    def part(self, seconds: float) -> SampleSpan:
        return SampleSpan(self.rate, min(seconds, self.seconds))


Source = Callable[[RandomDraw, SampleSpan], Sound]


def curve(span: SampleSpan, points: Sequence[tuple[float, float]]) -> Curve:
    """Piecewise linear through (second, value) points, constant beyond both ends."""
    t, v = zip(*points, strict=True)
    return np.asarray(np.interp(span.times(), t, v))


def random_drift(d: RandomDraw, span: SampleSpan, rate: float, depth: float) -> Curve:
    """Slow random factor around 1: `rate` knots per second, log standard deviation `depth`."""
    knots = max(4, int(span.seconds * rate) + 3)
    return np.exp(
        depth
        * np.interp(span.times(), np.linspace(0, span.seconds, knots), d.rng.standard_normal(knots))
    )


def partials(d: RandomDraw, n: int, slope: float, scatter: float = 3.0, even: float = 0.0) -> Curve:
    """Amplitudes of n harmonics falling `slope` dB per octave; even ones get `even` dB more."""
    k = np.arange(1, n + 1)
    db = -slope * np.log2(k) + d.rng.normal(0, scatter, n) + np.where(k % 2 == 0, even, 0.0)
    return np.asarray(10 ** (db / 20))


def tone(frequency: Curve, rate: int, amplitudes: Curve, phase: float = 0.0) -> Sound:
    """Harmonic tone along a frequency curve (Hz), without partials above the Nyquist frequency."""
    top = float(np.max(frequency))
    k = np.arange(1, len(amplitudes) + 1)
    kept = amplitudes * (k * top < 0.48 * rate)
    x = 2 * np.pi * np.arange(TABLE) / TABLE
    table = (
        (kept[:, None] * np.sin(k[:, None] * x + k[:, None] ** 2 * 0.7)).sum(0).astype(np.float32)
    )
    turns = np.cumsum(frequency / rate) + phase
    return unit(table[((turns % 1.0) * TABLE).astype(np.int64)])


def white(d: RandomDraw, span: SampleSpan) -> Sound:
    return d.rng.standard_normal(span.n, dtype=np.float32)


def spectrum_gain(n: int, rate: int, points: Sequence[tuple[float, float]]) -> NDArray[np.float32]:
    """Gains per real-FFT bin, linear in dB over log frequency between (Hz, dB) points."""
    hz, db = zip(*points, strict=True)
    f = np.log(np.maximum(np.arange(n // 2 + 1) * (rate / n), 5.0))
    return np.asarray(10 ** (np.interp(f, np.log(hz), db) / 20), np.float32)


def filtered(x: Sound, gain: Callable[[int], NDArray[np.float32]]) -> Sound:
    n = fft.next_fast_len(len(x) + 512, real=True)
    return np.asarray(fft.irfft(fft.rfft(x, n) * gain(n), n)[: len(x)], np.float32)


def eq(x: Sound, rate: int, *points: tuple[float, float]) -> Sound:
    """Filter with a gain curve through (Hz, dB) points."""
    return filtered(x, lambda n: spectrum_gain(n, rate, points))


def noise(d: RandomDraw, span: SampleSpan, *points: tuple[float, float]) -> Sound:
    """Noise with a spectrum through (Hz, dB) points, normalised by `unit`."""
    return unit(eq(white(d, span), span.rate, *points))


def band_noise(
    d: RandomDraw, span: SampleSpan, low: float, high: float, skirt: float = 40.0
) -> Sound:
    """Band-limited noise that falls `skirt` dB in the first octave outside."""
    return noise(d, span, (low / 2, -skirt), (low, 0), (high, 0), (high * 2, -skirt))


def resonate(
    x: Sound, rate: int, peaks: Sequence[tuple[float, float, float]], floor: float = 0.02
) -> Sound:
    """Sum of resonances (Hz, bandwidth in Hz, gain) and a constant gain `floor`."""

    def gain(n: int) -> NDArray[np.float32]:
        f = np.arange(n // 2 + 1) * (rate / n)
        total = np.full(len(f), floor)
        for centre, width, amount in peaks:
            total += amount / (1 + ((f - centre) / (width / 2)) ** 2)
        return total.astype(np.float32)

    return filtered(x, gain)


def unit(x: Sound) -> Sound:
    """Scale to a root-mean-square level of 0.1."""
    level = float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
    return np.asarray(x * (0.1 / max(level, 1e-9)), np.float32)


def saturate(x: Sound, amount: float) -> Sound:
    """Soft clipping by tanh; a larger `amount` distorts more."""
    return unit(np.tanh(unit(x) * (10 * amount)))


def fade(x: Sound, rate: int, attack: float, release: float) -> Sound:
    """Fade in and out (seconds), each at most half of the sound."""
    a, r = (min(max(1, int(s * rate)), len(x) // 2) for s in (attack, release))
    y = np.array(x, np.float32)
    y[:a] *= np.linspace(0, 1, a, dtype=np.float32) ** 1.5
    y[len(y) - r :] *= np.linspace(1, 0, r, dtype=np.float32) ** 1.5
    return y


def modal_hit(
    d: RandomDraw,
    rate: int,
    frequencies: Sequence[float],
    decays: Sequence[float],
    brightness: float = 0.0,
) -> Sound:
    """Impact as a sum of decaying modes (Hz, s); `brightness` adds contact noise."""
    seconds = min(2.0, 6.0 * max(decays))
    t = np.arange(max(8, int(rate * seconds))) / rate
    modes = [(f, s) for f, s in zip(frequencies, decays, strict=True) if f < 0.48 * rate]
    y = sum(
        (
            d.between(0.3, 1.0) * np.exp(-t / s) * np.sin(2 * np.pi * f * t + d.between(0, 6))
            for f, s in modes
        ),
        np.zeros(len(t)),
    )
    contact = brightness * d.rng.standard_normal(len(t)) * np.exp(-t / 0.003)
    return np.asarray(y + contact, np.float32)


def overlay(
    span: SampleSpan,
    sounds: Sequence[Sound],
    starts: Sequence[float],
    gains: Sequence[float] | None = None,
) -> Sound:
    """Add sounds at their start times (seconds); whatever exceeds the span is cut."""
    out = np.zeros(span.n, np.float32)
    for i, (x, start) in enumerate(zip(sounds, starts, strict=True)):
        a = int(start * span.rate)
        b = min(span.n, a + len(x))
        if 0 <= a < b:
            out[a:b] += x[: b - a] * np.float32(1.0 if gains is None else gains[i])
    return out


def pulse_train(turns: Curve, weights: Curve, sharpness: float) -> Sound:
    """One decaying pulse per turn of the phase, with the cylinders' `weights` in order."""
    order = turns.astype(np.int64) % len(weights)
    return np.asarray(
        weights[order] * np.exp(-sharpness * (turns % 1.0)) * (1 - np.exp(-12 * (turns % 1.0))),
        np.float32,
    )

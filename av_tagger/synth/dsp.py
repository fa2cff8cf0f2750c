"""The workbench of every synthetic sound: random draws, oscillators, noises, pulses, clicks and filters (numpy/scipy only)."""

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

TABLE = (
    4096  # points of one period of an oscillator; nearest-neighbour reading leaves noise 65 dB down
)


class RandomDraw:
    """Random choices of one sound, all from one seeded generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(min(low, high), max(low, high)))

    def log(self, low: float, high: float) -> float:
        """Evenly over octaves: the right prior for frequencies, rates and durations."""
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
    """How long a sound is, and at which rate it is made."""

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
    """A line through (second, value) points, held at both ends."""
    t, v = zip(*points, strict=True)
    return np.asarray(np.interp(span.times(), t, v))


def wander(d: RandomDraw, span: SampleSpan, rate: float, depth: float) -> Curve:
    """A slow random walk around 1: nothing that lives or burns holds its pitch."""
    knots = max(4, int(span.seconds * rate) + 3)
    return np.exp(
        depth
        * np.interp(span.times(), np.linspace(0, span.seconds, knots), d.rng.standard_normal(knots))
    )


def partials(d: RandomDraw, n: int, slope: float, scatter: float = 3.0, even: float = 0.0) -> Curve:
    """Amplitudes of n harmonics falling `slope` dB an octave; `even` dB is added to the even ones."""
    k = np.arange(1, n + 1)
    db = -slope * np.log2(k) + d.rng.normal(0, scatter, n) + np.where(k % 2 == 0, even, 0.0)
    return np.asarray(10 ** (db / 20))


def tone(frequency: Curve, rate: int, amplitudes: Curve, phase: float = 0.0) -> Sound:
    """A harmonic tone along a frequency curve, from a table without partials above the Nyquist frequency."""
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
    """Gains over the bins of a real FFT from (Hz, dB) points, straight lines over log frequency."""
    hz, db = zip(*points, strict=True)
    f = np.log(np.maximum(np.arange(n // 2 + 1) * (rate / n), 5.0))
    return np.asarray(10 ** (np.interp(f, np.log(hz), db) / 20), np.float32)


def filtered(x: Sound, gain: Callable[[int], NDArray[np.float32]]) -> Sound:
    n = fft.next_fast_len(len(x) + 512, real=True)
    return np.asarray(fft.irfft(fft.rfft(x, n) * gain(n), n)[: len(x)], np.float32)


def eq(x: Sound, rate: int, *points: tuple[float, float]) -> Sound:
    """Filter by a curve through (Hz, dB) points."""
    return filtered(x, lambda n: spectrum_gain(n, rate, points))


def noise(d: RandomDraw, span: SampleSpan, *points: tuple[float, float]) -> Sound:
    """Noise with a spectrum through (Hz, dB) points, at unit level."""
    return unit(eq(white(d, span), span.rate, *points))


def band(d: RandomDraw, span: SampleSpan, low: float, high: float, skirt: float = 40.0) -> Sound:
    """Noise between two frequencies, falling `skirt` dB in an octave outside."""
    return noise(d, span, (low / 2, -skirt), (low, 0), (high, 0), (high * 2, -skirt))


def resonate(
    x: Sound, rate: int, peaks: Sequence[tuple[float, float, float]], floor: float = 0.02
) -> Sound:
    """Formants: (Hz, bandwidth in Hz, gain) resonances beside a little of everything."""

    def gain(n: int) -> NDArray[np.float32]:
        f = np.arange(n // 2 + 1) * (rate / n)
        total = np.full(len(f), floor)
        for centre, width, amount in peaks:
            total += amount / (1 + ((f - centre) / (width / 2)) ** 2)
        return total.astype(np.float32)

    return filtered(x, gain)


def unit(x: Sound) -> Sound:
    """At a root-mean-square level of 0.1."""
    level = float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
    return np.asarray(x * (0.1 / max(level, 1e-9)), np.float32)


def drive(x: Sound, amount: float) -> Sound:
    """Soft clipping: loudspeakers, exhausts and throats at their limit."""
    return unit(np.tanh(unit(x) * (10 * amount)))


def fade(x: Sound, rate: int, attack: float, release: float) -> Sound:
    """Rise and fall so that nothing clicks; both are shortened to fit."""
    a, r = (min(max(1, int(s * rate)), len(x) // 2) for s in (attack, release))
    y = np.array(x, np.float32)
    y[:a] *= np.linspace(0, 1, a, dtype=np.float32) ** 1.5
    y[len(y) - r :] *= np.linspace(1, 0, r, dtype=np.float32) ** 1.5
    return y


def struck(
    d: RandomDraw,
    rate: int,
    frequencies: Sequence[float],
    decays: Sequence[float],
    brightness: float = 0.0,
) -> Sound:
    """One stroke on a thing with modes; `brightness` adds the noise of the contact."""
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


def place(
    span: SampleSpan,
    sounds: Sequence[Sound],
    starts: Sequence[float],
    gains: Sequence[float] | None = None,
) -> Sound:
    """Sounds laid down at their times; what overhangs is cut."""
    out = np.zeros(span.n, np.float32)
    for i, (x, start) in enumerate(zip(sounds, starts, strict=True)):
        a = int(start * span.rate)
        b = min(span.n, a + len(x))
        if 0 <= a < b:
            out[a:b] += x[: b - a] * np.float32(1.0 if gains is None else gains[i])
    return out


def pulses(turns: Curve, weights: Curve, sharpness: float) -> Sound:
    """Explosions: a decaying pulse each time the phase passes a whole number, each cylinder with its own strength."""
    order = turns.astype(np.int64) % len(weights)
    return np.asarray(
        weights[order] * np.exp(-sharpness * (turns % 1.0)) * (1 - np.exp(-12 * (turns % 1.0))),
        np.float32,
    )

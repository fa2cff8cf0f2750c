"""Measurements of sounds for the tests, independent of the code that makes the sounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from av_tagger.synth.dsp import RandomDraw

RATE = 20_000
SEEDS = range(6)
Array = NDArray[np.floating]


def draw(seed: int) -> RandomDraw:
    return RandomDraw(np.random.default_rng(seed))


def level_db(x: Array) -> float:
    """RMS level; -200 for silence."""
    return float(10 * np.log10(np.mean(np.square(x, dtype=np.float64)) + 1e-20))


def power(x: Array, rate: int = RATE, size: int = 2048) -> tuple[Array, Array]:
    """Frequencies and power density by Welch's method."""
    return signal.welch(x.astype(np.float64), rate, nperseg=min(size, len(x)))


def share_between(x: Array, low: float, high: float) -> float:
    """Share of the power between two frequencies."""
    hz, p = power(x)
    return float(p[(hz >= low) & (hz < high)].sum() / p.sum())


def centroid_hz(x: Array) -> float:
    """Centre of gravity of the power spectrum."""
    hz, p = power(x)
    return float((hz * p).sum() / p.sum())


def peak_hz(x: Array, low: float = 50.0, high: float = 9000.0) -> float:
    """The strongest frequency between two."""
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x))))
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    inside = (hz >= low) & (hz <= high)
    return float(hz[inside][spectrum[inside].argmax()])


def track(x: Array, low: float, high: float, seconds: float = 0.05) -> Array:
    """The strongest frequency of every `seconds`."""
    n = int(seconds * RATE)
    return np.array([peak_hz(x[i : i + n], low, high) for i in range(0, len(x) - n, n)])


def envelope(x: Array, seconds: float = 0.01) -> Array:
    """RMS level of every `seconds`."""
    n = int(seconds * RATE)
    blocks = x[: len(x) // n * n].reshape(-1, n)
    return np.asarray(np.sqrt(np.square(blocks, dtype=np.float64).mean(1)))


def beat_hz(x: Array, low: float, high: float, seconds: float = 0.005) -> float:
    """The strongest frequency of the envelope."""
    e = envelope(x, seconds)
    spectrum = np.abs(np.fft.rfft((e - e.mean()) * np.hanning(len(e))))
    hz = np.fft.rfftfreq(len(e), seconds)
    inside = (hz >= low) & (hz <= high)
    return float(hz[inside][spectrum[inside].argmax()])


def tonality(x: Array) -> float:
    """Share of the energy in the strongest 1 % of the bins: near 1 for tones, small for noise."""
    strongest = np.sort(np.abs(np.fft.rfft(x)) ** 2)[::-1]
    return float(strongest[: len(strongest) // 100].sum() / strongest.sum())

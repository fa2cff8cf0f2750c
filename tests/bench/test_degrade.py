"""Degraded recordings: levels, bands, lengths."""

from __future__ import annotations

import numpy as np
import pytest

from av_tagger.bench.degrade import RATE, VARIANTS, overlapped


def tone(hertz: float, seconds: float = 2.0) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


def level(x: np.ndarray) -> float:
    return float(np.sqrt((x.astype(np.float64) ** 2).mean()))


@pytest.mark.parametrize("name", [n for n in VARIANTS if "silence" not in n])
def test_variants_keep_length_and_type(name: str) -> None:
    x = tone(440.0)
    y = VARIANTS[name](x)
    assert y.dtype == np.float32
    assert abs(len(y) - len(x)) < 0.1 * RATE
    assert np.isfinite(y).all()


def test_levels_are_those_of_their_names() -> None:
    x = tone(1000.0)
    assert level(VARIANTS["volume -20 dB"](x)) == pytest.approx(0.1 * level(x), rel=1e-3)
    for snr in (20, 10, 0):
        noise = VARIANTS[f"noise {snr} dB"](x) - x
        assert level(noise) == pytest.approx(level(x) * 10 ** (-snr / 20), rel=0.02)


def test_the_telephone_passes_speech_and_stops_the_rest() -> None:
    passed = {
        f: level(VARIANTS["telephone band"](tone(f))) / level(tone(f)) for f in (60, 1000, 8000)
    }
    assert passed[1000] > 0.9
    assert passed[60] < 0.02
    assert passed[8000] < 0.02


def test_mp3_keeps_the_tone_and_changes_the_samples() -> None:
    x = tone(1000.0)
    y = VARIANTS["mp3 32 kbit/s"](x)
    assert level(y) == pytest.approx(level(x), rel=0.1)
    assert not np.array_equal(x[: len(y)], y)


def test_silence_and_overlap() -> None:
    x = tone(500.0, 1.0)
    assert len(VARIANTS["ten minutes of silence"](x)) == 601 * RATE
    both = overlapped(x, 0.1 * tone(900.0, 0.5))
    spectrum = np.abs(np.fft.rfft(both))
    assert len(both) == len(x)
    assert spectrum[900] == pytest.approx(spectrum[500], rel=0.05), "both at the same power"
    np.testing.assert_array_equal(overlapped(x, x[:0]), x)

"""Spectrogram pictures: pitch, time, levels, lengths, and clips read from files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest

from av_tagger.clip import Clip, Waveform
from av_tagger.reports.spectrogram import (
    SpectrogramSettings,
    as_png,
    draw_clip,
    levels,
    mel_peaks,
    mel_weights,
)

if TYPE_CHECKING:
    from pathlib import Path

RATE = 20_000


def tone(hz: float, seconds: float = 2.0, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(
        np.float32
    )


def shown(samples: np.ndarray, **changes: float) -> np.ndarray:
    settings = SpectrogramSettings(**changes)  # type: ignore[arg-type]
    return levels(mel_peaks(Waveform(samples, RATE), settings), settings)


@pytest.mark.parametrize("hz", [100.0, 440.0, 1000.0, 4000.0, 9000.0])
def test_a_tone_is_a_line_at_its_pitch(hz: float) -> None:
    settings = SpectrogramSettings()
    centres = np.linspace(
        2595 * np.log10(1 + 40 / 700), 2595 * np.log10(1 + 10_000 / 700), settings.bands + 2
    )[1:-1]
    expected = np.abs(700 * (10 ** (centres / 2595) - 1) - hz).argmin()
    band = shown(tone(hz)).mean(axis=1).argmax()
    assert abs(int(band) - int(expected)) <= 1


def test_time_runs_from_left_to_right() -> None:
    samples = np.concatenate([np.zeros(3 * RATE, np.float32), tone(1000.0, 1.0)])
    loud = shown(samples).max(axis=0) > 0.5
    assert np.flatnonzero(loud)[0] / len(loud) == pytest.approx(0.75, abs=0.01)


def test_a_short_sound_in_a_long_file_is_visible() -> None:
    samples = np.zeros(600 * RATE, np.float32)
    samples[300 * RATE : 300 * RATE + 400] = 0.9  # 20 ms in ten minutes
    picture = shown(samples)
    assert picture.shape == (96, 1200)
    assert np.flatnonzero(picture.max(axis=0) > 0.5).tolist() in ([600], [599, 600], [600, 601])


def test_silence_is_dark_and_the_loudest_value_is_bright() -> None:
    assert shown(np.zeros(RATE, np.float32)).max() == 0
    assert shown(tone(1000.0, amplitude=0.1)).max() == pytest.approx(1.0)


def test_mel_filters_are_weighted_means() -> None:
    weights = mel_weights(SpectrogramSettings(), RATE, 920)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert (weights >= 0).all()


@pytest.mark.parametrize("length", [0, 1, 100, 5000])
def test_every_length_makes_a_picture(length: int) -> None:
    image = pytest.importorskip("PIL.Image")
    settings = SpectrogramSettings()
    power = mel_peaks(Waveform(np.zeros(length, np.float32), RATE), settings)
    with image.open(io.BytesIO(as_png(power, settings))) as picture:
        assert picture.height == 96
        assert picture.format == "PNG"


def test_a_missing_file_has_no_spectrogram(tmp_path: Path) -> None:
    assert draw_clip(Clip(tmp_path / "gone.mp4")) is None


def test_a_clip_is_drawn_from_its_file(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    image = pytest.importorskip("PIL.Image")
    samples = np.concatenate([tone(1000.0, 1.0), np.zeros(RATE, np.float32)])
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    whole, part = draw_clip(Clip(tmp_path / "a.wav")), draw_clip(Clip(tmp_path / "a.wav", 1.2, 1.8))
    assert whole is not None
    assert part is not None
    with image.open(io.BytesIO(whole)) as picture:
        grey = np.asarray(picture.convert("L")).max(axis=0)
    half = len(grey) // 2
    assert grey[: half - 2].min() > 150
    assert grey[half + 3 :].max() < 60
    with image.open(io.BytesIO(part)) as picture:
        assert np.asarray(picture.convert("L")).max() < 60

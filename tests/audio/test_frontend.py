"""The front end against librosa, and the figures of the papers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from av_tagger.audio.architecture import LogMelSettings
from av_tagger.audio.frontend import LogMel, deltas, mel_filters
from av_tagger.errors import UsageError
from av_tagger.settings import from_table, to_table

AV = LogMelSettings()
SMALL = LogMelSettings(rate=44_100, window=1102, hop=441, fft=2048, mels=64, deltas=True)
FUSE = LogMelSettings(
    rate=16_000,
    window=2048,
    hop=512,
    fft=2048,
    mels=256,
    scale="htk",
    norm="peak",
    floor_mode="clip",
    floor=1e-10,
)
PAPERS = pytest.mark.parametrize(
    "settings",
    [
        AV,
        SMALL,
        FUSE,
        replace(AV, scale="htk"),
        replace(AV, power=1.0, low_hz=50.0, high_hz=8000.0),
    ],
)


def sound(seconds: float, rate: int, noise: float = 0.03) -> np.ndarray:
    """A sweep in noise: loud and quiet bands both occur."""
    t = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(t)) * noise
    return (0.5 * np.sin(2 * np.pi * (100 + 300 * t) * t) + noise).astype(np.float32)


def features(settings: LogMelSettings, x: np.ndarray) -> np.ndarray:
    return LogMel(settings)(torch.from_numpy(x)[None])[0].numpy()


def by_librosa(s: LogMelSettings, x: np.ndarray) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=x, sr=s.rate, n_fft=s.fft, hop_length=s.hop, win_length=s.window, n_mels=s.mels,
        fmin=s.low_hz, fmax=s.top_hz, power=s.power, htk=s.scale == "htk",
        norm="slaney" if s.norm == "area" else None, center=True, pad_mode="constant",
    )  # fmt: skip
    mel = mel.T[: s.frames(len(x))].astype(np.float64)
    return np.log(mel + s.floor if s.floor_mode == "add" else np.maximum(mel, s.floor))


def test_ten_seconds_are_2000_frames_of_60_bands() -> None:
    assert features(AV, sound(10, 20_000)).shape == (1, 2000, 60)
    assert AV.window / AV.rate == 0.024
    assert AV.hop / AV.rate == 0.005


@PAPERS
def test_agrees_with_librosa(settings: LogMelSettings) -> None:
    """The loudest band lies about 50 dB above the quietest, as in a street."""
    x = sound(2.5, settings.rate, noise=0.03)
    assert np.abs(features(settings, x)[0] - by_librosa(settings, x)).max() < 3e-4


@PAPERS
@pytest.mark.parametrize("noise", [0.0, 3e-4])
def test_exact_agrees_with_librosa_in_empty_bands(settings: LogMelSettings, noise: float) -> None:
    x = sound(1, settings.rate, noise)
    assert (
        np.abs(features(replace(settings, exact=True), x)[0] - by_librosa(settings, x)).max() < 1e-5
    )


def test_agrees_with_librosa_on_real_sounds(shared: Path) -> None:
    import soundfile

    files = sorted((shared / "data" / "sounds" / "train").glob("*.ogg"))[::90]
    assert files
    for file in files:
        x, rate = soundfile.read(file, dtype="float32", frames=100_000)
        x = librosa.resample(x, orig_sr=rate, target_sr=AV.rate)
        difference = np.abs(features(AV, x)[0] - by_librosa(AV, x))
        assert np.quantile(difference, 0.99) < 1e-4, file.name
        assert np.abs(features(replace(AV, exact=True), x)[0] - by_librosa(AV, x)).max() < 1e-5, (
            file.name
        )


@PAPERS
def test_filters_agree_with_librosa(settings: LogMelSettings) -> None:
    s = settings
    norm = "slaney" if s.norm == "area" else None
    oracle = librosa.filters.mel(
        sr=s.rate,
        n_fft=s.fft,
        n_mels=s.mels,
        fmin=s.low_hz,
        fmax=s.top_hz,
        htk=s.scale == "htk",
        norm=norm,
        dtype=np.float64,
    )
    np.testing.assert_allclose(mel_filters(s), oracle, atol=1e-12)


def test_decibels_and_plain_energies() -> None:
    x = sound(1, 20_000)
    plain = features(replace(AV, log="none"), x)
    np.testing.assert_allclose(
        features(replace(AV, log="decibel"), x), 10 * np.log10(plain), atol=2e-4
    )
    np.testing.assert_allclose(features(AV, x), np.log(plain), atol=2e-5)


def test_end_padding_starts_each_frame_at_its_hop() -> None:
    s = replace(AV, padding="end")
    x = sound(1, 20_000)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(s.window) / s.window)
    frame = x[7 * s.hop : 7 * s.hop + s.window] * window
    by_hand = np.log(mel_filters(s) @ np.abs(np.fft.rfft(frame, s.fft)) ** 2 + s.floor)
    got = features(s, x)
    assert got.shape == (1, 200, 60)
    np.testing.assert_allclose(got[0, 7], by_hand, atol=1e-4)


def test_preemphasis_is_a_difference() -> None:
    x = sound(1, 20_000)
    filtered = np.concatenate([x[:1], x[1:] - np.float32(0.97) * x[:-1]])
    np.testing.assert_allclose(
        features(replace(AV, preemphasis=0.97), x), features(AV, filtered), atol=1e-5
    )


def test_delta_channel_agrees_with_librosa() -> None:
    x = sound(2, SMALL.rate)
    both = features(SMALL, x)
    assert both.shape == (2, 200, 64)
    oracle = librosa.feature.delta(both[0].T, width=9, mode="nearest").T
    np.testing.assert_allclose(both[1], oracle, atol=1e-4)
    ramp = torch.arange(20.0)[None, None, :, None] * 3
    assert torch.allclose(deltas(ramp, 5)[0, 0, 2:-2, 0], torch.full((16,), 3.0))


@pytest.mark.parametrize("samples", [1, 99, 100, 101, 20_050])
def test_every_sample_lies_in_a_frame(samples: int) -> None:
    x = np.zeros(samples, np.float32)
    x[-1] = 1.0
    got = features(AV, x)
    assert got.shape == (1, -(-samples // 100), 60)
    assert got[0, -1].max() > LogMel(AV).silence().max() + 3, "the last sample is not heard"


@PAPERS
def test_silence_is_finite_and_equals_the_features_of_zeros(settings: LogMelSettings) -> None:
    got = features(settings, np.zeros(settings.rate, np.float32))
    np.testing.assert_allclose(
        got, np.broadcast_to(LogMel(settings).silence().numpy()[:, None], got.shape), atol=1e-6
    )


def test_autocast_does_not_change_the_features() -> None:
    x = torch.from_numpy(sound(1, 20_000))[None]
    with torch.autocast("cpu", torch.bfloat16):
        half = LogMel(AV)(x)
    assert half.dtype == torch.float32
    assert torch.equal(half, LogMel(AV)(x))


def test_settings_round_trip_and_refusals() -> None:
    assert from_table(LogMelSettings, to_table(SMALL), "front end") == SMALL
    for wrong in (
        {"hop": 0},
        {"fft": 256},
        {"high_hz": 12_000.0},
        {"low_hz": 10_000.0},
        {"floor": -1.0},
        {"delta_width": 4},
        {"scale": "bark"},
    ):
        with pytest.raises(UsageError, match="front end"):
            from_table(LogMelSettings, wrong, "front end")
    with pytest.raises(ValueError, match="padding is one of centre, end"):
        LogMelSettings(padding="reflect")  # type: ignore[arg-type]

"""Trained networks as audio branches: any length, any batch, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.branch import MilEar
from av_tagger.audio.checkpoint import save_checkpoint
from av_tagger.audio.ears import load_ear
from av_tagger.audio.header import Header
from av_tagger.audio.network import build_network
from av_tagger.audio.settings import EarSettings
from av_tagger.clip import Waveform
from av_tagger.errors import MediaError, UsageError, WeightsError
from av_tagger.protocols import AudioBranch
from av_tagger.scores import Status

LABELS = ("Bus", "Train horn", "Screaming")
TINY = {"channels": (4, 6), "pools": ((5, 6), (4, 5)), "units": 5}
ARCHITECTURE = EarArchitecture(3, extractor_settings=TINY, margin=5)
HEADER = Header("tiny", ARCHITECTURE, LABELS)


def ear(settings: EarSettings | None = None) -> MilEar:
    torch.manual_seed(0)
    network = build_network(ARCHITECTURE)
    network.normalise.set(torch.full((1, 60), -8.0), torch.full((1, 60), 3.0))
    with torch.no_grad():
        network.head.dense.weight.mul_(5)  # opinions
    return MilEar(network, HEADER, "cpu", settings)


def wave(samples: int, seed: int = 0, start: float = 0.0) -> Waveform:
    """Noise with a changing level."""
    noise = np.random.default_rng(seed).standard_normal(samples)
    swell = np.abs(np.sin(np.arange(samples) / 9000)) ** 4
    return Waveform((noise * swell * 0.2).astype(np.float32), 20_000, start)


def test_it_is_an_audio_branch() -> None:
    heard = ear()
    assert isinstance(heard, AudioBranch)
    assert (heard.labels, heard.rate, heard.info.status) == (LABELS, 20_000, Status.OK)
    assert heard.info.weights == "tiny"
    assert heard.hear([]) == []


def test_ten_seconds_have_a_hundred_frames_and_the_score_is_their_maximum() -> None:
    (scores,) = ear().hear([wave(200_000, start=30.0)])
    assert scores.activity is not None
    assert scores.activity.values.shape == (100, 3)
    assert (scores.activity.rate, scores.activity.start_seconds) == (10.0, 30.0)
    np.testing.assert_allclose(scores.probabilities, scores.activity.values.max(axis=0), atol=1e-6)
    assert scores.activity.values.std() > 0.005, "the timeline is flat, nothing is tested"


@pytest.mark.parametrize("batch_seconds", [0.1, 25.0, 60.0])
def test_a_batch_answers_as_single_runs(batch_seconds: float) -> None:
    heard = ear(EarSettings(batch_seconds=batch_seconds))
    waves = [
        wave(n, seed)
        for seed, n in enumerate([200_000, 1, 150, 19_999, 200_000, 20_000, 199_950, 3000])
    ]
    for together, w in zip(heard.hear(waves), waves, strict=True):
        (alone,) = heard.hear([w])
        np.testing.assert_allclose(together.probabilities, alone.probabilities, atol=1e-5)
        assert together.activity is not None
        assert alone.activity is not None
        np.testing.assert_allclose(together.activity.values, alone.activity.values, atol=1e-5)
        assert len(together.activity.values) == -(-len(w.samples) // 2000)


def test_padding_with_silence_changes_no_score() -> None:
    one = wave(20_000)
    long = np.zeros(200_000, np.float32)
    long[80_000:100_000] = one.samples
    alone, inside = ear().hear([one, Waveform(long, 20_000)])
    assert alone.activity is not None
    assert inside.activity is not None
    np.testing.assert_allclose(alone.activity.values, inside.activity.values[40:50], atol=0.02)


def test_a_shifted_sound_gives_a_shifted_timeline() -> None:
    w = wave(100_000)
    later = Waveform(np.concatenate([np.zeros(6000, np.float32), w.samples]), 20_000)
    a, b = (s.activity for s in ear().hear([w, later]))
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a.values, b.values[3:], atol=0.02)


def test_a_repeated_clip_has_the_same_timeline_twice() -> None:
    double = wave(400_000)
    a, b = (s.activity for s in ear().hear([Waveform(double.samples[:200_000], 20_000), double]))
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a.values[:90], b.values[:90], atol=0.02)


@pytest.mark.parametrize("samples", [161_000, 400_000, 80_001])
def test_long_sound_in_windows_has_no_seams(samples: int) -> None:
    w = wave(samples)
    (whole,), (pieces,) = (
        ear().hear([w]),
        ear(EarSettings(longest_seconds=4, overlap_seconds=3)).hear([w]),
    )
    assert whole.activity is not None
    assert pieces.activity is not None
    np.testing.assert_allclose(pieces.activity.values, whole.activity.values, atol=0.02)
    np.testing.assert_allclose(pieces.probabilities, whole.probabilities, atol=0.02)


@pytest.mark.parametrize("samples", [1, 2, 1999, 2000, 2001, 200_000])
def test_silence_and_single_samples_give_finite_scores(samples: int) -> None:
    silence, full = np.zeros(samples, np.float32), np.full(samples, 1e4, np.float32)
    for scores in ear().hear([Waveform(silence, 20_000), Waveform(full, 20_000)]):
        assert np.isfinite(scores.probabilities).all()
        assert scores.activity is not None
        assert np.isfinite(scores.activity.values).all()


def test_an_empty_track_has_no_scores_and_does_not_affect_others() -> None:
    nothing, something = ear().hear([wave(0), wave(5000)])
    assert (nothing.status, nothing.has_opinion) == (Status.NO_TRACK, False)
    assert something.has_opinion


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinite_samples_are_refused(value: float) -> None:
    w = wave(5000, start=20.0)
    w.samples[77] = value
    with pytest.raises(
        MediaError, match=r"waveform 2 of 2, from 20 s: contains samples that are NaN or inf"
    ):
        ear().hear([wave(5000), w])


def test_another_sampling_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 20000 Hz"):
        ear().hear([Waveform(np.zeros(10, np.float32), 16_000)])


def test_half_precision_gives_nearly_the_same() -> None:
    w = wave(60_000)
    (full,), (half,) = ear().hear([w]), ear(EarSettings(precision="bfloat16")).hear([w])
    np.testing.assert_allclose(half.probabilities, full.probabilities, atol=0.05)
    assert half.probabilities.dtype == np.float64


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"overlap_seconds": 30.0}, "longer than their overlap"),
        ({"batch_seconds": 0}, "must lie between"),
    ],
)
def test_windows_must_be_longer_than_their_overlap(wrong: dict[str, float], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        EarSettings(**wrong)  # type: ignore[arg-type]


def test_precision_has_full_and_short_names() -> None:
    assert EarSettings(precision="bf16").precision == "bfloat16"
    assert EarSettings(precision="fp32") == EarSettings()
    for wrong in ("int8", "fp16", "half"):
        with pytest.raises(UsageError, match=f"there is no precision '{wrong}'"):
            EarSettings(precision=wrong)


@pytest.mark.gpu
def test_a_gpu_hears_the_same() -> None:
    w = wave(60_000)
    there = MilEar(ear().network, HEADER, "cuda")
    np.testing.assert_allclose(
        there.hear([w])[0].probabilities, ear().hear([w])[0].probabilities, atol=1e-3
    )


def test_loading_by_file_by_folder_and_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("best.safetensors", "crnn.starter.safetensors"):
        save_checkpoint(tmp_path / name, ear().network, HEADER)
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(tmp_path))
    w = wave(30_000)
    expected = ear().hear([w])[0].probabilities
    for name in (tmp_path / "best.safetensors", str(tmp_path), "starter", "crnn.starter"):
        np.testing.assert_array_equal(load_ear(name, "cpu").hear([w])[0].probabilities, expected)


def test_missing_ears_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'starter'"):
        load_ear("startr", "cpu")
    with pytest.raises(WeightsError, match="no such weights file"):
        load_ear(tmp_path, "cpu")
    with pytest.raises(WeightsError, match="no such weights file"):
        load_ear(tmp_path / "x.safetensors", "cpu")


def test_a_network_without_a_front_end_is_no_ear() -> None:
    architecture = EarArchitecture(
        3, extractor_settings=TINY, frontend=None, features=ARCHITECTURE.shape
    )
    with pytest.raises(UsageError, match="reads features, not sound"):
        MilEar(build_network(architecture), Header("store", architecture, LABELS))

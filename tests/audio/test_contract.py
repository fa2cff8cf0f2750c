"""What every ear must do, checked for each kind of ear."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from av_tagger.audio.architecture import EarArchitecture, FeatureShape, LogMelSettings
from av_tagger.audio.branch import MilEar
from av_tagger.audio.calibration import Calibration, Source
from av_tagger.audio.combined import CombinedEar
from av_tagger.audio.header import Header
from av_tagger.audio.known.ear import KnownEar
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.families import FAMILIES
from av_tagger.audio.known.on_embeddings import EmbeddedEar
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.network import build_network
from av_tagger.audio.settings import EarSettings
from av_tagger.clip import Waveform
from av_tagger.errors import MediaError
from av_tagger.protocols import AudioBranch
from av_tagger.scores import BranchInfo, Status

SMALL = {"channels": (4, 6), "pools": ((5, 6), (4, 5)), "units": 5}


def trained(architecture: EarArchitecture) -> MilEar:
    torch.manual_seed(0)
    labels = tuple("abc"[: architecture.classes])
    header = Header("small", architecture, labels)
    settings = EarSettings(longest_seconds=3.0, overlap_seconds=1.0)
    return MilEar(build_network(architecture), header, "cpu", settings)


def crnn() -> AudioBranch:
    return trained(EarArchitecture(3, extractor_settings=SMALL, pooling="attention", margin=2))


def fuse() -> AudioBranch:
    channels = {"channels": (4, 8), "blocks": 1}
    return trained(EarArchitecture(2, "fuse", channels, "mean", activation="softmax"))


def efficientat() -> KnownEar:
    torch.manual_seed(0)
    return KnownEar("efficientat.tiny", FAMILIES["efficientat"], EfficientAT(0.1), "cpu")


def yamnet() -> AudioBranch:
    torch.manual_seed(0)
    return KnownEar("yamnet", FAMILIES["yamnet"], YAMNet(), "cpu")


def on_embeddings() -> AudioBranch:
    base = efficientat()
    features = FeatureShape(1, base.width, 1.0)
    architecture = EarArchitecture(2, "dense", {"widths": [4]}, frontend=None, features=features)
    torch.manual_seed(0)
    header = Header("stacked", architecture, ("a", "b"), embedder="efficientat.tiny")
    return EmbeddedEar(base, build_network(architecture), header)


def combined() -> AudioBranch:
    """Two ears with different rates behind a calibration."""
    rows = {"f1": np.full(2, 0.5), "precision": np.full(2, 0.8)}
    weights, shift = np.array([[0.6, 0.5], [0.4, 0.5]]), np.zeros(2)
    sources = (Source(0), Source(1))
    calibration = Calibration(("x", "y"), ("a", "b"), sources, weights, shift, rows, 1e-3)
    slow = LogMelSettings(rate=16_000, window=400, hop=160, fft=512, mels=64)
    settings = {"channels": (4, 8), "blocks": 1}
    other = trained(EarArchitecture(2, "fuse", settings, "mean", frontend=slow))
    return CombinedEar((crnn(), other), calibration)


EARS: dict[str, Callable[[], AudioBranch]] = {
    "crnn": crnn,
    "fuse": fuse,
    "efficientat": efficientat,
    "yamnet": yamnet,
    "on embeddings": on_embeddings,
    "combined": combined,
}


@pytest.fixture(scope="module", params=EARS)
def ear(request: pytest.FixtureRequest) -> AudioBranch:
    return EARS[request.param]()


def noise(ear: AudioBranch, seconds: float, seed: int = 0, start: float = 0.0) -> Waveform:
    draw = np.random.default_rng(seed)
    samples = draw.standard_normal(round(seconds * ear.rate)) * 0.1
    return Waveform(samples.astype(np.float32), ear.rate, start)


def test_it_has_labels_a_rate_and_a_name(ear: AudioBranch) -> None:
    assert isinstance(ear, AudioBranch)
    assert len(ear.labels) == len(set(ear.labels)) > 1
    assert 8_000 <= ear.rate <= 48_000
    assert isinstance(ear.info, BranchInfo)
    assert ear.info.status is Status.OK
    assert ear.info.weights


def test_one_result_for_each_waveform(ear: AudioBranch) -> None:
    assert ear.hear([]) == []
    results = ear.hear([noise(ear, seconds, n) for n, seconds in enumerate((0.3, 1.0, 2.0))])
    assert [scores.labels for scores in results] == [ear.labels] * 3
    assert all(scores.status is Status.OK for scores in results)


@pytest.mark.parametrize("seconds", [0.05, 0.96, 4.0, 11.3])
def test_probabilities_and_timeline(ear: AudioBranch, seconds: float) -> None:
    (scores,) = ear.hear([noise(ear, seconds, start=7.0)])
    assert ((scores.probabilities >= 0) & (scores.probabilities <= 1)).all()
    activity = scores.activity
    assert activity is not None
    assert activity.start_seconds == 7.0
    assert activity.values.dtype == np.float32
    assert ((activity.values >= 0) & (activity.values <= 1)).all()
    covered = len(activity.values) / activity.rate
    assert seconds <= covered + 1e-6, "the timeline covers the waveform"
    assert covered < seconds + 1 / activity.rate + 1e-6, "and not more than its last frame"


def test_results_do_not_depend_on_the_batch(ear: AudioBranch) -> None:
    waves = [noise(ear, seconds, n) for n, seconds in enumerate((1.0, 0.2, 4.0, 1.0, 2.5))]
    together = ear.hear(waves)
    for wave, scores in zip(waves, together, strict=True):
        (alone,) = ear.hear([wave])
        np.testing.assert_allclose(scores.probabilities, alone.probabilities, atol=1e-5)
        assert scores.activity is not None
        assert alone.activity is not None
        np.testing.assert_allclose(scores.activity.values, alone.activity.values, atol=1e-5)


def test_the_same_input_gives_the_same_result(ear: AudioBranch) -> None:
    wave = noise(ear, 1.5)
    first, second = ear.hear([wave])[0], ear.hear([wave])[0]
    np.testing.assert_array_equal(first.probabilities, second.probabilities)


def test_the_input_is_not_changed(ear: AudioBranch) -> None:
    wave = noise(ear, 1.0)
    before = wave.samples.copy()
    ear.hear([wave])
    np.testing.assert_array_equal(wave.samples, before)


def test_silence_has_finite_scores(ear: AudioBranch) -> None:
    (scores,) = ear.hear([Waveform(np.zeros(ear.rate, np.float32), ear.rate)])
    assert np.isfinite(scores.probabilities).all()


def test_an_empty_track_has_no_scores(ear: AudioBranch) -> None:
    empty = Waveform(np.zeros(0, np.float32), ear.rate)
    nothing, something = ear.hear([empty, noise(ear, 1.0)])
    assert nothing.status is Status.NO_TRACK
    assert not nothing.has_opinion
    assert nothing.labels == ear.labels
    assert something.has_opinion


def test_another_sampling_rate_is_refused(ear: AudioBranch) -> None:
    wave = Waveform(np.zeros(1000, np.float32), ear.rate + 1)
    with pytest.raises(ValueError, match=f"needs {ear.rate} Hz, the waveform has {ear.rate + 1}"):
        ear.hear([wave])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(ear: AudioBranch, value: float) -> None:
    bad = noise(ear, 1.0, start=20.0)
    bad.samples[3] = value
    with pytest.raises(MediaError, match=r"waveform 2 of 2, from 20 s: contains samples that are"):
        ear.hear([noise(ear, 1.0), bad])


def test_full_scale_and_tiny_samples(ear: AudioBranch) -> None:
    square = np.where(np.arange(ear.rate) % 100 < 50, 1.0, -1.0).astype(np.float32)
    for scale in (1.0, 1e-30):
        (scores,) = ear.hear([Waveform(square * np.float32(scale), ear.rate)])
        assert np.isfinite(scores.probabilities).all()

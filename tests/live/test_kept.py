"""Ears and eyes for streams: the scores of the plain ones, each frame computed once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest
import torch

from av_tagger.audio.architecture import EarArchitecture, LogMelSettings
from av_tagger.audio.branch import MilEar
from av_tagger.audio.ears import load_ear
from av_tagger.audio.header import Header
from av_tagger.audio.known.ear import KnownEar
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.families import EFFICIENTAT, YAMNET
from av_tagger.audio.known.yamnet import Layer, YAMNet
from av_tagger.audio.network import build_network
from av_tagger.clip import Frames, Samples, Waveform
from av_tagger.live.kept import KeptFeatures, KeptRecogniser, grid_of, kept_ear
from av_tagger.live.kept_networks import KeptConvolutions, KeptPatches
from av_tagger.live.memory import Kept
from av_tagger.live.schedule import RollingWindows
from av_tagger.protocols import AudioBranch
from av_tagger.scores import BranchInfo, Status


def yamnet() -> KnownEar:
    """Random weights that keep the size of activations, so that scores depend on the sound."""
    torch.manual_seed(0)
    network = YAMNet()
    with torch.no_grad():
        for layer in network.layers:
            cast("Layer", layer).conv.weight.mul_(6**0.5)
    return KnownEar("yamnet", YAMNET, network)


def noise(rate: int, seconds: float) -> Samples:
    rng = np.random.default_rng(0)
    loud = np.repeat(rng.random(math.ceil(seconds * 2)), -(-rate // 2))[: round(rate * seconds)]
    return (rng.standard_normal(round(rate * seconds)) * 0.2 * loud).astype(np.float32)


def compare(ear: AudioBranch, seconds: float = 14.0, hop: float = 0.5) -> AudioBranch:
    """Every rolling window has the scores of the plain ear."""
    kept, sound = kept_ear(ear), noise(ear.rate, seconds)
    grid, _ = grid_of(ear)
    windows = list(RollingWindows(10.0, hop, 0.1, grid).due(seconds))
    assert len(windows) > 10
    for span in windows:
        first, last = round(span.start * ear.rate), round(span.end * ear.rate)
        waves = [Waveform(sound[first:last], ear.rate, span.start)]
        (mine,), (plain,) = kept.hear(waves), ear.hear(waves)
        np.testing.assert_allclose(mine.probabilities, plain.probabilities, atol=1e-5)
        assert mine.activity is not None
        assert plain.activity is not None
        np.testing.assert_allclose(mine.activity.values, plain.activity.values, atol=1e-5)
        assert mine.activity.start_seconds == span.start
    return kept


def test_the_starter_keeps_what_its_convolutions_computed() -> None:
    ear = load_ear("starter", "cpu", offline=True)
    kept = cast("MilEar", compare(ear))
    convolutions = kept.quick.extractor.convolutions
    assert isinstance(convolutions, KeptConvolutions)
    windows = 27
    assert convolutions.kept.computed < 4 * windows  # of 13 chunks per window


def test_yamnet_computes_each_patch_once() -> None:
    kept = cast("KnownEar", compare(yamnet(), hop=0.48))
    patches = cast("KeptPatches", kept.network).kept.computed
    # A new one and an incomplete last one per window; the first windows start at 1 s.
    assert patches <= 2 * 28 + 2


@pytest.mark.slow
def test_efficientat_hears_windows_as_a_whole() -> None:
    torch.manual_seed(0)
    compare(KnownEar("efficientat.mn04", EFFICIENTAT, EfficientAT(0.4)), 12.0, 1.0)


def test_ears_together_share_a_grid() -> None:
    starter = load_ear("starter", "cpu", offline=True)
    assert grid_of(starter)[0] == pytest.approx(0.8)
    assert grid_of(yamnet()) == (pytest.approx(2.4), pytest.approx(0.48))
    assert grid_of(None) == (1.0, 0.1)


SMALL = {"vgg3": {"groups": ((4,), (4,), (4,)), "dense": (8, 8)}, "bc-resnet": {}}


@pytest.mark.parametrize("extractor", sorted(SMALL))
def test_other_trained_ears(extractor: str) -> None:
    torch.manual_seed(0)
    front = LogMelSettings(rate=16_000, window=400, hop=160, fft=512, mels=64)
    architecture = EarArchitecture(
        3, extractor, extractor_settings=SMALL[extractor], frontend=front
    )
    network = build_network(architecture)
    compare(MilEar(network, Header("tiny", architecture, ("a", "b", "c"))), 12.0, 1.0)


def test_results_are_kept_by_content_and_forgotten_by_age() -> None:
    asked: list[int] = []
    kept: Kept[float] = Kept(2)

    def look(*values: float) -> list[float]:
        arrays = [np.array([v]) for v in values]

        def compute(rows: list[int]) -> Sequence[float]:
            asked.extend(int(values[i]) for i in rows)
            return [10 * values[i] for i in rows]

        return kept.all(arrays, compute)

    assert look(1, 2, 1) == [10, 20, 10]
    assert look(2, 1) == [20, 10]
    assert asked == [1, 2]
    assert look(3) == [30]
    assert look(2) == [20]
    assert asked == [1, 2, 3, 2]
    assert look(1, 2, 3, 4) == [10, 20, 30, 40]


class CountingEye:
    """Frame features and recogniser in one, which count what they are shown."""

    name = "counting"
    objects = ("a", "b")
    info = BranchInfo(Status.OK, "counting", None)

    def __init__(self) -> None:
        self.shown = 0

    def describe(self, clips: Sequence[Frames]) -> list[torch.Tensor]:
        self.shown += sum(len(c) for c in clips)
        return [torch.from_numpy(c.images.reshape(len(c), -1).astype(np.float32)) for c in clips]

    def recognise(self, images: Sequence[np.ndarray]) -> np.ndarray:
        self.shown += len(images)
        return np.stack([[i.mean() / 255, 1 - i.mean() / 255] for i in images]).astype(np.float32)


def test_the_eye_looks_at_each_frame_once() -> None:
    inner = CountingEye()
    features = KeptFeatures(inner)
    images = np.random.default_rng(0).integers(0, 255, (8, 4, 4, 3)).astype(np.uint8)
    for first in range(4):
        clip = Frames(images[first : first + 5], np.arange(5.0))
        (rows,) = features.describe([clip])
        np.testing.assert_array_equal(rows.numpy(), clip.images.reshape(5, -1))
    assert inner.shown == 8


def test_a_picture_is_recognised_once() -> None:
    inner = CountingEye()
    recogniser = KeptRecogniser(inner)
    images = [np.full((4, 4, 3), n, np.uint8) for n in (1, 2, 1, 3)]
    expected = CountingEye().recognise(images)
    np.testing.assert_array_equal(recogniser.recognise(images), expected)
    np.testing.assert_array_equal(recogniser.recognise(images[::-1]), expected[::-1])
    assert inner.shown == 3
    assert (recogniser.objects, recogniser.info) == (inner.objects, inner.info)

"""Frame features from the first blocks of the recogniser, and the day-one eye as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from av_tagger import weights
from av_tagger.clip import ColourMatrix, Frames
from av_tagger.labels import dcase2017
from av_tagger.scores import Status
from av_tagger.video.branch import EyeSettings
from av_tagger.video.early import early_features
from av_tagger.video.efficientnet import load_published, read_lite2
from av_tagger.video.eye_source import EARLY_BLOCKS, EARLY_SIDE
from av_tagger.video.eyes import load, load_eye, load_features, resolve
from av_tagger.video.features import Compute, NetworkFeatures
from av_tagger.video.lite import EfficientNetLite2, meta_lite2
from av_tagger.video.recognise import NetworkRecogniser

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def path() -> Path:
    found = weights.locate("efficientnet_lite2")
    assert found is not None, "the package with EfficientNet-Lite2 is a dependency"
    return found


@pytest.fixture(scope="module")
def network(path: Path) -> EfficientNetLite2:
    return read_lite2(path)


def film(count: int = 6) -> Frames:
    random = np.random.default_rng(3)
    images = random.integers(0, 256, (count, 96, 128, 3)).astype(np.uint8)
    return Frames(images, np.arange(count) / 5)


def test_shapes_and_precision(network: EfficientNetLite2) -> None:
    features = early_features(network, Compute(dtype=torch.bfloat16, int8=True))
    assert features.name == f"efficientnet_lite2 block {EARLY_BLOCKS} at {EARLY_SIDE}"
    assert features.how.arithmetic == "float32"
    (found,) = features.describe([film()])
    assert found.shape == (6, 48 * (EARLY_SIDE // 8) ** 2)
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()


def test_a_frame_is_described_alone_as_in_company(network: EfficientNetLite2) -> None:
    features = early_features(network, Compute(batch=2))
    whole, part = film(), film(1)
    (together,) = features.describe([whole])
    (alone,) = features.describe([part])
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-4)


def test_planes_look_like_rgb(network: EfficientNetLite2) -> None:
    grey = np.full((2, 96 * 3 // 2, 128), 128, dtype=np.uint8)
    matrix = ColourMatrix()
    planes = Frames(grey, np.arange(2) / 5, luma=matrix)
    plain = Frames(planes.rgb(), planes.times)
    features = early_features(network, Compute())
    torch.testing.assert_close(
        features.describe([planes])[0], features.describe([plain])[0], rtol=0.05, atol=0.3
    )


def test_a_fresh_install_recognises() -> None:
    """No weights but those of the dependency: everything works, and nothing is missing."""
    eye = load_eye(EyeSettings(), dcase2017())
    assert eye.status is Status.OK
    assert eye.advice == ()
    assert "efficientnet_lite2" in eye.info.model
    assert eye.arithmetic == "frame features in float32, recognition in float32"
    (seen,) = eye.see([film()])
    assert len(seen.keyframes) == 4
    assert all(frame.objects for frame in seen.keyframes)


def test_auto_is_the_day_one_network() -> None:
    by_name = load_features(EyeSettings(network="efficientnet_lite2"), Compute())
    assert load_features(EyeSettings(), Compute()).name == by_name.name


def test_folded_batch_norms_give_the_same_scores(path: Path, network: EfficientNetLite2) -> None:
    plain = meta_lite2()
    load_published(plain, path)
    plain.eval()
    x = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        torch.testing.assert_close(network(x), plain(x), rtol=1e-4, atol=1e-4)
    kept = [name for name, m in network.named_modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert kept == []


def test_one_network_in_memory_sees_frames_and_recognises() -> None:
    parts = load_eye(EyeSettings(), dcase2017()).parts
    assert isinstance(parts.features, NetworkFeatures)
    assert isinstance(parts.recogniser, NetworkRecogniser)
    early = {weight.data_ptr() for weight in parts.features.network.parameters()}
    assert early < {weight.data_ptr() for weight in parts.recogniser.network.parameters()}


@pytest.mark.parametrize("network", ["auto", "thumbnail"])
def test_the_size_of_frames_is_known_before_the_eye_is_loaded(network: str) -> None:
    source = resolve(EyeSettings(network=network), dcase2017())
    assert source.short_side == load(source, dcase2017()).short_side
    blind = replace(source, recogniser=None)
    assert blind.short_side is None

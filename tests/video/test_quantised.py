"""int8 features: close to float and independent of the batch, for all pixel formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from av_tagger.clip import ColourMatrix, Frames
from av_tagger.config import configure
from av_tagger.video import load, precision
from av_tagger.video.alexnet import ARCHITECTURES
from av_tagger.video.branch import EyeSettings
from av_tagger.video.eyes import load_eye, load_features
from av_tagger.video.features import Compute, NetworkFeatures
from av_tagger.video.folded import Folded
from av_tagger.video.keyframes import representatives
from av_tagger.video.quantised import Convolution, Filter, Quantised, calibration, ranges, works
from tests.assets import as_planes, in_rgb, smooth_pictures

CPU = torch.device("cpu")
needs_bytes = pytest.mark.skipif(not works(), reason="this torch has no convolutions of bytes")


def folded(name: str) -> Folded:
    torch.manual_seed(0)
    architecture = ARCHITECTURES[name]
    network = architecture.build()
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.normal_(layer.bias, std=0.1)
    return Folded(network[: architecture.ends["conv5"]], architecture.geometry)


def describer(network: nn.Module, name: str, batch: int = 4) -> NetworkFeatures:
    return NetworkFeatures(name, network, ARCHITECTURES[name].geometry, Compute(batch, CPU))


def film(n: int = 8) -> Frames:
    return as_planes(smooth_pictures(n, 270, 480), ColourMatrix())


@needs_bytes
@pytest.mark.parametrize(("stride", "padding", "groups"), [(1, 0, 1), (2, 1, 1), (1, 2, 2)])
def test_a_convolution_of_bytes_is_the_sum_of_products(
    stride: int, padding: int, groups: int
) -> None:
    """Whole numbers make this exact: the oracle is float64 on the rounded weights."""
    torch.manual_seed(1)
    plain = nn.Conv2d(8, 16, 3, stride, padding, groups=groups)
    filters = Filter.of(plain)
    x = (
        torch.randint(0, 256, (3, 8, 9, 7))
        .to(torch.uint8)
        .contiguous(memory_format=torch.channels_last)
    )
    weight = filters.weight.double() * filters.scale.double()[:, None, None, None]
    oracle = nn.functional.conv2d(
        0.02 * x.double(), weight, filters.bias.double(), stride, padding, 1, groups
    ).relu()
    found = Convolution(filters, 0.02, None)(x)
    torch.testing.assert_close(found.double(), oracle, rtol=1e-5, atol=1e-5)
    step = float(oracle.max()) / 255
    as_bytes = Convolution(filters, 0.02, step)(x)
    assert as_bytes.dtype == torch.uint8
    assert (as_bytes.double() - oracle / step).abs().max() <= 0.51
    assert (
        filters.weight.float() * filters.scale[:, None, None, None] - plain.weight
    ).abs().max() <= filters.scale.max() * 0.51


@needs_bytes
@pytest.mark.parametrize("name", ["alexnet", "alexnet_grouped"])
@pytest.mark.parametrize("planes", [True, False])
def test_distances_are_those_of_float(name: str, planes: bool) -> None:
    clip = film() if planes else in_rgb(film())
    plain = describer(folded(name), name).describe([clip])[0]
    ours = describer(Quantised(folded(name)), name).describe([clip])[0]
    assert ours.dtype == torch.float32
    assert ours.shape == plain.shape
    distances = torch.cdist(plain, plain)
    assert 0 < (torch.cdist(ours, ours) - distances).abs().max() < 0.03 * distances.mean()


@needs_bytes
def test_batches_do_not_show() -> None:
    clips = [film(5), in_rgb(film(3))]
    network = Quantised(folded("alexnet"))
    alone = [describer(network, "alexnet", batch=1).describe([clip])[0] for clip in clips]
    for ours, one in zip(
        describer(network, "alexnet", batch=4).describe(clips), alone, strict=True
    ):
        torch.testing.assert_close(ours, one, rtol=1e-5, atol=1e-5)


def test_ranges_are_the_largest_values_that_go_in() -> None:
    network = folded("alexnet")
    looks = calibration(ARCHITECTURES["alexnet"].geometry)
    assert all(
        torch.equal(a, b)
        for a, b in zip(looks, calibration(ARCHITECTURES["alexnet"].geometry), strict=True)
    ), "always the same"
    found = ranges(network, looks)
    with torch.no_grad():
        x = network.first(torch.cat(looks)).relu()
        expected = []
        for layer in network.rest:
            if isinstance(layer, nn.Conv2d):
                expected.append(float(x.max()))
            x = layer(x)
    assert found == pytest.approx(expected, rel=1e-5)
    assert len(found) == 4


def weights_file(folder: Path) -> Path:
    from safetensors.torch import save_file

    torch.manual_seed(0)
    state = {
        k: torch.randn(v.shape) * (2 / max(1, v[0].numel())) ** 0.5
        for k, v in ARCHITECTURES["alexnet"].build().state_dict().items()
    }
    save_file(state, folder / "alexnet.safetensors")
    return folder / "alexnet.safetensors"


@needs_bytes
@pytest.mark.skipif(
    not precision.has_int8(CPU), reason="this processor has no instructions for bytes"
)
def test_the_eye_takes_it_when_asked(tmp_path: Path) -> None:
    eye = load_eye(
        EyeSettings(network_weights=weights_file(tmp_path), precision="int8"), load_classes()
    )
    assert eye.parts.features.name == "alexnet conv5 int8"
    assert eye.arithmetic.startswith("frame features in int8")
    (seen,) = eye.see([film(12)])
    assert len(seen.keyframes) == 4


def test_without_the_instructions_float_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "has_int8", lambda _: False)
    eye = load_eye(
        EyeSettings(network_weights=weights_file(tmp_path), precision="int8"), load_classes()
    )
    assert eye.parts.features.name == "alexnet conv5"


def load_classes():  # type: ignore[no-untyped-def]
    from av_tagger.labels import dcase2017

    return dcase2017()


def test_fast_asks_for_whole_numbers_and_a_word_overrules_it() -> None:
    assert configure(flags={"fast": True}).eye_settings.precision == "int8"
    assert (
        configure(flags={"fast": True, "eye": {"precision": "bf16"}}).eye_settings.precision
        == "bfloat16"
    )
    assert configure().eye_settings.precision == "auto"


@needs_bytes
def test_key_frames_of_real_film_cost_next_to_nothing_more(shared: Path) -> None:
    """Trained network, real video: int8 key frames cover the film to 1 % in float distances."""
    from av_tagger.clip import Clip
    from av_tagger.media import make_backend
    from av_tagger.protocols import DecodeRequest

    weights = shared / "data" / "weights" / "bvlc_alexnet_features_q7.safetensors"
    films = sorted((shared / "data" / "media" / "videos").glob("*boat*")) + sorted(
        (shared / "data" / "media" / "videos").glob("*hitting*")
    )
    if not weights.exists() or len(films) < 3:
        pytest.skip("the trained AlexNet or the films are not among the optional material")
    settings = EyeSettings(network="alexnet_grouped", network_weights=weights)
    plain = load_features(settings, Compute(16, CPU))
    network = plain.network
    assert isinstance(network, Folded)
    whole = NetworkFeatures("whole", Quantised(network), plain.geometry, Compute(16, CPU))
    for path in films:
        media = next(
            iter(
                make_backend("pyav").windows(
                    Clip(path), DecodeRequest(audio_rate=None, frame_rate=8.0)
                )
            )
        )
        assert media.frames is not None
        D, E = (
            torch.cdist(f, f).numpy()
            for f in (d.describe([media.frames])[0] for d in (plain, whole))
        )
        ours, best = (float(D[representatives(m, 4).rows].min(axis=0).sum()) for m in (E, D))
        assert ours <= 1.01 * best
        assert np.abs(E - D).max() > 0

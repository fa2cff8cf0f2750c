"""The CRNN: parameter count, rate, wrong settings."""

from __future__ import annotations

import pytest
import torch

from av_tagger.audio.architecture import EarArchitecture, FeatureShape
from av_tagger.audio.extractors import EXTRACTORS
from av_tagger.audio.extractors.crnn import Crnn, CrnnSettings
from av_tagger.audio.network import build_network

SHAPE = FeatureShape(channels=1, bands=60, rate=200.0)


def closed_form(s: CrnnSettings, shape: FeatureShape, classes: int) -> int:
    """Convolutions (no bias before a batch norm), norms, both directions of the GRU."""
    total, before = 0, shape.channels
    for width in s.channels:
        total += before * width * s.kernel[0] * s.kernel[1] + (2 * width if s.batch_norm else width)
        before = width
    wide = s.channels[-1] * s.bands_left(shape.bands)
    for layer in range(s.layers):
        fed = wide if layer == 0 else 2 * s.units
        total += 2 * 3 * (s.units * fed + s.units * s.units + 2 * s.units)
    return total + 2 * s.units * classes + classes


@pytest.mark.parametrize(
    "settings",
    [
        CrnnSettings(),
        CrnnSettings(
            channels=(8, 12),
            pools=((5, 3), (4, 5)),
            kernel=(5, 3),
            units=7,
            layers=2,
            batch_norm=False,
        ),
    ],
)
def test_parameter_count(settings: CrnnSettings) -> None:
    table = {"channels": settings.channels, "pools": settings.pools, "kernel": settings.kernel}
    table |= {"units": settings.units, "layers": settings.layers, "batch_norm": settings.batch_norm}
    network = build_network(EarArchitecture(17, extractor_settings=table))
    assert sum(p.numel() for p in network.parameters()) == closed_form(settings, SHAPE, 17)


def test_the_default_is_small() -> None:
    count = closed_form(CrnnSettings(), SHAPE, 17)
    assert count == 382_025
    assert 4 * count < 5_000_000  # bytes in fp32


def test_200_frames_per_second_become_10_instances() -> None:
    crnn = Crnn(SHAPE, CrnnSettings()).eval()
    assert (crnn.stride, crnn.rate, crnn.width) == (20, 10.0, 200)
    with torch.inference_mode():
        assert crnn(torch.zeros(2, 1, 2000, 60)).shape == (2, 100, 200)
        assert crnn(torch.zeros(1, 1, 20, 60)).shape == (1, 1, 200)


def test_dropout_follows_each_pool_and_the_gru() -> None:
    crnn = Crnn(SHAPE, CrnnSettings())
    kinds = [type(m).__name__ for m in crnn.convolutions]
    pools = [i for i, kind in enumerate(kinds) if kind == "MaxPool2d"]
    assert len(pools) == 4
    assert all("Dropout" in kinds[i : i + 3] for i in pools)
    assert {m.p for m in crnn.modules() if isinstance(m, torch.nn.Dropout)} == {0.2}
    assert isinstance(crnn.dropout, torch.nn.Dropout)


def test_relu_after_pooling_equals_relu_before_it() -> None:
    x = torch.randn(1, 2, 8, 8)
    assert torch.equal(torch.relu(torch.max_pool2d(x, 2)), torch.max_pool2d(torch.relu(x), 2))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"channels": (8,)}, "one pool per convolution"),
        ({"channels": (8, 0, 8, 8)}, "channels must be positive"),
        ({"kernel": (2, 3)}, "kernel sides must be odd"),
        ({"dropout": 1.0}, "dropout must be in"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CrnnSettings(**wrong)  # type: ignore[arg-type]


def test_pools_that_leave_no_band_are_refused() -> None:
    with pytest.raises(ValueError, match="leaves none of the 40 bands"):
        Crnn(FeatureShape(1, 40, 200.0), CrnnSettings())


def test_it_is_listed_by_name() -> None:
    assert EXTRACTORS["crnn"] is Crnn

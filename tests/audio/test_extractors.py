"""Extractors: parameter counts of the papers, shapes, receptive fields."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

from av_tagger.audio.architecture import EarArchitecture, FeatureShape
from av_tagger.audio.extractors import EXTRACTORS
from av_tagger.audio.extractors.bcresnet import PartNorm
from av_tagger.audio.extractors.fuse import ResNorm
from av_tagger.audio.network import MilNetwork, build_network
from av_tagger.errors import UsageError
from av_tagger.networks import folded

SMALL: dict[str, tuple[dict[str, Any], FeatureShape]] = {
    "crnn": ({"channels": (4,), "pools": ((2, 4),), "units": 3}, FeatureShape(1, 16, 10.0)),
    "dense": ({"widths": (5, 7), "context": 3}, FeatureShape(2, 16, 10.0)),
    "bilstm": ({"units": 3, "layers": 2}, FeatureShape(1, 16, 10.0)),
    "vgg3": (
        {"groups": ((4,), (4,)), "pools": ((2, 2), (2, 2)), "dense": (6, 5), "frames": 10},
        FeatureShape(2, 16, 10.0),
    ),
    "fuse": ({"channels": (4, 6, 8)}, FeatureShape(1, 16, 10.0)),
    "vgg-like": ({"channels": (4, 6), "width": 5}, FeatureShape(1, 16, 10.0)),
    "resnet": ({"blocks": (1, 2), "channels": (4, 6)}, FeatureShape(1, 16, 10.0)),
    "bc-resnet": ({"channels": 4, "blocks": (1, 1, 1, 1), "parts": 2}, FeatureShape(1, 16, 10.0)),
}
ALL = pytest.mark.parametrize("name", sorted(EXTRACTORS))
ALONE = (
    "dense",
    "vgg3",
)  # instances that know nothing of their neighbours, but for a context of frames


def network(name: str, **more: Any) -> MilNetwork:
    torch.manual_seed(0)
    settings, shape = SMALL[name]
    return build_network(
        EarArchitecture(3, name, settings, frontend=None, features=shape, **more)
    ).eval()


def count(name: str, settings: dict[str, Any], shape: tuple[int, int], classes: int) -> int:
    with torch.device("meta"):
        built = build_network(
            EarArchitecture(
                classes, name, settings, frontend=None, features=FeatureShape(*shape, 100.0)
            )
        )
    return sum(p.numel() for p in built.parameters())


def dense(*widths: int) -> int:
    return sum(a * b + b for a, b in pairwise(widths))


def convolution(before: int, after: int, cells: int, bias: bool = True, norm: bool = True) -> int:
    return before * after * cells + bias * after + norm * 2 * after


def test_small_counts() -> None:
    assert (
        count("dense", {"widths": (50, 50), "context": 5}, (1, 40), 17)
        == dense(200, 50, 50, 17)
        == 13_467
    )  # 13 K
    assert (
        count("dense", {"widths": (512, 512, 256, 128)}, (1, 512), 17)
        == dense(512, 512, 512, 256, 128, 17)
        == 691_729
    )  # 700 K
    assert (
        count("dense", {"widths": (512, 512, 256, 128)}, (1, 128), 17)
        == dense(128, 512, 512, 256, 128, 17)
        == 495_121
    )
    lstm = 2 * sum(4 * 305 * (n + 305) + 8 * 305 for n in (512, 610, 610))
    assert count("bilstm", {}, (1, 512), 17) == lstm + dense(610, 17) == 6_483_707  # 6.5 M
    sides = [(2, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256)]
    convolutions = sum(convolution(a, b, 9) for a, b in sides)
    assert (
        count("vgg3", {}, (2, 64), 17)
        == convolutions + dense(256 * 6 * 5, 3072, 1024, 17)
        == 28_497_425
    )  # 29 M
    assert count("vgg3", {"dense": (3072, 1024, 512)}, (1, 128), 17) == convolutions - 576 + dense(
        256 * 60, 3072, 1024, 512, 17
    )


def test_fuse_counts() -> None:
    sides = [(1, 32), (32, 64), (64, 128), (128, 256)]
    modules = sum(convolution(a, b, 1) + 3 * 2 * (3 * b + b + 2 * b) for a, b in sides)
    instances = 256 * 32 + 3 * 256 + dense(256, 256)
    assert (
        count("fuse", {}, (1, 256), 10) == modules + instances + dense(256, 10) == 139_082
    )  # 139 K
    pairs = [(1, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)]
    vgg = sum(convolution(a, b, 9) for a, b in pairs) + dense(256, 10) + 256
    assert count("vgg-like", {}, (1, 40), 10) == vgg + 5 * 128 * 256 == 453_994  # 454 K
    assert count("vgg-like", {}, (1, 256), 10) == vgg + 32 * 128 * 256 == 1_338_730  # 1.34 M


def test_residual_counts() -> None:
    blocks = [(8, 8)] * 3 + [(8, 16)] + [(16, 16)] * 2 + [(16, 32)] + [(32, 32)] * 2 + [(32, 64)]
    residual = sum(
        9 * a * b + 9 * b * b + 4 * b + (a * b + 2 * b if a != b else 0) for a, b in blocks
    )
    instances = 64 * 32 + 3 * 64 + dense(64, 64)
    assert count("resnet", {}, (1, 256), 10) == convolution(
        1, 8, 9, bias=False
    ) + residual + instances + dense(64, 10)


def test_bc_resnet_has_the_parameters_of_its_own_paper() -> None:
    with torch.device("meta"):
        extractor = EXTRACTORS["bc-resnet"](
            FeatureShape(1, 256, 100.0), EXTRACTORS["bc-resnet"].Settings()
        )
    numbers = {
        name: sum(p.numel() for p in part.parameters()) for name, part in extractor.named_children()
    }
    blocks = [
        (160, 80),
        (80, 80),
        (80, 120),
        (120, 120),
        (120, 160),
        (160, 160),
        (160, 200),
        (200, 200),
        (200, 200),
    ]
    trunk = sum(b * b + 16 * b + (a * b + 2 * b if a != b else 0) for a, b in blocks)
    assert numbers["stages"] == trunk
    assert (
        numbers["stem"] + numbers["stages"] + 200 * 10 == 314_960
    )  # 315 K with a pointwise classifier, FUSE Table 9


@ALL
def test_instances_are_in_order_of_time(name: str) -> None:
    built = network(name)
    stride = built.extractor.stride
    _, shape = SMALL[name]
    with torch.inference_mode():
        heard = built(torch.randn(2, shape.channels, 6 * stride, shape.bands))
    assert heard.instances.shape == (2, 6, 3)
    assert heard.embeddings.shape == (2, 6, built.extractor.width)
    assert built.extractor.rate == shape.rate / stride
    assert built.extractor.level_widths[-1] == built.extractor.width
    levels = built.extractor.levels(torch.randn(1, shape.channels, 2 * stride, shape.bands))
    assert tuple(level.shape[2] for level in levels) == built.extractor.level_widths


@ALL
def test_every_parameter_gets_a_gradient(name: str) -> None:
    built = network(name, pooling="mean").train()
    _, shape = SMALL[name]
    built(
        torch.randn(3, shape.channels, 4 * built.extractor.stride, shape.bands)
    ).bags.square().sum().backward()
    assert [
        n
        for n, p in built.named_parameters()
        if p.grad is None or not bool(torch.isfinite(p.grad).all())
    ] == []
    assert sum(float(p.grad.abs().sum()) > 0 for p in built.parameters() if p.grad is not None) > 2


@pytest.mark.parametrize("name", ALONE)
def test_instances_do_not_depend_on_later_frames(name: str) -> None:
    built = network(name)
    settings, shape = SMALL[name]
    stride, reach = built.extractor.stride, settings.get("context", 1) // 2
    x = torch.randn(1, shape.channels, 6 * stride, shape.bands)
    other = x.clone()
    other[:, :, 3 * stride :] += 1
    with torch.inference_mode():
        before, after = built(x).instances, built(other).instances
    known = 3 - reach
    torch.testing.assert_close(before[:, :known], after[:, :known])
    assert float((before[:, 3:] - after[:, 3:]).abs().max()) > 1e-5


def test_recurrent_instances_depend_on_the_whole_bag() -> None:
    x = torch.randn(1, 1, 6, 16)
    other = x.clone()
    other[:, :, -1] += 1
    with torch.inference_mode():
        assert (
            float(
                (network("bilstm")(x).instances - network("bilstm")(other).instances)[:, 0]
                .abs()
                .max()
            )
            > 1e-7
        )


def test_context_repeats_the_edge_frames() -> None:
    extractor = EXTRACTORS["dense"](
        FeatureShape(1, 2, 1.0), EXTRACTORS["dense"].Settings(widths=(), context=3)
    )  # type: ignore[call-arg]
    x = torch.arange(6.0).reshape(1, 1, 3, 2)
    assert extractor(x)[0].tolist() == [[0, 1, 0, 1, 2, 3], [0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 4, 5]]


def test_depth_zero_leaves_the_features_as_instances() -> None:
    extractor = EXTRACTORS["dense"](
        FeatureShape(1, 4, 1.0), EXTRACTORS["dense"].Settings(widths=())
    )  # type: ignore[call-arg]
    x = torch.randn(2, 1, 3, 4)
    torch.testing.assert_close(extractor(x), x[:, 0])
    assert extractor.level_widths == (4,)


def test_segments_are_independent() -> None:
    built = network("vgg3")
    x = torch.randn(1, 2, 40, 16)
    with torch.inference_mode():
        whole, third = built(x).instances[:, 2], built(x[:, :, 20:30]).instances[:, 0]
    torch.testing.assert_close(whole, third)


def test_parts_of_the_spectrum_are_normalised_separately() -> None:
    x = torch.randn(3, 2, 5, 8)
    x[..., 4:] = x[..., 4:] * 7 + 30
    parts = PartNorm(2, 2).train()(x)
    expected = torch.cat(
        [
            torch.nn.functional.batch_norm(half, None, None, training=True)
            for half in (x[..., :4], x[..., 4:])
        ],
        dim=3,
    )
    torch.testing.assert_close(parts, expected)


def test_residual_norm_removes_offsets_of_bands() -> None:
    x = torch.randn(2, 1, 50, 4)
    device = torch.tensor([3.0, -2.0, 0.5, 9.0])
    plain = ResNorm(0.0)
    torch.testing.assert_close(plain(x + device), plain(x), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ResNorm(0.1)(x), plain(x) + 0.1 * x)
    normed = network("fuse", residual_norm=0.0)
    with torch.inference_mode():
        torch.testing.assert_close(
            normed(x.repeat(1, 1, 1, 4) + 5).bags,
            normed(x.repeat(1, 1, 1, 4)).bags,
            atol=1e-4,
            rtol=1e-4,
        )


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("dense", {"context": 2}, "odd"),
        ("dense", {"width": (3,)}, "did you mean 'widths'"),
        ("vgg3", {"frames": 3}, "leaves nothing"),
        ("fuse", {"channels": (4,) * 6}, "none of the 16 bands"),
        ("vgg-like", {"channels": (4,) * 6}, "none of the 16 bands"),
        ("resnet", {"blocks": (1, 1)}, "number of blocks and channels per group"),
        ("bc-resnet", {"parts": 3}, "not a multiple"),
        ("bilstm", {"layers": 0}, "positive"),
    ],
)
def test_wrong_settings_are_refused(name: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build_network(
            EarArchitecture(3, name, settings, frontend=None, features=FeatureShape(1, 16, 10.0))
        )


@ALL
def test_folded_batch_norms_give_the_same_output(name: str) -> None:
    built = network(name)
    draw = torch.Generator().manual_seed(2)
    for norm in (m for m in built.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.normal_(generator=draw)
        norm.running_var.uniform_(0.5, 2.0, generator=draw)
    _, shape = SMALL[name]
    x = torch.randn(2, shape.channels, 3 * built.extractor.stride + 1, shape.bands, generator=draw)
    with torch.inference_mode():
        torch.testing.assert_close(
            folded(built)(x).instances, built(x).instances, atol=1e-5, rtol=1e-4
        )

"""Preprocessing: torchvision's on RGB, and the same from a decoder's YUV planes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from av_tagger.clip import ColourMatrix, Frames
from av_tagger.video.alexnet import ARCHITECTURES, IMAGENET_MEAN, IMAGENET_STD, Geometry
from av_tagger.video.features import Compute, NetworkFeatures
from av_tagger.video.folded import First, Folded, Thumbnail
from av_tagger.video.pixels import converted, prepare, split_planes
from tests.assets import as_planes, in_rgb, smooth_pictures

CPU = torch.device("cpu")
ALEXNET = ARCHITECTURES["alexnet"].geometry
MEAN, STD = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
LUMAS = [ColourMatrix(), ColourMatrix(0.2126, 0.0722), ColourMatrix(full=True)]
SIZES = [(342, 608), (360, 640), (240, 320), (480, 854), (640, 360), (256, 256), (720, 1280)]


def test_preparation_is_torchvision_s() -> None:
    from torchvision.models import AlexNet_Weights
    from torchvision.transforms.v2 import functional as T

    library = AlexNet_Weights.IMAGENET1K_V1.transforms()
    for shape in ((342, 608), (300, 270), (256, 256), (90, 400), (257, 301)):
        images = smooth_pictures(2, *shape)
        ours = prepare(Frames(images, np.arange(2.0)), np.arange(2), ALEXNET, CPU).values
        whole = torch.from_numpy(images).permute(0, 3, 1, 2)
        torch.testing.assert_close(
            ours, T.center_crop(T.resize(whole, [256], antialias=True), [224]), rtol=0, atol=0
        )
        of_pillow = torch.stack([library(Image.fromarray(image)) for image in images])
        levels = 255 * (of_pillow * STD + MEAN)
        assert (ours - levels).abs().max() < 1.01  # at most one level of 255 apart


@pytest.mark.parametrize("luma", LUMAS)
@pytest.mark.parametrize("size", SIZES)
def test_planes_show_the_same_picture(size: tuple[int, int], luma: ColourMatrix) -> None:
    """Resized and cropped as planes or as RGB: the same but for roundings and for how colour
    differences are spread.
    """
    frames = as_planes(smooth_pictures(5, *size), luma)
    ours, plain = (prepare(f, np.arange(5), ALEXNET, CPU) for f in (frames, in_rgb(frames)))
    assert ours.luma == luma
    assert ours.values.shape == plain.values.shape == (5, 3, 224, 224)
    off = (ours.rgb() - plain.values).abs()
    assert off.mean() < 1.5
    assert off.max() < 12


@pytest.mark.parametrize("size", SIZES)
def test_luma_is_the_library_s_resize(size: tuple[int, int]) -> None:
    """Only what the crop needs is resized, and where it begins cannot be seen: the whole plane
    resized and then cropped is the oracle.
    """
    from torchvision.transforms.v2 import functional as T

    frames = as_planes(
        np.random.default_rng(1).integers(0, 256, (6, *size, 3), dtype=np.uint8), ColourMatrix()
    )
    ours = prepare(frames, np.arange(6), ALEXNET, CPU).values[:, 0]
    whole = torch.from_numpy(np.ascontiguousarray(frames.planes()[0]))[:, None]
    oracle = T.center_crop(T.resize(whole, [256], antialias=True), [224])[:, 0]
    off = (ours.int() - oracle.int()).abs()
    assert off.float().mean() < 0.1  # of pure noise; a cut may lie a hundredth of a pixel off
    assert off.max() <= 2


@pytest.mark.parametrize("rows", [[0], [1, 2], [0, 1, 2, 3], [0, 2, 3, 4, 6], [5, 6]])
def test_any_rows_in_any_number(rows: list[int]) -> None:
    """Four are resized at a time: who the others are does not show."""
    frames = as_planes(smooth_pictures(7, 270, 480), ColourMatrix())
    all_of_them = prepare(frames, np.arange(7), ALEXNET, CPU).values
    assert torch.equal(prepare(frames, np.array(rows), ALEXNET, CPU).values, all_of_them[rows])


def test_another_way_of_resizing_goes_through_rgb() -> None:
    frames = as_planes(smooth_pictures(2, 270, 480), ColourMatrix())
    bicubic = Geometry(256, 224, mode="bicubic")
    ours, plain = (prepare(f, np.arange(2), bicubic, CPU) for f in (frames, in_rgb(frames)))
    assert ours.luma is None
    assert torch.equal(ours.values, plain.values)


def network() -> Folded:
    torch.manual_seed(0)
    built = ARCHITECTURES["alexnet"].build()
    for layer in built:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return Folded(built[:12], ALEXNET)


@pytest.mark.parametrize("luma", LUMAS)
def test_a_first_convolution_for_planes_is_the_one_for_colours(luma: ColourMatrix) -> None:
    """conv' on planes against the plain convolution on what the planes mean, border included:
    linear algebra, so exact.
    """
    folded = network()
    plain = folded.first_for(None)
    planes = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    matrix, zero = torch.from_numpy(luma.matrix).float(), torch.tensor([luma.black, 128.0, 128.0])
    rgb = torch.einsum(
        "rc,nchw->nrhw", matrix, planes - zero[:, None, None]
    )  # beyond 0..255 in places: nothing is clipped here
    x = torch.nn.functional.pad((rgb / 255 - MEAN) / STD, (2, 2, 2, 2))
    oracle = torch.nn.functional.conv2d(
        x, folded._plain[0].weight, folded._plain[0].bias, stride=4
    ).detach()
    first = folded.first_for(luma)
    assert isinstance(first, First)
    assert first is not plain
    assert folded.first_for(luma) is first, "made once"
    torch.testing.assert_close(
        first(planes.to(torch.uint8)), oracle, rtol=1e-4, atol=1e-4 * float(oracle.abs().max())
    )


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_features_of_planes_are_those_of_the_colours(kind: torch.dtype) -> None:
    frames = as_planes(smooth_pictures(6, 360, 640), ColourMatrix())
    describer = NetworkFeatures("alexnet", network(), ALEXNET, Compute(4, CPU, kind))
    ours, plain = (describer.describe([f])[0] for f in (frames, in_rgb(frames)))
    distances = torch.cdist(plain, plain)
    assert (torch.cdist(ours, ours) - distances).abs().max() < 0.02 * distances.mean()


def test_clips_of_several_forms_in_one_call() -> None:
    """Each form in batches of its own; every clip gets what it would get alone."""
    clips = [
        as_planes(smooth_pictures(3, 270, 480), LUMAS[0]),
        in_rgb(as_planes(smooth_pictures(2, 256, 300), LUMAS[1])),
    ]
    clips += [
        as_planes(smooth_pictures(5, 300, 300), LUMAS[0]),
        as_planes(smooth_pictures(2, 256, 300), LUMAS[2]),
    ]
    describer = NetworkFeatures("alexnet", network(), ALEXNET, Compute(4, CPU, torch.float32))
    batches: list[tuple[int, ColourMatrix | None]] = []
    describer.network.register_forward_pre_hook(
        lambda _, given: batches.append((len(given[0]), given[0].luma))
    )
    together = describer.describe(clips)
    assert batches == [(4, LUMAS[0]), (4, LUMAS[0]), (2, None), (2, LUMAS[2])]
    for ours, clip in zip(together, clips, strict=True):
        torch.testing.assert_close(
            ours, describer.describe([clip])[0], rtol=1e-4, atol=1e-4 * float(ours.max())
        )


def test_a_thumbnail_of_planes() -> None:
    frames = as_planes(smooth_pictures(2, 90, 160), ColourMatrix())
    describer = NetworkFeatures("thumbnail", Thumbnail(), Geometry(16, 16), Compute())
    ours, plain = (describer.describe([f])[0] for f in (frames, in_rgb(frames)))
    assert (ours - plain).abs().max() < 0.02


@pytest.mark.parametrize("luma", LUMAS)
def test_colours_are_converted_on_a_device_as_on_the_host(luma: ColourMatrix) -> None:
    """Of noise, so that all values and their limits occur."""
    planes = np.random.default_rng(0).integers(0, 256, (3, 60, 64), dtype=np.uint8)
    frames = Frames(planes, np.arange(3.0), luma=luma)
    parts = split_planes(torch.from_numpy(planes))
    for ours, plane in zip(parts, frames.planes(), strict=True):
        assert np.array_equal(ours.numpy(), plane)
    ours = converted(parts, luma)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    off = np.abs(ours.permute(0, 2, 3, 1).numpy().astype(int) - frames.rgb().astype(int))
    assert off.max() <= 1
    assert off.mean() < 1e-4, "but for the last bit of a product the steps are the same"

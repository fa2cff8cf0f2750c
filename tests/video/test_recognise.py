"""Classifiers by name: counts, golden numbers, their own preprocessing, strict weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from av_tagger.clip import ColourMatrix, Frames
from av_tagger.errors import UsageError, WeightsError
from av_tagger.protocols import FrameRecogniser, Recogniser
from av_tagger.video import pixels
from av_tagger.video.features import Compute
from av_tagger.video.imagenet import synsets
from av_tagger.video.recognise import (
    Classifier,
    NetworkRecogniser,
    build_classifier,
    load_recogniser,
    load_strictly,
    normalised,
)
from tests.assets import as_planes, smooth_pictures

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def inception() -> Classifier:
    torch.manual_seed(3)
    return build_classifier("inception_v4")


def pictures(n: int, height: int = 342, width: int = 400) -> list[NDArray[np.uint8]]:
    small = np.random.default_rng(5).integers(0, 256, (n, 8, 10, 3), dtype=np.uint8)
    return [
        np.asarray(Image.fromarray(s).resize((width, height), Image.Resampling.BICUBIC))
        for s in small
    ]


def test_inception_v4_is_the_one(inception: Classifier) -> None:
    assert sum(p.numel() for p in inception.network.parameters()) == 42_679_816
    assert len(inception.objects) == 1000
    assert inception.short_side == 341


def test_golden(inception: Classifier) -> None:
    """Weights drawn from a fixed seed: the three largest of 1000 probabilities, and where they
    stand.
    """
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for name, p in inception.network.named_parameters():
            if p.ndim > 1:
                p.copy_(torch.randn(p.shape, generator=generator) * (2 / p[0].numel()) ** 0.5)
            else:
                p.fill_(1.0 if name.endswith("weight") else 0.0)
    found = NetworkRecogniser("inception_v4", inception, Compute(2)).recognise(pictures(1))
    assert found.shape == (1, 1000)
    assert found.sum() == pytest.approx(1, abs=1e-5)
    best = np.argsort(-found[0])[:3]
    assert best.tolist() == GOLDEN_OBJECTS
    np.testing.assert_allclose(found[0, best], GOLDEN_PROBABILITIES, rtol=1e-2)


def test_pictures_are_prepared_as_the_library_does(inception: Classifier) -> None:
    """Resize 341 (bicubic), crop 299, values -1 to 1: by Pillow's own steps."""
    (picture,) = pictures(1, 400, 500)
    small = Image.fromarray(picture).resize((int(341 * 500 / 400), 341), Image.Resampling.BICUBIC)
    left, top = round((small.width - 299) / 2), round((341 - 299) / 2)
    cropped = np.asarray(small.crop((left, top, left + 299, top + 299)), dtype=np.float32)
    expected = torch.from_numpy(cropped / 255 * 2 - 1).permute(2, 0, 1)
    torch.testing.assert_close(
        inception.transform(Image.fromarray(picture)), expected, rtol=0, atol=1e-6
    )


ODD = [(343, 611), (301, 299), (37, 53), (480, 201)]  # sides, enlarged, a narrow strip


@pytest.mark.parametrize("name", ["inception_v4", "mobilenetv2_100", "torchvision:squeezenet1_0"])
def test_a_batch_is_prepared_as_by_the_library(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU bit for bit, on a GPU within a level of 255; harsh noise is the worst case."""
    monkeypatch.setattr(pixels, "in_bytes", pixels.in_floats)  # as on a GPU
    classifier = small_classifier(name)
    assert classifier.geometry is not None
    std = torch.tensor(classifier.geometry.std)[:, None, None]
    for size in [(342, 608), (360, 640), (640, 360), (341, 341), (200, 700), (1080, 1920), *ODD]:
        images = np.stack(noisy(2, *size))
        oracle = torch.stack([classifier.transform(Image.fromarray(image)) for image in images])
        here = pixels.by_pillow(images, classifier.geometry)
        assert here.dtype == torch.uint8
        torch.testing.assert_close(normalised(here, classifier.geometry), oracle, rtol=0, atol=1e-6)
        there = pixels.prepare_rgb(
            torch.from_numpy(images).permute(0, 3, 1, 2), classifier.geometry
        )
        assert there.dtype == torch.uint8
        levels = 255 * (normalised(there, classifier.geometry) - oracle).abs() * std
        assert levels.max() < 1.01
        assert levels.mean() < 0.02


def small_classifier(name: str) -> Classifier:
    """The preprocessing of the named network, in front of a tiny one."""
    found = build_classifier(name)
    return replace(found, network=Tiny())


def noisy(n: int, height: int, width: int) -> list[NDArray[np.uint8]]:
    """Smooth pictures with noise: hard edges between neighbouring pixels."""
    random = np.random.default_rng(1)
    return [
        (image // 2 + random.integers(0, 128, image.shape, dtype=np.uint8)).astype(np.uint8)
        for image in pictures(n, height, width)
    ]


@pytest.mark.parametrize("luma", [None, ColourMatrix(0.2126, 0.0722)])
def test_key_frames_as_decoded_and_as_pictures_are_recognised_alike(
    luma: ColourMatrix | None,
) -> None:
    """Of films of several sizes, in the order of the films and their rows."""
    torch.manual_seed(0)
    network = NetworkRecogniser("tiny", small_classifier("mobilenetv2_100"), Compute(2))
    assert isinstance(network, FrameRecogniser)
    assert not network.reads_frames, "on the CPU pictures are converted once, for people too"
    films = [
        in_planes(5, 342, 608, luma),
        in_planes(3, 240, 320, luma),
        in_planes(4, 342, 608, luma),
    ]
    rows = [np.array([0, 3]), np.array([1]), np.array([2, 3])]
    found = network.recognise_frames(films, rows)
    images = [i for film, chosen in zip(films, rows, strict=True) for i in film.rgb(chosen)]
    np.testing.assert_allclose(found, network.recognise(images), rtol=1e-5)
    alone = [network.recognise([image])[0] for image in images]
    np.testing.assert_allclose(found, alone, rtol=1e-5)


def in_planes(n: int, height: int, width: int, luma: ColourMatrix | None) -> Frames:
    images = smooth_pictures(n, height, width)
    return Frames(images, np.arange(n) / 24) if luma is None else as_planes(images, luma)


def test_a_recogniser_that_is_short_of_memory_gets_fewer_pictures() -> None:
    torch.manual_seed(0)
    looks = pictures(6, 64, 64)
    classifier = tiny()
    expected = NetworkRecogniser("tiny", classifier, Compute(8)).recognise(looks)
    small = NetworkRecogniser("tiny", classifier, Compute(8))

    def choke(_: object, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > 2:
            raise torch.cuda.OutOfMemoryError("made up")

    small.network.register_forward_pre_hook(choke)
    np.testing.assert_allclose(small.recognise(looks), expected, rtol=1e-5)
    assert small.batch.size == 2


class Tiny(nn.Module):
    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.head = nn.Linear(3, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(x.mean((2, 3)))
        return found


def tiny() -> Classifier:
    objects = tuple(f"object {i}" for i in range(1000))
    return Classifier(
        Tiny(),
        lambda picture: torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1) / 255,
        objects,
        64,
    )


def test_batches_do_not_show() -> None:
    torch.manual_seed(0)
    classifier = tiny()
    looks = pictures(5, 64, 64)
    whole = NetworkRecogniser("tiny", classifier, Compute(8)).recognise(looks)
    parts = NetworkRecogniser("tiny", classifier, Compute(2))
    assert isinstance(parts, Recogniser)
    np.testing.assert_allclose(parts.recognise(looks), whole, atol=1e-7)
    assert parts.recognise([]).shape == (0, 1000)
    logits = classifier.network(
        torch.from_numpy(np.stack(looks)).permute(0, 3, 1, 2) / 255
    ).detach()
    np.testing.assert_allclose(whole, torch.softmax(logits, 1).numpy(), rtol=1e-5)


def test_weights_are_loaded_strictly(tmp_path: Path) -> None:
    network = Tiny()
    path = tmp_path / "tiny.pth"
    for wrong in (
        Tiny(999).state_dict(),
        Tiny().state_dict() | {"more": torch.zeros(1)},
        {"head.bias": torch.zeros(1000)},
    ):
        torch.save(wrong, path)
        with pytest.raises(WeightsError, match=r"tiny\.pth: does not fit"):
            load_strictly(network, path)
    torch.save(Tiny().state_dict(), path)
    load_strictly(network, path)


def test_a_background_class_is_cut_off(tmp_path: Path) -> None:
    old, network = Tiny(1001), Tiny()
    torch.save(old.state_dict(), tmp_path / "old.pth")
    load_strictly(network, tmp_path / "old.pth")
    assert torch.equal(network.head.weight, old.head.weight[1:])
    assert torch.equal(network.head.bias, old.head.bias[1:])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("inception_v44", "inception_v4"),
        ("torchvision:squeezenet", "squeezenet1_"),
        ("tim:x", "timm"),
    ],
)
def test_unknown_names_say_what_is_near(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        build_classifier(name)


def test_no_library_is_asked_for_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm.models._builder as builder

    asked: list[object] = []
    monkeypatch.setattr(builder, "load_pretrained", lambda *a, **k: asked.append(a))
    build_classifier("mobilenetv2_100")
    assert asked == []


@pytest.mark.parametrize(
    ("name", "file", "top1"),
    [
        ("mobilenetv2_100", "mobilenetv2_100", 0.68),
        ("torchvision:squeezenet1_0", "squeezenet1_0_torchvision", 0.5),
    ],
)
def test_real_weights_know_real_pictures(shared: Path, name: str, file: str, top1: float) -> None:
    paths = sorted((shared / "data/pictures").glob("n*_*.jpg"))[::4]
    network = load_recogniser(name, shared / f"data/weights/{file}.safetensors", Compute(16))
    found = network.recognise([np.asarray(Image.open(path).convert("RGB")) for path in paths])
    truth = np.array([synsets().index(path.stem.split("_")[0]) for path in paths])
    assert len(paths) == 27
    assert (found.argmax(1) == truth).mean() > top1 - 0.1


GOLDEN_OBJECTS = [880, 141, 232]
GOLDEN_PROBABILITIES = [0.0050738, 0.0036413, 0.0033988]


def test_networks_of_small_filters_keep_full_precision() -> None:
    """A depthwise filter has nine weights, whose roundings do not average out."""
    from av_tagger.video.recognise import bears_rounding

    depthwise = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8))
    dense = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(32, 8, 1))
    assert not bears_rounding(depthwise)
    assert bears_rounding(dense)
    half = Compute(2, dtype=torch.bfloat16)
    assert NetworkRecogniser("tiny", tiny(), half).how.dtype == torch.bfloat16
    assert (
        NetworkRecogniser("mobilenet", build_classifier("mobilenetv2_100"), half).how.dtype
        == torch.float32
    )

"""Frame features: the two AlexNets, raw pixels against normalised ones, batches, repeats,
thumbnails.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from av_tagger.clip import Frames
from av_tagger.errors import UsageError, WeightsError
from av_tagger.protocols import FrameFeatures
from av_tagger.state_file import read_state
from av_tagger.video.alexnet import (
    ARCHITECTURES,
    IMAGENET_MEAN,
    IMAGENET_STD,
    ResponseNorm,
    keep_convolutions,
    load_convolutions,
    trim,
)
from av_tagger.video.branch import EyeSettings
from av_tagger.video.eyes import load_features
from av_tagger.video.features import THUMBNAIL, Compute, NetworkFeatures
from av_tagger.video.folded import Folded, Normalised
from av_tagger.video.load import thumbnail
from av_tagger.video.pixels import Pixels, prepare

CPU = torch.device("cpu")
torch.set_num_threads(1)  # small work: threads would only wait for each other
MEAN, STD = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))


def film(n: int, height: int = 270, width: int = 300, seed: int = 0) -> Frames:
    """Smooth pictures, each of its own."""
    small = np.random.default_rng(seed).integers(0, 256, (n, 9, 12, 3), dtype=np.uint8)
    images = np.stack(
        [
            np.asarray(Image.fromarray(s).resize((width, height), Image.Resampling.BICUBIC))
            for s in small
        ]
    )
    return Frames(images, np.arange(n) / 24)


def seeded(name: str) -> dict[str, Tensor]:
    """He-scaled weights: every layer keeps the size of its signal."""
    torch.manual_seed(7)
    state = ARCHITECTURES[name].build().state_dict()
    return {
        k: torch.randn(v.shape) * (2 / v[0].numel()) ** 0.5
        if v.ndim > 1
        else 0.1 * torch.randn(v.shape)
        for k, v in state.items()
    }


def describer(
    name: str = "alexnet", layer: str = "conv5", batch: int = 4, kind: torch.dtype = torch.float32
) -> NetworkFeatures:
    architecture = ARCHITECTURES[name]
    folded = Folded(architecture.up_to(layer, seeded(name)), architecture.geometry)
    return NetworkFeatures(name, folded, architecture.geometry, Compute(batch, CPU, kind))


@pytest.fixture(scope="module")
def library():  # type: ignore[no-untyped-def]
    from torchvision import models

    with torch.device("meta"):
        return models.alexnet(weights=None)


def test_alexnet_is_the_library_s(library) -> None:  # type: ignore[no-untyped-def]
    """61,100,840 parameters in all; of them our five layers by the closed form; the same names, the
    same shapes.
    """
    assert sum(p.numel() for p in library.parameters()) == 61_100_840
    ours = ARCHITECTURES["alexnet"].build().state_dict()
    assert {k: v.shape for k, v in ours.items()} == {
        k: v.shape for k, v in library.features.state_dict().items()
    }
    convolutions = [(3, 64, 11), (64, 192, 5), (192, 384, 3), (384, 256, 3), (256, 256, 3)]
    assert (
        sum(v.numel() for v in ours.values())
        == sum(a * b * k * k + b for a, b, k in convolutions)
        == 2_469_696
    )


def test_the_grouped_one_has_half_of_three_layers() -> None:
    convolutions = [
        (3, 96, 11, 1),
        (96, 256, 5, 2),
        (256, 384, 3, 1),
        (384, 384, 3, 2),
        (384, 256, 3, 2),
    ]
    expected = sum(a // groups * b * k * k + b for a, b, k, groups in convolutions)
    assert (
        sum(v.numel() for v in ARCHITECTURES["alexnet_grouped"].build().state_dict().values())
        == expected
        == 2_334_080
    )


def test_the_same_weights_give_the_library_s_output(library) -> None:  # type: ignore[no-untyped-def]
    network = library.features.to_empty(device="cpu").eval()
    network.load_state_dict(seeded("alexnet"))
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(
            ARCHITECTURES["alexnet"].up_to("pool5", seeded("alexnet"))(x), network(x)
        )
        assert ARCHITECTURES["alexnet"].up_to("conv5", seeded("alexnet"))(x).shape == (
            1,
            256,
            13,
            13,
        )
        assert ARCHITECTURES["alexnet"].up_to("conv2", seeded("alexnet"))(x).shape == (
            1,
            192,
            27,
            27,
        )


def test_response_normalisation_is_torch_s() -> None:
    x = 30 * torch.randn(2, 12, 5, 4)
    torch.testing.assert_close(ResponseNorm()(x), nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0)(x))


@pytest.mark.parametrize("name", ["alexnet", "alexnet_grouped"])
def test_golden(name: str) -> None:
    """Seeded weights and pictures gave these numbers when the network was checked against the
    library.
    """
    found = describer(name).describe([film(2)])[0]
    assert found.shape == (2, 13 * 13 * 256)
    np.testing.assert_allclose(
        [float(found.mean()), float(found.std()), float(torch.dist(*found))],
        GOLDEN[name],
        rtol=2e-3,
    )


@pytest.mark.parametrize("name", ["alexnet", "alexnet_grouped"])
def test_folded_is_unfolded(name: str) -> None:
    architecture = ARCHITECTURES[name]
    pixels = prepare(film(3), np.arange(3), architecture.geometry, CPU)
    with torch.no_grad():
        plain = architecture.up_to("conv5", seeded(name))(
            (pixels.values / 255 - MEAN) / STD
        ).flatten(1)
        folded = Folded(architecture.up_to("conv5", seeded(name)), architecture.geometry)(pixels)
        also = Normalised(architecture.up_to("conv5", seeded(name)), architecture.geometry)(pixels)
    torch.testing.assert_close(folded, plain, rtol=1e-4, atol=1e-4 * float(plain.max()))
    torch.testing.assert_close(also, plain, rtol=1e-4, atol=1e-4 * float(plain.max()))


def test_half_the_bits_keep_the_distances() -> None:
    clip = film(6)
    full, half = (
        describer(kind=kind).describe([clip])[0] for kind in (torch.float32, torch.bfloat16)
    )
    assert half.dtype == torch.float32
    exact = torch.cdist(full, full)
    assert (torch.cdist(half, half) - exact).abs().max() < 0.01 * exact.mean()


def test_batches_do_not_show() -> None:
    clips = [film(3, seed=1), film(1, 256, 320, seed=2), film(6, 300, 256, seed=3)]
    one_by_one = [describer(batch=1).describe([clip])[0] for clip in clips]
    for batch in (2, 4, 64):
        for ours, alone in zip(describer(batch=batch).describe(clips), one_by_one, strict=True):
            torch.testing.assert_close(ours, alone, rtol=1e-5, atol=1e-5)


def test_repeated_frames_are_computed_once() -> None:
    clip = film(3)
    images = clip.images[[0, 1, 0, 0, 2, 1]].copy()
    images[3, 130:140, 145:155, 0] ^= 255  # almost a repeat
    network = describer()
    seen: list[int] = []
    network.network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    features = network.describe([Frames(images, np.arange(6) / 24)])[0]
    assert sum(seen) == 4
    assert torch.equal(features[0], features[2])
    assert not torch.equal(features[0], features[3])


def test_repeats_that_the_decoder_found_are_not_looked_for_again() -> None:
    """Told that frames are equal, the network believes it."""
    clip = replace(film(4), first_equal=np.array([0, 1, 1, 0]))
    features = describer().describe([clip])[0]
    assert torch.equal(features[0], features[3])
    assert torch.equal(features[1], features[2])


def test_a_card_that_is_short_of_memory_gets_fewer_pictures() -> None:
    """A network that bears three pictures at once, and no more."""
    clips = [film(5, seed=1), film(8, seed=2)]
    expected = describer(batch=16).describe(clips)
    small = describer(batch=16)
    sizes: list[int] = []

    def choke(_: object, inputs: tuple[Pixels, ...]) -> None:
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > 3:
            raise torch.cuda.OutOfMemoryError("made up")

    small.network.register_forward_pre_hook(choke)
    for ours, whole in zip(small.describe(clips), expected, strict=True):
        torch.testing.assert_close(ours, whole, rtol=1e-5, atol=1e-5)
    assert sizes[:2] == [13, 8]
    assert max(sizes[3:]) <= 3
    before = len(sizes)
    small.describe(clips)
    assert max(sizes[before:]) <= 2, "the smaller batch is kept"


def test_a_card_without_any_memory_is_an_error() -> None:
    def choke(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError("made up")

    small = describer(batch=16)
    small.network.register_forward_pre_hook(choke)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        small.describe([film(2)])


def test_a_thumbnail_needs_no_weights() -> None:
    describe = load_features(EyeSettings(network="thumbnail"), Compute())
    assert isinstance(describe, FrameFeatures)
    found = describe.describe([film(2), film(1)])
    assert [tuple(f.shape) for f in found] == [(2, 3 * 16 * 16), (1, 3 * 16 * 16)]
    expected = torch.from_numpy(film(1, 16, 16).images[0].copy()).permute(2, 0, 1).flatten() / 255
    torch.testing.assert_close(thumbnail(Compute()).describe([film(1, 16, 16)])[0][0], expected)
    assert THUMBNAIL.crop == 16


def test_any_network_of_timm_takes_alexnet_s_place(tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    network = timm.create_model("resnet10t", pretrained=False).eval()
    path = tmp_path / "resnet10t.safetensors"
    save_file(network.state_dict(), path)
    ours = load_features(EyeSettings(network="timm:resnet10t", network_weights=path), Compute(2))
    clip = film(2, 201, 240)
    found = ours.describe([clip])[0]
    config = timm.data.resolve_model_data_config(network)
    x = torch.stack(
        [timm.data.create_transform(**config)(Image.fromarray(image)) for image in clip.images]
    )
    with torch.no_grad():
        expected = network.forward_head(network.forward_features(x), pre_logits=True)
    assert found.shape == expected.shape == (2, 512)
    assert (
        torch.dist(found, expected) < 0.02 * expected.norm()
    )  # resized by torch here, by Pillow there


def test_only_the_convolutions_are_kept(tmp_path: Path) -> None:
    full = {f"features.{k}": v for k, v in seeded("alexnet").items()} | {
        "classifier.1.weight": torch.zeros(8, 4)
    }
    torch.save(full, tmp_path / "full.pth")
    keep_convolutions(tmp_path / "full.pth", tmp_path / "kept.safetensors")
    assert (tmp_path / "kept.safetensors").stat().st_size < 10_000_000
    for path in ("full.pth", "kept.safetensors"):
        assert all(
            torch.equal(v, seeded("alexnet")[k])
            for k, v in load_convolutions(tmp_path / path, "alexnet").items()
        )
    with pytest.raises(WeightsError, match="is not alexnet_grouped"):
        load_convolutions(tmp_path / "kept.safetensors", "alexnet_grouped")


class Boom:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("unpickled",)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_that_are_no_weights_are_named(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"odd{suffix}"
    for content in (b"", b"hello", bytes(200)):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="odd"):
            read_state(path)
    for thing in ({"a": Boom()}, [1, 2], {"a": 3}):
        torch.save(thing, path)
        with pytest.raises(WeightsError, match="odd"):
            read_state(path)
    assert "unpickled" not in capsys.readouterr().out


def test_unknown_names_say_what_is_known() -> None:
    with pytest.raises(UsageError, match="did you mean 'alexnet'"):
        load_features(EyeSettings(network="alexnett"), Compute())
    with pytest.raises(UsageError, match="did you mean 'conv5'"):
        ARCHITECTURES["alexnet"].up_to("conv55", seeded("alexnet"))


def test_missing_weights_say_what_to_do() -> None:
    with pytest.raises(WeightsError, match="av-tag weights fetch alexnet"):
        load_features(EyeSettings(network="alexnet"), Compute())


# mean, standard deviation, distance of the two frames
GOLDEN = {"alexnet": (1.01085, 1.52610, 222.047), "alexnet_grouped": (1.10659, 1.57393, 221.125)}


def test_alexnet_is_torchvisions() -> None:
    """Its own module with its own names, cut behind conv5; folded for use it answers the same."""
    from torchvision.models import alexnet

    torch.manual_seed(3)
    whole = alexnet().eval()
    stack = ARCHITECTURES["alexnet"]
    state = trim(whole.state_dict())
    ours = stack.up_to("conv5", state)
    x = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        expected = whole.features[:12](x.clone())
        torch.testing.assert_close(ours(x.clone()), expected)
        pixels = prepare(film(2), np.arange(2), stack.geometry, CPU)
        plain = whole.features[:12]((pixels.values / 255 - MEAN) / STD).flatten(1)
        folded = Folded(ours, stack.geometry)(pixels)
    torch.testing.assert_close(folded, plain, rtol=1e-3, atol=1e-4 * float(plain.max()))

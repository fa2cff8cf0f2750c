"""YAMNet: structure, parameters, front end, conversion from Keras."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file

from av_tagger.audio.ears import load_ear
from av_tagger.audio.known.convert import convert_yamnet
from av_tagger.audio.known.ear import KnownEar, narrower, raised
from av_tagger.audio.known.families import FAMILIES
from av_tagger.audio.known.yamnet import RATE, WIDTHS, Layer, Patches, YAMNet, filled
from av_tagger.clip import Waveform
from av_tagger.errors import WeightsError
from av_tagger.labels import dcase2017


def test_parameters() -> None:
    """3,729,481 trained parameters as published, and two statistics per channel: 3,751,369."""
    network = YAMNet()
    channels = [
        32,
        *(c for before, after in zip((32, *WIDTHS), WIDTHS, strict=False) for c in (before, after)),
    ]
    kernels = 9 * 32 + sum(
        9 * before + before * after for before, after in zip((32, *WIDTHS), WIDTHS, strict=False)
    )
    assert (
        sum(p.numel() for p in network.parameters())
        == kernels + sum(channels) + 1024 * 521 + 521
        == 3_729_481
    )
    assert 3_729_481 + 2 * sum(channels) == 3_751_369


def test_521_classes_hold_all_of_dcase() -> None:
    labels = FAMILIES["yamnet"].labels
    assert len(labels) == 521
    assert set(dcase2017().labels) <= set(labels)
    assert (labels[0], labels[11], labels[294], labels[390], labels[520]) == (
        "Speech",
        "Screaming",
        "Vehicle",
        "Siren",
        "Field recording",
    )


@pytest.mark.parametrize(
    ("samples", "patches"), [(1, 1), (15_600, 1), (15_601, 2), (15_600 + 7_680, 2), (160_000, 20)]
)
def test_patches_every_048_s(samples: int, patches: int) -> None:
    assert Patches()(torch.zeros(1, samples)).shape == (1, patches, 96, 64)
    assert filled(samples) >= samples


def test_front_end_against_numpy() -> None:
    x = np.random.default_rng(2).standard_normal(15_600) * 0.2
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.stack([x[i : i + 400] * window for i in range(0, 15_600 - 399, 160)])
    magnitudes = np.abs(np.fft.rfft(frames, 512))
    edges = np.linspace(1127 * np.log1p(125 / 700), 1127 * np.log1p(7500 / 700), 66)
    mel = 1127 * np.log1p(np.linspace(0, 8000, 257) / 700)
    filters = np.array([np.interp(mel, edges[i : i + 3], [0, 1, 0]) for i in range(64)]).T
    filters[0] = 0
    expected = np.log(magnitudes @ filters + 0.001)
    np.testing.assert_allclose(
        Patches()(torch.from_numpy(x[None]).float())[0, 0].numpy(), expected, atol=2e-4
    )


def test_padding_is_that_of_tensorflow() -> None:
    """Even size and stride 2: the padding is at the end, the first output sees 0 to 2."""
    layer = Layer(1, 1, 3, stride=2)
    with torch.no_grad():
        layer.conv.weight.copy_(torch.arange(9.0).reshape(1, 1, 3, 3))
    x = torch.rand(1, 1, 6, 4)
    expected = F.conv2d(F.pad(x, (0, 1, 0, 1)), layer.conv.weight, stride=2) / np.sqrt(1 + 1e-4)
    torch.testing.assert_close(layer(x), expected)


def lively() -> YAMNet:
    """Random weights that keep the size of activations, so that scores depend on the sound."""
    torch.manual_seed(0)
    network = YAMNet()
    with torch.no_grad():
        for layer in network.layers:
            assert isinstance(layer, Layer)
            layer.conv.weight.mul_(6**0.5)
    return network


def test_the_clip_is_the_mean_of_its_patches() -> None:
    ear = KnownEar("yamnet", FAMILIES["yamnet"], lively(), "cpu")
    swelling = np.linspace(0, 0.3, 3 * RATE) ** 2
    samples = np.random.default_rng(0).standard_normal(3 * RATE) * swelling
    x = Waveform(samples.astype(np.float32), RATE)
    scores = ear.hear([x])[0]
    lead = np.concatenate([x.samples[7680:0:-1], x.samples[:7920]])  # around 0 s, mirrored
    with torch.inference_mode():
        waves = [torch.from_numpy(part)[None] for part in (x.samples, lead)]
        rows, first = (ear.network(wave)[1][0].numpy() for wave in waves)
    pairs = narrower(ear.labels)
    rows, first = raised(rows, pairs), raised(first, pairs)
    np.testing.assert_allclose(scores.probabilities, rows[:6].mean(axis=0), rtol=1e-4)
    assert scores.activity is not None
    frames = scores.activity.values
    # Patch k is centred at 0.48 (k + 1) s: the middle of frame 14 lies 0.01 s after patch 2.
    np.testing.assert_allclose(frames[14], rows[2], atol=0.02)
    # Before them is one around the start: frame 0 is centred at 0.05 s, a tenth of the way.
    share = 0.05 / 0.48
    expected = (1 - share) * odds(first[0]) + share * odds(rows[0])
    np.testing.assert_allclose(odds(frames[0]), expected, atol=1e-3)
    assert np.abs(first[0] - rows[0]).max() > 0.01


def odds(p: NDArray[np.float32]) -> NDArray[np.float64]:
    q = p.astype(np.float64)
    return np.asarray(np.log(q / (1 - q)))


def keras_file(path: Path, network: YAMNet) -> None:
    """A file in the layout of the Keras release, made from our network."""
    with h5py.File(path, "w") as file:
        for i, layer in enumerate(network.layers):
            assert isinstance(layer, Layer)
            number = 1 if i == 0 else (i + 3) // 2
            part = "conv" if i == 0 else ("depthwise_conv" if i % 2 else "pointwise_conv")
            name = f"layer{number}/{part}"
            kernel = layer.conv.weight.detach().numpy()
            depthwise = part == "depthwise_conv"
            kind = "depthwise_kernel" if depthwise else "kernel"
            file[f"{name}/{name}/{kind}:0"] = kernel.transpose(
                (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
            )
            for key, value in (
                ("beta", layer.beta),
                ("moving_mean", layer.mean),
                ("moving_variance", layer.variance),
            ):
                file[f"{name}/bn/{name}/bn/{key}:0"] = value.detach().numpy()
        file["logits/logits/kernel:0"] = network.logits.weight.detach().numpy().T
        file["logits/logits/bias:0"] = network.logits.bias.detach().numpy()


def test_conversion_round_trip(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = YAMNet()
    for p in network.parameters():
        torch.nn.init.normal_(p, std=0.05)
    keras_file(tmp_path / "yamnet.h5", network)
    target = convert_yamnet(tmp_path / "yamnet.h5", tmp_path / "yamnet.safetensors")
    state = load_file(target)
    for key, value in network.state_dict().items():
        torch.testing.assert_close(state[key], value)
    assert load_ear(target, "cpu").info.model == "yamnet"
    assert not list(tmp_path.glob("*.part"))


def test_conversion_refuses_other_files(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(WeightsError, match=r"text.h5: is not an HDF5 file"):
        convert_yamnet(tmp_path / "text.h5", tmp_path / "out.safetensors")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["dense/kernel:0"] = np.zeros((3, 4))
    with pytest.raises(WeightsError, match=r"other.h5: does not fit YAMNet"):
        convert_yamnet(tmp_path / "other.h5", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()

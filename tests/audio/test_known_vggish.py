"""VGGish: front end, network, PCA and 8-bit code against numpy and scipy; conversion of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import correlate

from av_tagger.audio.known.vggish import (
    PATCH_SAMPLES,
    VGGish,
    dequantised,
    filled,
    quantised,
)
from av_tagger.audio.known.vggish_files import convert_vggish, sine_figures
from av_tagger.errors import WeightsError

Array = NDArray[np.float64]
SMALL = (2, 3, 4, 4, 5, 5)  # channels
DENSE = (12, 10, 6)


def tiny(seed: int = 0) -> VGGish:
    torch.manual_seed(seed)
    network = VGGish(SMALL, DENSE).eval()
    draw = np.random.default_rng(seed)
    network.pca.copy_(torch.from_numpy(draw.standard_normal((6, 6))).float() * 4)
    network.means.copy_(torch.from_numpy(draw.standard_normal(6)).float() * 0.1)
    return network


def log_mel(wave: Array) -> Array:
    """(96, 64) of the first 0.975 s: windows of 25 ms every 10 ms, 64 HTK-like bands."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.stack([wave[i * 160 : i * 160 + 400] * window for i in range(96)])
    magnitudes = np.abs(np.fft.rfft(frames, 512))
    low, high = (1127 * np.log1p(hz / 700) for hz in (125, 7500))
    edges = np.linspace(low, high, 66)
    mel = 1127 * np.log1p(np.linspace(0, 8000, 257) / 700)
    bank = np.array([np.interp(mel, edges[i : i + 3], [0, 1, 0]) for i in range(64)]).T
    bank[0] = 0
    return np.asarray(np.log(magnitudes @ bank + 0.01))


def convolved(planes: Array, kernel: Array, bias: Array) -> Array:
    """'Same' correlation per pair of planes with scipy, then ReLU: (c, h, w) to (d, h, w)."""
    sums = [
        sum(correlate(p, k, mode="same", method="direct") for p, k in zip(planes, ks, strict=True))
        for ks in kernel
    ]
    return np.maximum(np.stack(sums) + bias[:, None, None], 0)


def pooled(planes: Array) -> Array:
    c, h, w = planes.shape
    return planes.reshape(c, h // 2, 2, w // 2, 2).max(axis=(2, 4))


def reference(network: VGGish, wave: Array) -> tuple[Array, NDArray[np.uint8]]:
    """The embedding before PCA and the code after it, written down without torch."""
    state = {name: t.double().numpy() for name, t in network.state_dict().items()}
    x = log_mel(wave)[None]
    for number in range(6):
        weight, bias = (state[f"convolutions.{number}.{part}"] for part in ("weight", "bias"))
        x = convolved(x, weight, bias)
        x = pooled(x) if number in (0, 1, 3, 5) else x
    vector = np.transpose(x, (1, 2, 0)).ravel()  # TensorFlow's order: time, bands, channels
    for number in range(3):
        vector = state[f"dense.{number}.weight"] @ vector + state[f"dense.{number}.bias"]
        vector = np.maximum(vector, 0) if number < 2 else vector
    white = np.clip(state["pca"] @ (vector - state["means"]), -2, 2)
    return vector, ((white + 2) * (255 / 4)).astype(np.uint8)


def test_golden_values_against_numpy_and_scipy() -> None:
    network = tiny()
    wave = np.random.default_rng(3).standard_normal(3 * 16_000) * 0.1
    with torch.inference_mode():
        sound = torch.from_numpy(wave[None]).float()
        raw = network.raw(network.patches(sound)[0]).numpy()
        codes = network.embed(sound)[0].numpy()
    assert codes.shape == (3, 6)
    for second in range(3):
        part = np.pad(wave[second * 16_000 :], (0, 16_000))
        vector, code = reference(network, part)
        np.testing.assert_allclose(raw[second], vector, atol=1e-4)
        assert np.abs(codes[second] - code).max() <= 1  # a value at the border of two steps
        assert (codes[second] == code).mean() > 0.8
    assert len(np.unique(codes)) > 4


def test_parameters_of_the_published_network() -> None:
    """The layer table of VGG configuration A without its last group (the VGGish README)."""
    kernels = [(1, 64), (64, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    dense = [(6 * 4 * 512, 4096), (4096, 4096), (4096, 128)]
    expected = sum(9 * a * b + b for a, b in kernels) + sum(a * b + b for a, b in dense)
    network = VGGish()
    assert sum(p.numel() for p in network.parameters()) == expected == 72_141_184
    assert network.pca.shape == (128, 128)
    assert network.means.shape == (128,)


@pytest.mark.parametrize(
    ("samples", "hop", "patches"),
    [(1, 100, 1), (160_000, 100, 10), (168_500, 100, 11), (160_000, 96, 10), (48_000, 96, 3)],
)
def test_one_row_per_hop(samples: int, hop: int, patches: int) -> None:
    network = VGGish(SMALL, DENSE, hop)
    assert network.patches(torch.zeros(1, samples)).shape == (1, patches, 96, 64)
    assert filled(samples, hop) == (patches - 1) * hop * 160 + PATCH_SAMPLES


def test_codes_cover_the_range_and_come_back() -> None:
    white = torch.linspace(-2, 2, 4001)
    codes = quantised(white)
    assert codes.min() == 0
    assert codes.max() == 255
    assert torch.equal(codes, codes.round())
    assert (dequantised(codes) - white).abs().max() <= 4 / 255
    # YouTube-8M's reader: scale 4/255, bias 4/512 - 2
    expected = torch.tensor([-2 + 4 / 512, 2 + 4 / 512])
    torch.testing.assert_close(dequantised(torch.tensor([0, 255])), expected)


def test_rectified_embeddings_are_an_option() -> None:
    network = tiny()
    patches = torch.randn(4, 96, 64)
    linear = network.raw(patches)
    network.rectify = True
    assert (linear < 0).any()
    torch.testing.assert_close(network.raw(patches), linear.relu())


def port_files(folder: Path, network: VGGish) -> tuple[Path, Path]:
    """The layout of the PyTorch port, and the PCA as the AudioSet release has it."""
    state = {}
    for number, place in enumerate((0, 3, 6, 8, 11, 13)):
        for part in ("weight", "bias"):
            state[f"features.{place}.{part}"] = network.state_dict()[
                f"convolutions.{number}.{part}"
            ]
    for number in range(3):
        for part in ("weight", "bias"):
            name = f"embeddings.{2 * number}.{part}"
            state[name] = network.state_dict()[f"dense.{number}.{part}"]
    model, pca = folder / "vggish.pth", folder / "vggish_pca_params.npz"
    torch.save(state, model)
    eigen, means = network.pca.numpy(), network.means.numpy()[:, None]
    np.savez(pca, pca_eigen_vectors=eigen, pca_means=means)
    return model, pca


def test_conversion_of_the_pytorch_port(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    network = tiny(5)
    model, pca = port_files(tmp_path, network)
    made = convert_vggish(model, pca, tmp_path / "vggish.safetensors", check=False)
    found = load_file(made)
    assert found.keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(found[name], tensor)


def test_weights_that_are_not_the_published_ones_are_refused(tmp_path: Path) -> None:
    """The published figures of a 1 kHz sine are the check of content."""
    model, pca = port_files(tmp_path, tiny(5))
    with pytest.raises(WeightsError, match=r"on a 1 kHz sine the .* published"):
        convert_vggish(model, pca, tmp_path / "vggish.safetensors")
    assert not (tmp_path / "vggish.safetensors").exists()


def test_sine_figures_use_gapless_patches() -> None:
    network = tiny()
    figures = sine_figures(network)
    times = np.arange(48_000) / 16_000
    wave = np.sin(2 * np.pi * 1000 * times)
    parts = [reference(network, wave[i * 15_360 :]) for i in range(3)]
    codes = np.stack([code for _, code in parts])
    assert figures["mean of the codes"] == pytest.approx(codes.mean(), abs=0.5)
    expected = np.stack([raw for raw, _ in parts]).std()
    assert figures["std of the embedding"] == pytest.approx(expected, rel=1e-3)
    assert network.hop == 100


@pytest.mark.parametrize("broken", ["model", "pca"])
def test_files_that_are_something_else_are_one_sentence(tmp_path: Path, broken: str) -> None:
    model, pca = port_files(tmp_path, tiny())
    (model if broken == "model" else pca).write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"(vggish.pth|vggish_pca_params.npz): .*give"):
        convert_vggish(model, pca, tmp_path / "x.safetensors", check=False)


def varint(n: int) -> bytes:
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number: int, value: bytes | int) -> bytes:
    """A protobuf field: a varint, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def checksum(data: bytes) -> bytes:
    """Masked CRC-32C, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return masked.to_bytes(4, "little")


def table(entries: list[tuple[bytes, bytes]]) -> bytes:
    """A LevelDB table: one data block per entry, an index block, an empty meta block, a footer."""

    def block(pairs: list[tuple[bytes, bytes]]) -> bytes:
        body = b"".join(varint(0) + varint(len(k)) + varint(len(v)) + k + v for k, v in pairs)
        body += bytes(4) + (1).to_bytes(4, "little")
        return body + b"\0" + checksum(body + b"\0")

    out, handles = b"", []
    for key, value in entries:
        one = block([(key, value)])
        handles.append((key, varint(len(out)) + varint(len(one) - 5)))
        out += one
    places = []
    for part in (block([]), block(handles)):
        places.append(varint(len(out)) + varint(len(part) - 5))
        out += part
    footer = b"".join(places).ljust(40, b"\0")
    return out + footer + (0xDB4775248B80FB57).to_bytes(8, "little")


def tf1_file(path: Path, network: VGGish) -> Path:
    """The layout of the AudioSet release: kernels as TensorFlow has them, one file."""
    names = ("conv1", "conv2", "conv3/conv3_1", "conv3/conv3_2", "conv4/conv4_1", "conv4/conv4_2")
    tensors = {}
    for number, name in enumerate(names):
        layer = network.convolutions[number]
        tensors[f"vggish/{name}/weights"] = layer.weight.detach().numpy().transpose(2, 3, 1, 0)
        tensors[f"vggish/{name}/biases"] = layer.bias.detach().numpy()
    for number, name in enumerate(("fc1/fc1_1", "fc1/fc1_2", "fc2")):
        layer = network.dense[number]
        tensors[f"vggish/{name}/weights"] = layer.weight.detach().numpy().T
        tensors[f"vggish/{name}/biases"] = layer.bias.detach().numpy()
    meta, slices = b"", []
    for name, array in sorted(tensors.items()):
        shape = b"".join(field(2, field(1, n)) for n in array.shape)
        meta += field(1, field(1, name.encode()) + field(2, shape) + field(3, 1))
        values = np.ascontiguousarray(array, "<f4").tobytes()
        saved = field(1, name.encode()) + field(2, b"") + field(3, field(1, 1) + field(5, values))
        slices.append((b"\0" + name.encode(), field(2, saved)))
    path.write_bytes(table([(b"", field(1, meta)), *slices]))
    return path


def test_conversion_of_the_tensorflow_checkpoint(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    network = tiny(9)
    _, pca = port_files(tmp_path, network)
    model = tf1_file(tmp_path / "vggish_model.ckpt", network)
    found = load_file(convert_vggish(model, pca, tmp_path / "out.safetensors", check=False))
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(found[name], tensor)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path: Path, damage: str) -> None:
    network = tiny(9)
    _, pca = port_files(tmp_path, network)
    model = tf1_file(tmp_path / "vggish_model.ckpt", network)
    data = bytearray(model.read_bytes())
    if damage == "flipped":
        data[len(data) // 3] ^= 1
    model.write_bytes({"cut": data[:500], "empty": b"", "flipped": bytes(data)}[damage])
    with pytest.raises(WeightsError, match=r"is not a whole TensorFlow 1 checkpoint .*; download"):
        convert_vggish(model, pca, tmp_path / "out.safetensors")

"""Published VGGish weights to one safetensors file: TensorFlow 1 checkpoint or PyTorch port."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from av_tagger import weights
from av_tagger.audio.known.vggish import POOLED, RATE, VGGish
from av_tagger.errors import WeightsError, in_line, sentence
from av_tagger.state_file import check_finite, read_state

Arrays = Mapping[str, NDArray[np.float32]]
GIVE = "give vggish_model.ckpt and vggish_pca_params.npz of the AudioSet release"
LAYERS = ("conv1", "conv2", "conv3/conv3_1", "conv3/conv3_2", "conv4/conv4_1", "conv4/conv4_2")
DENSE = ("fc1/fc1_1", "fc1/fc1_2", "fc2")
MOST_PCA_BYTES = 1 << 20  # two arrays of float64 have 132 KB
# A 1 kHz sine of 3 s through the published network (its own smoke test, July 2023):
SINE = {"std of the embedding": 0.343, "mean of the codes": 126.0, "std of the codes": 89.3}


def convert_vggish(
    model: Path, pca: Path, target: Path | None = None, *, check: bool = True
) -> Path:
    """One safetensors file of network and PCA. `check` compares with the published test figures."""
    target = target or weights.cache_folder() / weights.entry("vggish").filename
    state = _network_state(model) | _pca_state(pca)
    network = _network(model, state)
    if check:
        _check_sine(model, network)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}.part")
    about = {"format": "pt", "source": f"{model.name}, {pca.name}", "licence": "Apache-2.0"}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, part, about)
    part.replace(target)
    return target


def fetch_vggish(*, offline: bool = False, progress: weights.Progress | None = None) -> Path:
    """The converted file, if need be made from the published ones."""
    here = weights.locate("vggish")
    if here is not None and weights.is_right(weights.entry("vggish"), here):
        return here
    model = weights.fetch("vggish.ckpt", offline=offline, progress=progress)
    pca = weights.fetch("vggish.pca", offline=offline, progress=progress)
    return convert_vggish(model, pca)


def sine_figures(network: VGGish) -> dict[str, float]:
    """What the published smoke test measures on a 1 kHz sine of 3 s, patches every 0.96 s."""
    times = np.arange(3 * RATE) / RATE
    wave = torch.from_numpy(np.sin(2 * np.pi * 1000 * times)).float()[None]
    hop, network.hop = network.hop, 96
    try:
        with torch.inference_mode():
            raw = network.raw(network.patches(wave)[0])
            codes = network.embed(wave)
    finally:
        network.hop = hop
    figures = (raw.std(correction=0), codes.mean(), codes.std(correction=0))
    return dict(zip(SINE, map(float, figures), strict=True))


def _check_sine(source: Path, network: VGGish) -> None:
    """The published smoke test allows 10 % on every figure."""
    found = sine_figures(network.eval())
    off = [n for n, value in found.items() if not math.isclose(value, SINE[n], rel_tol=0.1)]
    if off:
        said = f"on a 1 kHz sine the {off[0]} is {found[off[0]]:.3g}, published {SINE[off[0]]:.3g}"
        raise WeightsError(sentence(source, f"are not the published weights: {said}", GIVE))


def _network(source: Path, state: dict[str, torch.Tensor]) -> VGGish:
    try:
        return network_of(state)
    except (KeyError, RuntimeError) as error:
        reason = f"does not fit VGGish ({' '.join(str(error).split())[:160]})"
        raise WeightsError(sentence(source, reason, GIVE)) from error


def network_of(state: Mapping[str, torch.Tensor]) -> VGGish:
    """The network that a state dict describes, its widths taken from the tensors; strict."""
    channels = tuple(len(state[f"convolutions.{i}.bias"]) for i in range(len(LAYERS)))
    dense = tuple(len(state[f"dense.{i}.bias"]) for i in range(len(DENSE)))
    network = VGGish(channels, dense)
    network.load_state_dict(dict(state), strict=True)
    return network


def _network_state(source: Path) -> dict[str, torch.Tensor]:
    if source.suffix in (".pt", ".pth"):
        return _from_pytorch(source)
    from av_tagger.audio.known.tf1_checkpoint import read_tf1_checkpoint

    arrays = read_tf1_checkpoint(source)
    state: dict[str, torch.Tensor] = {}
    for kind, names in (("convolutions", LAYERS), ("dense", DENSE)):
        for number, name in enumerate(names):
            kernel, bias = _layer(source, arrays, name)
            axes = (3, 2, 0, 1) if kind == "convolutions" else (1, 0)
            state[f"{kind}.{number}.weight"] = _tensor(kernel.transpose(axes))
            state[f"{kind}.{number}.bias"] = _tensor(bias)
    return state


def _layer(
    source: Path, arrays: Arrays, name: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    try:
        return arrays[f"vggish/{name}/weights"], arrays[f"vggish/{name}/biases"]
    except KeyError as error:
        raise WeightsError(sentence(source, f"has no tensor {error}", GIVE)) from error


def _from_pytorch(source: Path) -> dict[str, torch.Tensor]:
    """The PyTorch port: features.N and embeddings.N, numbered with their ReLU and pools."""
    found = read_state(source, GIVE)
    try:
        return {
            f"{ours}.{part}": found[f"{theirs}.{part}"].float()
            for theirs, ours in _port_names()
            for part in ("weight", "bias")
        }
    except KeyError as error:
        reason = f"is not the PyTorch port of VGGish (it has no {error})"
        raise WeightsError(sentence(source, reason, GIVE)) from error


def _port_names() -> Iterator[tuple[str, str]]:
    place = 0
    for number in range(len(LAYERS)):
        yield f"features.{place}", f"convolutions.{number}"
        place += 3 if number in POOLED else 2
    for number in range(len(DENSE)):
        yield f"embeddings.{2 * number}", f"dense.{number}"


def check_pca(path: Path) -> None:
    """Refuse what is not the published PCA: 128 vectors of 128 finite numbers, and their mean."""
    state = _pca_state(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if shapes != {"pca": (128, 128), "means": (128,)}:
        raise WeightsError(sentence(path, f"is not the PCA of VGGish: {shapes}", GIVE))
    check_finite(path, state, GIVE)


def _pca_state(source: Path) -> dict[str, torch.Tensor]:
    """`pca_eigen_vectors` (128, 128) and `pca_means` (128,) or (128, 1)."""
    names = {"pca": "pca_eigen_vectors", "means": "pca_means"}
    try:
        if source.suffix in (".pt", ".pth"):
            found = read_state(source, GIVE)
            arrays = {ours: np.asarray(found[theirs]) for ours, theirs in names.items()}
        else:
            arrays = _arrays_of(source, names)
        return {"pca": _tensor(arrays["pca"]), "means": _tensor(arrays["means"]).flatten()}
    except WeightsError:
        raise
    except Exception as error:  # hostile arrays raise anything
        reason = f"holds no PCA of VGGish ({in_line(str(error), 120)})"
        raise WeightsError(sentence(source, reason, GIVE)) from error


def _arrays_of(source: Path, names: Mapping[str, str]) -> dict[str, NDArray[np.float32]]:
    """Arrays of an archive that is no larger than it should be, unpacked."""
    with zipfile.ZipFile(source) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > MOST_PCA_BYTES:
        raise ValueError(f"{size} bytes unpacked")
    with np.load(source, allow_pickle=False) as file:
        return {ours: file[theirs] for ours, theirs in names.items()}


def _tensor(array: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.array(array, np.float32, order="C"))

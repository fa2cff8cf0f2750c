"""The two AlexNets, conv1 to conv5 only, and what of a downloaded file is worth keeping."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from av_tagger.errors import UsageError, WeightsError, did_you_mean, sentence
from av_tagger.state_file import check_finite, read_state

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
REMEDY = "fetch it again with `av-tag weights fetch eye`"


@dataclass(frozen=True)
class Geometry:
    """Input geometry: shorter side, centre crop, and normalisation of [0, 1] values."""

    resize: int
    crop: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    mode: str = "bilinear"


@dataclass(frozen=True)
class ConvStack:
    """Convolutions of a network and where each layer ends, after its ReLU."""

    build: Callable[[], nn.Sequential]
    ends: Mapping[str, int]  # layer name to number of modules
    geometry: Geometry

    def up_to(self, layer: str, state: Mapping[str, Tensor]) -> nn.Sequential:
        """The network with these weights, cut behind a layer. The weights must be of all five
        layers, and no others.
        """
        if layer not in self.ends:
            raise UsageError(f"there is no layer {layer!r}; {did_you_mean(layer, self.ends)}")
        network = self.build()
        network.load_state_dict(dict(state), strict=True)
        return network[: self.ends[layer]].eval()


class ResponseNorm(nn.Module):
    """Local response normalisation over 5 channels; torch's own takes a detour over 3-d pooling and
    is far slower.
    """

    size, alpha, beta, k = 5, 1e-4, 0.75, 1.0

    def forward(self, x: Tensor) -> Tensor:
        half = self.size // 2
        square = F.pad(x.float().square(), (0, 0, 0, 0, half, half))
        total = cast("Tensor", sum(square[:, i : i + x.shape[1]] for i in range(self.size)))
        return (x / (self.k + self.alpha / self.size * total).pow(self.beta)).to(x.dtype)


def _one_tower() -> nn.Sequential:
    """The `features` of torchvision's AlexNet: 224 pixels to 13 x 13 x 256, then a pool."""
    from torchvision.models import alexnet

    with torch.device("meta"):  # its dense layers would take 233 MB
        features: nn.Sequential = alexnet().features
    if torch.get_default_device().type == "meta":
        return features
    fresh = features.to_empty(device=torch.get_default_device())
    for layer in (m for m in fresh if isinstance(m, nn.Conv2d)):
        layer.reset_parameters()
    return fresh


def _two_towers() -> nn.Sequential:
    """The original AlexNet: two groups, response normalisation behind the first two layers."""
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4),  # 227 -> 55
        nn.ReLU(inplace=True),
        ResponseNorm(),
        nn.MaxPool2d(3, 2, ceil_mode=True),  # 27
        nn.Conv2d(96, 256, 5, padding=2, groups=2),
        nn.ReLU(inplace=True),
        ResponseNorm(),
        nn.MaxPool2d(3, 2, ceil_mode=True),  # 13
        nn.Conv2d(256, 384, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),  # 13 x 13 x 256
        nn.MaxPool2d(3, 2, ceil_mode=True),
    )


def trim(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The convolutions of a full state dict, named as in `Architecture`; 10 MB of 233."""
    return {
        key.removeprefix("features."): value
        for key, value in state.items()
        if key.startswith("features.")
    }


def keep_convolutions(source: Path, target: Path, architecture: str = "alexnet") -> None:
    """Write the convolutions of a downloaded AlexNet, with the checksum of the download."""
    from safetensors.torch import save_file

    state = trim(read_state(source, REMEDY))
    fitting(state, architecture, source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    part = target.with_suffix(".part")
    tensors = {key: value.contiguous() for key, value in state.items()}
    save_file(
        tensors,
        part,
        metadata={"source": source.name, "source_sha256": digest, "holds": "conv1-conv5"},
    )
    part.replace(target)


def load_convolutions(path: Path, architecture: str) -> dict[str, Tensor]:
    """Convolutions from our own trimmed file or from a full state dict, checked name by name and
    shape by shape.
    """
    state = read_state(path, REMEDY)
    state = trim(state) if any(key.startswith("features.") for key in state) else state
    fitting(state, architecture, path)
    check_finite(path, state, REMEDY)
    return {key: value.float() for key, value in state.items()}


def fitting(state: Mapping[str, Tensor], architecture: str, path: Path) -> None:
    with torch.device("meta"):
        expected = ARCHITECTURES[architecture].build().state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    wanted = {key: tuple(value.shape) for key, value in expected.items()}
    if shapes != wanted:
        name, shape = min(set(shapes.items()) ^ set(wanted.items()))
        remedy = "choose the network it was made for"
        raise WeightsError(
            sentence(path, f"is not {architecture}: {name} {list(shape)} does not fit", remedy)
        )


ARCHITECTURES: dict[str, ConvStack] = {
    "alexnet": ConvStack(
        _one_tower,
        {"conv1": 2, "conv2": 5, "conv3": 8, "conv4": 10, "conv5": 12, "pool5": 13},
        Geometry(256, 224),
    ),
    "alexnet_grouped": ConvStack(
        _two_towers,
        {"conv1": 2, "conv2": 6, "conv3": 10, "conv4": 12, "conv5": 14, "pool5": 15},
        Geometry(256, 227),
    ),
}

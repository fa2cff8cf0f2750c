"""Networks of 3 x 3 convolutions to compare FUSE with: VGG-like (§5.3), a ResNet (Table 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from av_tagger.audio.architecture import FeatureShape
from av_tagger.audio.base import Extractor
from av_tagger.audio.extractors.fuse import BandMean, bands_left, instances, normed


@dataclass(frozen=True)
class VggLikeSettings:
    """FUSE does not give the layers; they follow from its two parameter counts.

    454 K at 40 bands and 1.34 M at 256 bands differ by 27 x 32,768 weights: three pools of two,
    then a full-height convolution from 128 to 256 channels. The rest are pairs of 3 x 3.
    """

    channels: tuple[int, ...] = (32, 64, 128)  # of each pair of convolutions
    width: int = 256  # of an instance
    collapse: Literal["convolution", "mean"] = "convolution"  # of the bands; mean: for GAP

    def __post_init__(self) -> None:
        if not self.channels or min(*self.channels, self.width) < 1:
            raise ValueError(
                f"channels and width must be positive: {self.channels = }, {self.width = }"
            )


class VggLike(Extractor):
    """One instance per eight frames."""

    Settings = VggLikeSettings

    def __init__(self, shape: FeatureShape, settings: VggLikeSettings) -> None:
        super().__init__(shape, settings)
        self.stride, self.width = 2 ** len(settings.channels), settings.width
        sides = zip((shape.channels, *settings.channels), settings.channels, strict=False)
        self.groups = nn.Sequential(*(_pair(before, after) for before, after in sides))
        left = bands_left(shape.bands, self.stride)
        self.instances: nn.Module = nn.Conv2d(settings.channels[-1], settings.width, (1, left))
        if settings.collapse == "mean":
            self.instances, self.width = BandMean(), settings.channels[-1]

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.instances(self.groups(features))
        return out if self.settings.collapse == "mean" else out[..., 0].transpose(1, 2)


@dataclass(frozen=True)
class ResNetSettings:
    """FUSE Table 3: 3, 3, 3, 1 residual blocks with 8, 16, 32, 64 filters; pools as in FUSE."""

    blocks: tuple[int, ...] = (3, 3, 3, 1)
    channels: tuple[int, ...] = (8, 16, 32, 64)
    collapse: Literal["convolution", "mean"] = "convolution"  # of the bands; mean: for GAP

    def __post_init__(self) -> None:
        if (
            len(self.blocks) != len(self.channels)
            or not self.blocks
            or min(*self.blocks, *self.channels) < 1
        ):
            raise ValueError(
                "one positive number of blocks and channels per group: "
                f"{self.blocks = }, {self.channels = }"
            )


class ResNet(Extractor):
    """One instance per eight frames."""

    Settings = ResNetSettings

    def __init__(self, shape: FeatureShape, settings: ResNetSettings) -> None:
        super().__init__(shape, settings)
        self.stride, self.width = 2 ** (len(settings.channels) - 1), settings.channels[-1]
        self.stem = normed(
            nn.Conv2d(shape.channels, settings.channels[0], 3, padding=1, bias=False)
        )
        self.groups = nn.ModuleList(_residual_groups(settings))
        left = bands_left(shape.bands, self.stride)
        self.instances = instances(settings.collapse, self.width, left)

    def forward(self, features: Tensor) -> Tensor:
        x = self.stem(features)
        for group in self.groups[:-1]:
            x = nn.functional.max_pool2d(group(x), 2)
        out: Tensor = self.instances(self.groups[-1](x))
        return out


class Residual(nn.Module):
    """Two convolutions and a skip connection, projected where the width changes."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = normed(nn.Conv2d(before, after, 3, padding=1, bias=False))
        self.second = nn.Sequential(
            nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)
        )
        self.past = (
            nn.Identity()
            if before == after
            else nn.Sequential(nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = (self.past(x) + self.second(self.first(x))).relu()
        return out


def _residual_groups(settings: ResNetSettings) -> list[nn.Sequential]:
    groups, before = [], settings.channels[0]
    for count, width in zip(settings.blocks, settings.channels, strict=True):
        groups.append(
            nn.Sequential(*(Residual(before if i == 0 else width, width) for i in range(count)))
        )
        before = width
    return groups


def _pair(before: int, after: int) -> nn.Sequential:
    first, second = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
    return nn.Sequential(normed(first), normed(second), nn.MaxPool2d(2))

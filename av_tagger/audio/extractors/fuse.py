"""The network of FUSE (§3.2): pointwise, frequency-wise and temporal convolutions only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from av_tagger.audio.architecture import FeatureShape
from av_tagger.audio.base import Extractor


@dataclass(frozen=True)
class FuseSettings:
    """FUSE Table 1.

    One pointwise convolution per module gives the paper's 139 K parameters; one per block, 389 K.
    """

    channels: tuple[int, ...] = (32, 64, 128, 256)  # of each module
    blocks: int = 3  # n, in each module
    kernel: int = 3  # of the depthwise convolutions, odd
    collapse: Literal["convolution", "mean"] = "convolution"  # of the bands; mean: for GAP

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1 or self.blocks < 1 or self.kernel % 2 == 0:
            raise ValueError(
                "channels and blocks must be positive, the kernel odd: "
                f"{self.channels = }, {self.blocks = }, {self.kernel = }"
            )


class Fuse(Extractor):
    """One instance per eight frames, as wide as the last module."""

    Settings = FuseSettings

    def __init__(self, shape: FeatureShape, settings: FuseSettings) -> None:
        super().__init__(shape, settings)
        pools = len(settings.channels) - 1
        self.stride, self.width = 2**pools, settings.channels[-1]
        sides = zip((shape.channels, *settings.channels), settings.channels, strict=False)
        self.steps = nn.ModuleList(FuseModule(before, after, settings) for before, after in sides)
        left = bands_left(shape.bands, self.stride)
        self.instances = instances(settings.collapse, self.width, left)

    def forward(self, features: Tensor) -> Tensor:
        x = features
        for module in self.steps[:-1]:
            x = nn.functional.max_pool2d(module(x), 2)
        out: Tensor = self.instances(self.steps[-1](x))
        return out


class FuseModule(nn.Module):
    """Equation 9: a pointwise convolution and n blocks; the output is the sum of all of them."""

    def __init__(self, before: int, after: int, settings: FuseSettings) -> None:
        super().__init__()
        self.pointwise = normed(nn.Conv2d(before, after, 1))
        self.blocks = nn.ModuleList(_block(after, settings.kernel) for _ in range(settings.blocks))

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.pointwise(x)
        x = total
        for block in self.blocks:
            x = block(x)
            total = total + x
        return total


class Collapse(nn.Module):
    """The instance vector generator: (B, C, T, M) to (B, T, width).

    A depthwise convolution over all bands, then a pointwise one.
    """

    def __init__(self, channels: int, bands: int, width: int) -> None:
        super().__init__()
        self.bands = normed(nn.Conv2d(channels, channels, (1, bands), groups=channels))
        self.pointwise = nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pointwise(self.bands(x))
        return out.squeeze(3).transpose(1, 2)


class BandMean(nn.Module):
    """(B, C, T, M) to (B, T, C): the mean of the map over its bands.

    The mean of these over time is global average pooling of the map (FUSE "SupL w/ GAP").
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=3).transpose(1, 2)


def instances(collapse: str, channels: int, bands: int) -> nn.Module:
    """From a map (B, channels, T, bands) to instances (B, T, channels)."""
    return BandMean() if collapse == "mean" else Collapse(channels, bands, channels)


def normed(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(
        convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU(inplace=True)
    )


def bands_left(bands: int, factor: int) -> int:
    """Bands that remain after pooling by `factor`."""
    left = bands // factor
    if left < 1:
        raise ValueError(f"pooling leaves none of the {bands} bands")
    return left


def _block(channels: int, kernel: int) -> nn.Sequential:
    frequency = nn.Conv2d(
        channels, channels, (1, kernel), padding=(0, kernel // 2), groups=channels
    )
    temporal = nn.Conv2d(channels, channels, (kernel, 1), padding=(kernel // 2, 0), groups=channels)
    return nn.Sequential(normed(frequency), normed(temporal))


class ResNorm(nn.Module):
    """lambda x + (x - mean) / std, per band over time and channels (FUSE §5.5).

    Removes most of what a recording device adds to a band.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share  # lambda, 0.1 in the work that FUSE cites

    def forward(self, x: Tensor) -> Tensor:  # (B, C, T, M)
        mean = x.mean(dim=(1, 2), keepdim=True)
        std = (x.var(dim=(1, 2), keepdim=True, unbiased=False) + 1e-5).sqrt()
        return torch.add((x - mean) / std, x, alpha=self.share)

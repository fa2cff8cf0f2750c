"""BC-ResNet (Kim et al. 2021, see FUSE Table 3).

Temporal convolutions run on the mean over bands; their output is broadcast over the bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from av_tagger.audio.architecture import FeatureShape
from av_tagger.audio.base import Extractor
from av_tagger.audio.extractors.fuse import bands_left, instances, normed


@dataclass(frozen=True)
class BcResNetSettings:
    """80 channels: BC-ResNet-ASC-8, 315 K parameters with its own classifier."""

    channels: int = 80  # c; the stages have c, 1.5 c, 2 c and 2.5 c
    blocks: tuple[int, int, int, int] = (2, 2, 2, 3)
    parts: int = 4  # parts of the spectrum that are normalised separately
    dropout: float = 0.1
    collapse: Literal["convolution", "mean"] = "convolution"  # of the bands; mean: for GAP

    def __post_init__(self) -> None:
        if (
            self.channels < 2
            or self.channels % 2
            or min(*self.blocks, self.parts) < 1
            or not 0 <= self.dropout < 1
        ):
            raise ValueError(
                "channels must be even, blocks and parts positive, dropout in [0, 1): "
                f"{self.channels = }, {self.blocks = }, {self.parts = }, {self.dropout = }"
            )

    @property
    def widths(self) -> tuple[int, int, int, int]:
        c = self.channels
        return (c, c * 3 // 2, c * 2, c * 5 // 2)


class BcResNet(Extractor):
    """One instance per eight frames; pools after the first two stages."""

    Settings = BcResNetSettings

    def __init__(self, shape: FeatureShape, settings: BcResNetSettings) -> None:
        super().__init__(shape, settings)
        self.stride, self.width = 8, settings.widths[-1]
        left = bands_left(shape.bands, self.stride)
        if shape.bands % (8 * settings.parts):
            raise ValueError(
                f"{shape.bands} bands are not a multiple of 8 x {settings.parts} parts"
            )
        self.stem = normed(
            nn.Conv2d(shape.channels, 2 * settings.channels, 5, stride=2, padding=2, bias=False)
        )
        self.stages = nn.ModuleList(_stages(settings))
        self.instances = instances(settings.collapse, self.width, left)

    def forward(self, features: Tensor) -> Tensor:
        x = self.stem(features)
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number < 2:
                x = nn.functional.max_pool2d(x, 2)
        out: Tensor = self.instances(x)
        return out


class Broadcast(nn.Module):
    """y = x + f2(x) + f1(mean over bands of f2(x)).

    Where the width changes, f2 starts with a projection and there is no skip connection.
    """

    def __init__(self, before: int, after: int, settings: BcResNetSettings) -> None:
        super().__init__()
        self.skips = before == after
        self.project = (
            nn.Identity() if self.skips else normed(nn.Conv2d(before, after, 1, bias=False))
        )
        self.bands = nn.Conv2d(after, after, (1, 3), padding=(0, 1), groups=after, bias=False)
        self.parts = PartNorm(after, settings.parts)
        self.time = nn.Sequential(
            nn.Conv2d(after, after, (3, 1), padding=(1, 0), groups=after, bias=False),
            nn.BatchNorm2d(after),
            nn.SiLU(),
            nn.Conv2d(after, after, 1, bias=False),
            nn.Dropout2d(settings.dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        around = self.parts(self.bands(self.project(x)))
        total: Tensor = around + self.time(around.mean(dim=3, keepdim=True))
        return (total + x if self.skips else total).relu()


class PartNorm(nn.Module):
    """Sub-spectral normalisation: batch norm of each part of the spectrum."""

    def __init__(self, channels: int, parts: int) -> None:
        super().__init__()
        self.parts = parts
        self.norm = nn.BatchNorm2d(channels * parts)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, frames, bands = x.shape
        split = x.reshape(batch, channels, frames, self.parts, bands // self.parts).permute(
            0, 1, 3, 2, 4
        )  # (B, C, parts, T, M / parts)
        out: Tensor = self.norm(split.flatten(1, 2)).reshape(split.shape)
        return out.permute(0, 1, 3, 2, 4).reshape(batch, channels, frames, bands)


def _stages(settings: BcResNetSettings) -> list[nn.Sequential]:
    stages, before = [], 2 * settings.channels
    for count, width in zip(settings.blocks, settings.widths, strict=True):
        stages.append(
            nn.Sequential(
                *(Broadcast(before if i == 0 else width, width, settings) for i in range(count))
            )
        )
        before = width
    return stages

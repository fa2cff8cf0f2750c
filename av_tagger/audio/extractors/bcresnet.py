"""BC-ResNet for scenes (Kim et al. 2021, cited by FUSE Table 3): time is convolved on band averages and broadcast back over the bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from av_tagger.audio.architecture import FeatureShape
from av_tagger.audio.extractors.fuse import bands_left, instances, normed
from av_tagger.audio.sockets import Extractor


@dataclass(frozen=True)
class BcResNetSettings:
    """With 80 channels and its own classifier this is the BC-ResNet-ASC-8 of 315 K parameters."""

    channels: int = 80  # c; the stages have c, 1.5 c, 2 c and 2.5 c
    blocks: tuple[int, int, int, int] = (2, 2, 2, 3)
    parts: int = 4  # bands normalised together: so many parts of the spectrum, each with statistics of its own
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
                f"channels are even, blocks and parts positive, dropout in [0, 1): {self.channels = }, {self.blocks = }"
            )

    @property
    def widths(self) -> tuple[int, int, int, int]:
        c = self.channels
        return (c, c * 3 // 2, c * 2, c * 5 // 2)


class BcResNet(Extractor):
    """An instance for every eight frames; pools after the first two stages."""

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
    """y = x + f2(x) + f1(mean over bands of f2(x)); where the width changes, f2 begins with a projection and the way past is closed."""

    def __init__(self, before: int, after: int, settings: BcResNetSettings) -> None:
        super().__init__()
        self.past = before == after
        self.project = (
            nn.Identity() if self.past else normed(nn.Conv2d(before, after, 1, bias=False))
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
        return (total + x if self.past else total).relu()


class PartNorm(nn.Module):
    """Batch norm of each part of the spectrum by itself (sub-spectral normalisation)."""

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

"""Convolutions on independent segments: SMALL's MIL-CNN and its embedding network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from av_tagger.audio.architecture import FeatureShape
from av_tagger.audio.base import Extractor
from av_tagger.audio.extractors.dense import dense


@dataclass(frozen=True)
class Vgg3Settings:
    """SMALL §2.2: three groups of VGG-16 with batch norm, then dense layers (§2.3: to 512).

    The paper counts 29 M parameters. With VGG's pools of two, 12 x 8 positions remain per second
    and the first dense layer alone has 75 M; a last pool of 4 x 3 leaves 6 x 5 positions: 28.5 M.
    """

    groups: tuple[tuple[int, ...], ...] = ((64, 64), (128, 128), (256, 256, 256))
    pools: tuple[tuple[int, int], ...] = ((2, 2), (2, 2), (4, 3))  # time, bands, after each group
    dense: tuple[int, ...] = (3072, 1024)
    frames: int = 100  # per segment: one second, no overlap
    dropout: float = 0.0  # after each dense layer

    def __post_init__(self) -> None:
        if len(self.groups) != len(self.pools) or not self.groups or not self.dense:
            raise ValueError(
                "one pool per group and at least one dense layer: "
                f"{self.groups = }, {self.pools = }, {self.dense = }"
            )
        if min(side for pool in self.pools for side in pool) < 1:
            raise ValueError(f"pools must be positive: {self.pools = }")
        if self.frames < math.prod(time for time, _ in self.pools):
            raise ValueError(
                f"pooling leaves nothing of a segment: {self.frames = }, {self.pools = }"
            )

    def cells(self, bands: int) -> int:
        """Positions that remain of a segment after pooling."""
        time = self.frames
        for pool in self.pools:
            time, bands = time // pool[0], bands // pool[1]
        return time * bands


class Vgg3(Extractor):
    """One instance per segment."""

    Settings = Vgg3Settings
    reach = 0

    def __init__(self, shape: FeatureShape, settings: Vgg3Settings) -> None:
        super().__init__(shape, settings)
        cells = settings.cells(shape.bands)
        if cells < 1:
            raise ValueError(f"pooling leaves none of the {shape.bands} bands: {settings.pools = }")
        self.stride, self.width = settings.frames, settings.dense[-1]
        self.convolutions = nn.Sequential(*_groups(shape.channels, settings))
        sides = zip(
            (settings.groups[-1][-1] * cells, *settings.dense), settings.dense, strict=False
        )
        self.dense = nn.Sequential(
            *(dense(before, after, settings.dropout) for before, after in sides)
        )

    def forward(self, features: Tensor) -> Tensor:
        segments = features.unfold(2, self.stride, self.stride)  # (B, C, I, M, frames)
        bags, _, count = segments.shape[:3]
        x = segments.permute(0, 2, 1, 4, 3).flatten(0, 1)  # (B x I, C, frames, M)
        embeddings: Tensor = self.dense(self.convolutions(x).flatten(1))
        return embeddings.view(bags, count, self.width)


def _groups(channels: int, settings: Vgg3Settings) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    for widths, pool in zip(settings.groups, settings.pools, strict=True):
        for width in widths:
            blocks += [
                nn.Conv2d(channels, width, 3, padding=1),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            channels = width
        blocks.append(nn.MaxPool2d(pool))
    return blocks

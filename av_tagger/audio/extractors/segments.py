"""Convolutions on segments that know nothing of each other: SMALL's MIL-CNN and its embedding network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from av_tagger.audio.architecture import FeatureShape
from av_tagger.audio.extractors.dense import dense
from av_tagger.audio.sockets import Extractor


@dataclass(frozen=True)
class Vgg3Settings:
    """SMALL §2.2: the first three groups of VGG-16 with batch norm, then dense layers; the embedding network ends in one of 512 (§2.3).

    With VGG's own pools of two, 12 x 8 cells remain of a second and the first dense layer alone has 75 M parameters, while the
    paper counts 29 M in all: 30 or 31 cells. A last pool of 4 x 3 leaves 6 x 5 of them, 28.5 M parameters.
    """

    groups: tuple[tuple[int, ...], ...] = ((64, 64), (128, 128), (256, 256, 256))
    pools: tuple[tuple[int, int], ...] = ((2, 2), (2, 2), (4, 3))  # time, bands, after each group
    dense: tuple[int, ...] = (3072, 1024)
    frames: int = 100  # a segment: one second every 10 ms, no overlap
    dropout: float = 0.0  # after each dense layer

    def __post_init__(self) -> None:
        if len(self.groups) != len(self.pools) or not self.groups or not self.dense:
            raise ValueError(
                f"every group has its pool, and dense layers follow: {self.groups = }, {self.pools = }, {self.dense = }"
            )
        if self.frames < math.prod(time for time, _ in self.pools):
            raise ValueError(
                f"the pools leave nothing of a segment: {self.frames = }, {self.pools = }"
            )

    def cells(self, bands: int) -> int:
        """Positions that are left of a segment."""
        time = self.frames
        for pool in self.pools:
            time, bands = time // pool[0], bands // pool[1]
        return time * bands


class Vgg3(Extractor):
    """An instance a segment."""

    Settings = Vgg3Settings

    def __init__(self, shape: FeatureShape, settings: Vgg3Settings) -> None:
        super().__init__(shape, settings)
        cells = settings.cells(shape.bands)
        if cells < 1:
            raise ValueError(f"the pools leave nothing of {shape.bands} bands: {settings.pools = }")
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

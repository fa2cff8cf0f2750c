"""The CRNN of AV (§2.1, §3.2): convolutions and max-pooling from 200 to 10 Hz, then a GRU."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from av_tagger.audio.architecture import FeatureShape
from av_tagger.audio.base import Extractor


@dataclass(frozen=True)
class CrnnSettings:
    """AV gives dropout, GRU and the rate of 10 Hz; channels, kernels and pools are ours.

    Pooling time by five in the first block makes the wide layers five times faster. What remains
    are steps of 25 ms, as in SMALL.
    """

    channels: tuple[int, ...] = (32, 64, 128, 128)
    kernel: tuple[int, int] = (3, 3)  # time, bands; odd
    pools: tuple[tuple[int, int], ...] = ((5, 3), (2, 2), (2, 2), (1, 5))  # time, bands
    dropout: float = 0.2
    units: int = 100  # of the GRU, each direction
    layers: int = 1
    batch_norm: bool = True

    def __post_init__(self) -> None:
        if len(self.channels) != len(self.pools) or not self.channels:
            raise ValueError(f"one pool per convolution: {self.channels = }, {self.pools = }")
        if min(self.channels) < 1:
            raise ValueError(f"channels must be positive: {self.channels = }")
        if min(side for pool in self.pools for side in pool) < 1:
            raise ValueError(f"pools must be positive: {self.pools = }")
        if any(k % 2 == 0 for k in self.kernel):
            raise ValueError(f"kernel sides must be odd: {self.kernel = }")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1): {self.dropout}")

    @property
    def stride(self) -> int:
        return math.prod(time for time, _ in self.pools)

    def bands_left(self, bands: int) -> int:
        for _, pool in self.pools:
            bands //= pool
        return bands


class Crnn(Extractor):
    """Instances of width 2 x `units`, by default 10 per second."""

    Settings = CrnnSettings

    def __init__(self, shape: FeatureShape, settings: CrnnSettings) -> None:
        super().__init__(shape, settings)
        left = settings.bands_left(shape.bands)
        if left < 1:
            raise ValueError(f"pooling leaves none of the {shape.bands} bands: {settings.pools = }")
        self.stride, self.width = settings.stride, 2 * settings.units
        self.convolutions = nn.Sequential(*_blocks(shape.channels, settings)).to(
            memory_format=torch.channels_last
        )
        self.gru = nn.GRU(
            settings.channels[-1] * left,
            settings.units,
            settings.layers,
            batch_first=True,
            bidirectional=True,
        )
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, features: Tensor) -> Tensor:
        channels_last = features.contiguous(memory_format=torch.channels_last)
        x = self.convolutions(channels_last)  # (B, C, I, remaining bands)
        sequence, _ = self.gru(x.permute(0, 2, 1, 3).flatten(2))
        return self.dropout(sequence)  # type: ignore[no-any-return]


def _blocks(channels: int, settings: CrnnSettings) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    for width, pool in zip(settings.channels, settings.pools, strict=True):
        padding = (settings.kernel[0] // 2, settings.kernel[1] // 2)
        convolution = nn.Conv2d(
            channels, width, settings.kernel, padding=padding, bias=not settings.batch_norm
        )
        normalisation = [nn.BatchNorm2d(width)] if settings.batch_norm else []
        # ReLU after max-pooling gives the same (both are monotone) and is cheaper.
        blocks += [
            convolution,
            *normalisation,
            nn.MaxPool2d(pool),
            nn.ReLU(inplace=True),
            nn.Dropout(settings.dropout),
        ]
        channels = width
    return blocks

"""Dense layers per frame or embedding: SMALL's DNN, the mappings of PROB and ATT, DCASE 2017."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from av_tagger.audio.architecture import FeatureShape
from av_tagger.audio.base import Extractor
from av_tagger.audio.norm import VectorNorm


@dataclass(frozen=True)
class DenseSettings:
    widths: tuple[int, ...] = (1024, 1024, 1024)  # ATT §VI-C; (): the features are the instances
    dropout: float = 0.0  # after each layer
    batch_norm: bool = False  # after each layer, before its ReLU
    context: int = 1  # input frames per instance, odd; 5 in the DCASE 2017 baseline

    def __post_init__(self) -> None:
        if any(width < 1 for width in self.widths) or not 0 <= self.dropout < 1:
            raise ValueError(
                "widths must be positive and dropout in [0, 1): "
                f"{self.widths = }, {self.dropout = }"
            )
        if self.context < 1 or self.context % 2 == 0:
            raise ValueError(f"context must be odd: {self.context}")


class Dense(Extractor):
    """One instance per frame, independent of all others: usable without latency (SMALL §5)."""

    Settings = DenseSettings

    def __init__(self, shape: FeatureShape, settings: DenseSettings) -> None:
        super().__init__(shape, settings)
        self.inputs = shape.channels * shape.bands * settings.context
        self.stride, self.width = 1, (self.inputs, *settings.widths)[-1]
        self.reach = settings.context // 2
        sides = zip((self.inputs, *settings.widths), settings.widths, strict=False)
        self.layers = nn.ModuleList(
            dense(before, after, settings.dropout, settings.batch_norm) for before, after in sides
        )

    @property
    def level_widths(self) -> tuple[int, ...]:
        return (self.inputs, *self.settings.widths)

    def forward(self, features: Tensor) -> Tensor:
        return self.levels(features)[-1]

    def levels(self, features: Tensor) -> tuple[Tensor, ...]:
        """The input, then every hidden layer."""
        found = [in_context(features, self.settings.context)]
        for layer in self.layers:
            found.append(layer(found[-1]))
        return tuple(found)


def dense(before: int, after: int, dropout: float, batch_norm: bool = False) -> nn.Sequential:
    """A dense layer, if asked for batch normalisation, ReLU and dropout."""
    norm = [VectorNorm(after)] if batch_norm else []
    return nn.Sequential(nn.Linear(before, after), *norm, nn.ReLU(), nn.Dropout(dropout))


def in_context(features: Tensor, context: int) -> Tensor:
    """(B, C, T, M) to (B, T, context x C x M): frames with their neighbours, edges repeated."""
    x = features.permute(0, 2, 1, 3).flatten(2)  # (B, T, C x M)
    if context == 1:
        return x
    reach = context // 2
    padded = torch.cat([x[:, :1].expand(-1, reach, -1), x, x[:, -1:].expand(-1, reach, -1)], dim=1)
    return padded.unfold(1, context, 1).transpose(2, 3).flatten(2)

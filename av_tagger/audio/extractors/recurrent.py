"""Recurrent layers on embeddings: the bidirectional LSTM of SMALL, the RNN of PROB."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from av_tagger.audio.architecture import FeatureShape
from av_tagger.audio.base import Extractor
from av_tagger.audio.extractors.dense import in_context


@dataclass(frozen=True)
class BiLstmSettings:
    """SMALL §4: three layers, 6.5 M parameters. 305 units per direction give 6.48 M."""

    units: int = 305
    layers: int = 3
    dropout: float = 0.0  # after each layer

    def __post_init__(self) -> None:
        if min(self.units, self.layers) < 1 or not 0 <= self.dropout < 1:
            raise ValueError(
                "units and layers must be positive and dropout in [0, 1): "
                f"{self.units = }, {self.layers = }, {self.dropout = }"
            )


class BiLstm(Extractor):
    """One instance per embedding, computed from the whole bag."""

    Settings = BiLstmSettings

    def __init__(self, shape: FeatureShape, settings: BiLstmSettings) -> None:
        super().__init__(shape, settings)
        self.stride, self.width = 1, 2 * settings.units
        between = settings.dropout if settings.layers > 1 else 0.0
        inputs = shape.channels * shape.bands
        self.lstm = nn.LSTM(
            inputs,
            settings.units,
            settings.layers,
            batch_first=True,
            bidirectional=True,
            dropout=between,
        )
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, features: Tensor) -> Tensor:
        sequence, _ = self.lstm(in_context(features, 1))
        return self.dropout(sequence)  # type: ignore[no-any-return]

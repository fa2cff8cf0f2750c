"""The audio network: front end, extractor, head and pooling, built from an `EarArchitecture`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from av_tagger.audio.architecture import EarArchitecture, FeatureShape
from av_tagger.audio.base import (
    ACTIVATIONS,
    Bag,
    BagShape,
    Extractor,
    Heard,
    Pooling,
)
from av_tagger.audio.extractors import EXTRACTORS
from av_tagger.audio.extractors.fuse import ResNorm
from av_tagger.audio.frontend import LogMel
from av_tagger.audio.pooling import POOLINGS
from av_tagger.errors import UsageError, did_you_mean
from av_tagger.settings import check_range, from_table, shown


class Normalise(nn.Module):
    """(x - mean) / std per band, with statistics of the training data, stored with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: FeatureShape) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape.channels, shape.bands))
        self.register_buffer("std", torch.ones(shape.channels, shape.bands))

    def set(self, mean: Tensor, std: Tensor) -> None:
        """Store the statistics; a constant band gets std 1, so that rounding is not amplified."""
        self.mean.copy_(mean.reshape(self.mean.shape))
        self.std.copy_(torch.where(std > 1e-5, std, torch.ones_like(std)).reshape(self.std.shape))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean[:, None]) / self.std[:, None]


class Head(nn.Module):
    """A dense layer to class probabilities, in float32: bfloat16 is too coarse near 1."""

    def __init__(self, width: int, classes: int, activation: str) -> None:
        super().__init__()
        self.dense = nn.Linear(width, classes)
        self.activation = activation

    def forward(self, embeddings: Tensor) -> Tensor:
        probabilities: Tensor = ACTIVATIONS[self.activation](self.dense(embeddings).float())
        return probabilities


class MilNetwork(nn.Module):
    """Features of clips in, bag and instance probabilities out.

    Clips are padded with silence, not with zeros: after normalisation a zero is a band at its mean
    level, which is a sound. Every clip gets `margin` instances of silence on both sides, in which
    the GRU settles, and is filled up to whole instances; the outputs of the margins are cut off.
    """

    silence: Tensor

    def __init__(
        self,
        frontend: LogMel | None,
        extractor: Extractor,
        head: Head,
        pooling: Pooling,
        margin: int = 0,
    ) -> None:
        super().__init__()
        self.frontend, self.extractor, self.head = frontend, extractor, head
        self.pooling, self.margin = pooling, margin
        shape = extractor.shape
        self.normalise = Normalise(shape)
        self.residual: nn.Module = nn.Identity()  # applied to the normalised features
        quiet = torch.zeros(shape.channels, shape.bands) if frontend is None else frontend.silence()
        self.register_buffer("silence", quiet, persistent=False)

    def features(self, waveforms: Tensor) -> Tensor:
        """(B, samples) to (B, C, T, M), before normalisation."""
        if self.frontend is None:
            raise UsageError(
                "this network reads features, not waveforms; give it the features of its training"
            )
        features: Tensor = self.frontend(waveforms)
        return features

    def forward(self, features: Tensor, frames: Tensor | None = None) -> Heard:
        """Features (B, C, T, M) or (B, T, M); `frames` (B,): how many of T are no padding (all)."""
        x = features.unsqueeze(1) if features.ndim == 3 else features
        lengths = torch.full((len(x),), x.shape[2]) if frames is None else frames.cpu()
        if lengths.shape != (len(x),) or int(lengths.min()) < 1 or int(lengths.max()) > x.shape[2]:
            raise ValueError(f"every bag needs 1 to {x.shape[2]} frames: {lengths.tolist()}")
        levels = self._levels(x, lengths)
        counts = -(-lengths // self.extractor.stride)
        mask = (torch.arange(levels[-1].shape[1]) < counts[:, None]).to(x.device)
        return self._score(levels, mask)

    def _score(self, levels: tuple[Tensor, ...], mask: Tensor) -> Heard:
        embeddings = levels[-1]
        decisions = self.head(embeddings) if self.pooling.decides else embeddings.new_zeros(0)
        bag = Bag(
            embeddings, decisions, mask, self.head, levels if self.pooling.wants_levels else ()
        )
        bags, instances = self.pooling.answers(bag)
        return Heard(bags, instances, mask, embeddings)

    def _levels(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """Training pads short clips; inference batches clips of equal length, without padding."""
        distinct = sorted(set(lengths.tolist()))
        if self.training or len(distinct) == 1:
            return self._extract(self._quieted(x[:, :, : max(distinct)], lengths))
        rows = {length: (lengths == length).nonzero().flatten().to(x.device) for length in distinct}
        parts = {length: self._extract(x[index][:, :, :length]) for length, index in rows.items()}
        stacked = []
        for depth, longest in enumerate(parts[max(distinct)]):
            whole = longest.new_zeros(len(x), *longest.shape[1:])
            for length, index in rows.items():
                part = parts[length][depth]
                whole[index, : part.shape[1]] = part
            stacked.append(whole)
        return tuple(stacked)

    def _quieted(self, x: Tensor, lengths: Tensor) -> Tensor:
        if int(lengths.min()) == x.shape[2]:
            return x
        real = torch.arange(x.shape[2], device=x.device) < lengths.to(x.device)[:, None]
        return torch.where(real[:, None, :, None], x, self.silence[:, None])

    def _extract(self, x: Tensor) -> tuple[Tensor, ...]:
        stride, edge = self.extractor.stride, self.margin
        count = -(-x.shape[2] // stride)
        before, after = edge * stride, (edge + count) * stride - x.shape[2]
        x = self.residual(self.normalise(x))  # of the recording alone, without the padding
        if before or after:
            quiet = self.normalise(self.silence[:, None]).to(x.dtype)[None]
            quiet = quiet.expand(len(x), -1, -1, -1)
            ends = (quiet.expand(-1, -1, before, -1), quiet.expand(-1, -1, after, -1))
            x = torch.cat([ends[0], x, ends[1]], dim=2)
        levels = self.extractor.levels(x) if self.pooling.wants_levels else (self.extractor(x),)
        return tuple(level[:, edge : edge + count] for level in levels)


COUNTS = ("layers", "blocks", "levels", "parts")  # settings that repeat parts of a network
MOST_PARTS, WIDEST = 64, 1 << 16


def check_sizes(settings: object) -> None:
    """ValueError for sizes that no network has: widths, repeats, rates of dropout."""
    for name, value in vars(settings).items():
        if name == "dropout":
            check_range(settings, 0.0, 1.0, name)
        for number in _whole_numbers(value, name):
            most = MOST_PARTS if name in COUNTS else WIDEST
            if not 0 <= number <= most:
                raise ValueError(f"{name} must lie between 0 and {most}, not {shown(value)}")


def _whole_numbers(value: object, name: str) -> list[int]:
    """All integers in nested tuples, which are no longer than any network needs."""
    if isinstance(value, bool) or not isinstance(value, int | tuple):
        return []
    if isinstance(value, int):
        return [value]
    if len(value) > MOST_PARTS:
        raise ValueError(f"{name} has more than {MOST_PARTS} entries")
    return [number for item in value for number in _whole_numbers(item, name)]


def build_network(description: EarArchitecture | Mapping[str, Any]) -> MilNetwork:
    """A network with random weights; wrong names and settings raise UsageError."""
    if not isinstance(description, EarArchitecture):
        description = EarArchitecture.from_table(description)
    a = description
    if a.extractor not in EXTRACTORS:
        raise UsageError(
            f"there is no extractor {a.extractor!r}; {did_you_mean(a.extractor, EXTRACTORS)}"
        )
    if a.pooling not in POOLINGS:
        raise UsageError(f"there is no pooling {a.pooling!r}; {did_you_mean(a.pooling, POOLINGS)}")
    extractor_kind, pooling_kind = EXTRACTORS[a.extractor], POOLINGS[a.pooling]
    settings = from_table(extractor_kind.Settings, a.extractor_settings, f"extractor {a.extractor}")
    pooling_settings = from_table(pooling_kind.Settings, a.pooling_settings, f"pooling {a.pooling}")
    try:
        check_sizes(settings)
        check_sizes(pooling_settings)
        extractor = extractor_kind(a.shape, settings)
        shape = BagShape(extractor.width, a.classes, extractor.level_widths, a.activation)
        pooling = pooling_kind(shape, pooling_settings)
    except (ValueError, ArithmeticError, IndexError) as error:
        raise UsageError(
            f"{a.extractor} with {a.pooling} pooling cannot be built: {error}"
        ) from error
    head = Head(pooling.head_width, a.classes, a.activation)
    frontend = LogMel(a.frontend) if a.frontend else None
    network = MilNetwork(frontend, extractor, head, pooling, a.margin)
    if a.residual_norm is not None:
        network.residual = ResNorm(a.residual_norm)
    return network

"""Poolings of features: the instances become one vector, which the head classifies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from av_tagger.audio.attention import (
    attention_layer,
    attention_weights,
    check_nonlinearity,
    dense_layers,
    normalised,
)
from av_tagger.audio.base import Bag, BagShape, Pooling
from av_tagger.audio.norm import VectorNorm


@dataclass(frozen=True)
class EmbeddedSettings:
    aggregate: str = "average"  # one of AGGREGATES
    widths: tuple[int, ...] = ()  # hidden layers between the bag's vector and the head
    dropout: float = 0.0
    batch_norm: bool = False  # after each hidden layer, before its ReLU

    def __post_init__(self) -> None:
        if self.aggregate not in AGGREGATES:
            raise ValueError(f"aggregate is one of {', '.join(AGGREGATES)}: {self.aggregate!r}")


class Embedded(Pooling):
    """Embedded space, ATT §IV-C: h aggregates the instances (equations 14, 15), F(B) = g(h)."""

    Settings = EmbeddedSettings
    decides = False

    def __init__(self, shape: BagShape, settings: EmbeddedSettings) -> None:
        super().__init__(shape, settings)
        joined = shape.width * (2 if settings.aggregate == "max-min" else 1)
        self._head_width = (joined, *settings.widths)[-1]
        self.mapping = dense_layers(
            (joined, *settings.widths), settings.dropout, settings.batch_norm
        )

    @property
    def head_width(self) -> int:
        return self._head_width

    def forward(self, bag: Bag) -> Tensor:
        return self._scored(bag, bag.embeddings, bag.mask)

    def answers(self, bag: Bag) -> tuple[Tensor, Tensor]:
        count, bags = bag.embeddings.shape[:2], self(bag)
        single = bag.embeddings.flatten(0, 1).unsqueeze(1)  # each instance as a bag of its own
        learning, _ = self.training, self.mapping.eval()  # batch statistics are those of bags
        alone = self._scored(bag, single, bag.mask.new_ones(count.numel(), 1))
        self.mapping.train(learning)
        return bags, alone.view(*count, -1)

    def _scored(self, bag: Bag, embeddings: Tensor, mask: Tensor) -> Tensor:
        return bag.classify(self.mapping(AGGREGATES[self.settings.aggregate](embeddings, mask)))


@dataclass(frozen=True)
class FeatureLevelSettings:
    aggregate: str = "attention"  # or average, max
    nonlinearity: str = "sigmoid"  # phi_2, of the attention
    width: int = 0  # J of equation 20; 0: as wide as the instances
    rectify: bool = True  # psi of equation 23 is ReLU; False: linear (the paper allows both)
    batch_norm: bool = False  # of the pooled vector, then ReLU and dropout: the authors' code
    dropout: float = 0.0  # of the pooled vector, with batch_norm

    def __post_init__(self) -> None:
        check_nonlinearity(self.nonlinearity)
        if self.aggregate not in ("attention", "average", "max"):
            raise ValueError(f"aggregate is one of attention, average, max: {self.aggregate!r}")
        if self.width < 0:
            raise ValueError(f"width must not be negative: {self.width}")


class FeatureLevel(Pooling):
    """ATT equations 20-24: h_j = sum_x q_j(x) u_j(x) and F(B) = f(h).

    q = w / sum_bag w are the attention weights, u = psi(W x' + b) the mapped instances.
    """

    Settings = FeatureLevelSettings
    decides = False

    def __init__(self, shape: BagShape, settings: FeatureLevelSettings) -> None:
        super().__init__(shape, settings)
        self.map = nn.Linear(shape.width, self.head_width)
        attention = attention_layer(shape.width, self.head_width, settings.nonlinearity)
        self.look = attention if settings.aggregate == "attention" else nn.Identity()
        self.norm = VectorNorm(self.head_width) if settings.batch_norm else None
        self.dropout = nn.Dropout(settings.dropout)

    @property
    def head_width(self) -> int:
        return int(self.settings.width) or self.shape.width

    def forward(self, bag: Bag) -> Tensor:
        return self.answers(bag)[0]

    def answers(self, bag: Bag) -> tuple[Tensor, Tensor]:
        u = self._mapped(bag)
        pooled = self._pooled(bag, u)
        if self.norm is None:
            return bag.classify(pooled), bag.classify(u)
        whole = self.dropout(self.norm(pooled).relu())
        # Statistics are of bags: an instance is normalised by those of earlier batches.
        return bag.classify(whole), bag.classify(self.norm.running(u).relu())

    def _mapped(self, bag: Bag) -> Tensor:
        mapped: Tensor = self.map(bag.embeddings)
        return mapped.relu() if self.settings.rectify else mapped

    def _pooled(self, bag: Bag, u: Tensor) -> Tensor:
        if self.settings.aggregate != "attention":
            return AGGREGATES[self.settings.aggregate](u, bag.mask)
        w = attention_weights(self.look(bag.embeddings), bag.mask, self.settings.nonlinearity)
        return (normalised(w, bag.mask) * u).sum(dim=1)


def _average(x: Tensor, mask: Tensor) -> Tensor:
    return (normalised(torch.ones_like(x), mask) * x).sum(dim=1)


def _max(x: Tensor, mask: Tensor) -> Tensor:
    return x.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(dim=1)


def _min(x: Tensor, mask: Tensor) -> Tensor:
    return x.masked_fill(~mask.unsqueeze(-1), torch.inf).amin(dim=1)


AGGREGATES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "average": _average,
    "max": _max,
    "min": _min,
    "max-min": lambda x, mask: torch.cat([_max(x, mask), _min(x, mask)], dim=-1),
}

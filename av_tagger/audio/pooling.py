"""Poolings: what a bag's instances say together; each formula once, with the paper that states it."""

from __future__ import annotations

import torch
from torch import Tensor

from av_tagger.audio.attention import (
    NONLINEARITIES,
    Attention,
    AttentionSettings,
    Jdc,
    MultiLevel,
    SelfAttention,
    shares,
    weighted,
)
from av_tagger.audio.embedded import Embedded, FeatureLevel
from av_tagger.audio.sockets import Bag, Pooling

__all__ = ["NONLINEARITIES", "POOLINGS", "Attention", "AttentionSettings", "shares", "weighted"]


class MaxPooling(Pooling):
    """The standard MIL assumption, AV §2.1: P(e_k | x_i) = max_j P(e_k | x_ij); one instance a class gets the gradient."""

    def forward(self, bag: Bag) -> Tensor:
        return bag.probabilities.masked_fill(~bag.mask.unsqueeze(-1), -1.0).max(dim=1).values


class MeanPooling(Pooling):
    """The collective assumption: every instance has the same say."""

    def forward(self, bag: Bag) -> Tensor:
        return weighted(bag, torch.ones_like(bag.probabilities))


class LinearSoftmax(Pooling):
    """Weights equal to the probabilities themselves: sum p^2 / sum p."""

    def forward(self, bag: Bag) -> Tensor:
        return weighted(bag, bag.probabilities)


class ExponentialSoftmax(Pooling):
    """Weights exp(p): sum p exp(p) / sum exp(p)."""

    def forward(self, bag: Bag) -> Tensor:
        return weighted(bag, bag.probabilities.exp())


POOLINGS: dict[str, type[Pooling]] = {
    "max": MaxPooling,
    "mean": MeanPooling,
    "linear-softmax": LinearSoftmax,
    "exponential-softmax": ExponentialSoftmax,
    "attention": Attention,
    "multi-level": MultiLevel,
    "jdc": Jdc,
    "self-attention": SelfAttention,
    "feature-level": FeatureLevel,
    "embedded": Embedded,
}

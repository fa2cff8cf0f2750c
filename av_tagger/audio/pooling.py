"""Poolings by name: from instances to a bag. Those without parameters are here."""

from __future__ import annotations

import torch
from torch import Tensor

from av_tagger.audio.attention import Attention, Jdc, MultiLevel, SelfAttention, weighted_mean
from av_tagger.audio.base import Bag, Pooling
from av_tagger.audio.feature_pooling import Embedded, FeatureLevel


class MaxPooling(Pooling):
    """The standard MIL assumption, AV §2.1: P(e_k | x_i) = max_j P(e_k | x_ij)."""

    def forward(self, bag: Bag) -> Tensor:
        return bag.probabilities.masked_fill(~bag.mask.unsqueeze(-1), -1.0).max(dim=1).values


class MeanPooling(Pooling):
    """The collective assumption: every instance has the same weight."""

    def forward(self, bag: Bag) -> Tensor:
        return weighted_mean(bag, torch.ones_like(bag.probabilities))


class LinearSoftmax(Pooling):
    """Weights equal to the probabilities: sum p^2 / sum p."""

    def forward(self, bag: Bag) -> Tensor:
        return weighted_mean(bag, bag.probabilities)


class ExponentialSoftmax(Pooling):
    """Weights exp(p): sum p exp(p) / sum exp(p)."""

    def forward(self, bag: Bag) -> Tensor:
        return weighted_mean(bag, bag.probabilities.exp())


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

"""Poolings: what a bag's instances say together; each formula once, with the paper that states it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from av_tagger.audio.sockets import Bag, BagShape, Pooling

TINY = 1e-12  # weights of a bag can all be zero (ReLU): the sum is then kept from dividing by it


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


@dataclass(frozen=True)
class AttentionSettings:
    nonlinearity: str = "softmax"  # phi of PROB; one of NONLINEARITIES

    def __post_init__(self) -> None:
        if self.nonlinearity not in NONLINEARITIES:
            raise ValueError(f"an attention's nonlinearity is one of {', '.join(NONLINEARITIES)}: {self.nonlinearity!r}")


class Attention(Pooling):
    """Decision level, PROB: v = phi(W h + b), p_k(x) = v_k(x) / sum_bag v_k, F_k = sum_x p_k(x) f_k(x)."""

    Settings = AttentionSettings

    def __init__(self, shape: BagShape, settings: AttentionSettings) -> None:
        super().__init__(shape, settings)
        self.look = nn.Linear(shape.width, shape.classes)

    def forward(self, bag: Bag) -> Tensor:
        v = NONLINEARITIES[self.settings.nonlinearity](self.look(bag.embeddings).float(), bag.mask)
        return weighted(bag, v)


def weighted(bag: Bag, weights: Tensor) -> Tensor:
    """The mean of the instance probabilities under non-negative weights (B, I, classes)."""
    return (shares(weights, bag.mask) * bag.probabilities).sum(dim=1)


def shares(weights: Tensor, mask: Tensor) -> Tensor:
    """Non-negative weights as parts of one along the bag; padding gets none, and a bag without any weight shares evenly."""
    real = mask.unsqueeze(-1).to(weights.dtype)
    masked = weights * real
    total = masked.sum(dim=1, keepdim=True)
    even = real / real.sum(dim=1, keepdim=True)
    return torch.where(total > TINY, masked / total.clamp(min=TINY), even)


def _softmax(v: Tensor, mask: Tensor) -> Tensor:
    """exp(v) up to a factor of the bag that the shares cancel; the shift keeps it finite."""
    hidden = v.masked_fill(~mask.unsqueeze(-1), -torch.inf)
    return (hidden - hidden.amax(dim=1, keepdim=True).detach()).exp()


NONLINEARITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "relu": lambda v, _: v.relu(),
    "sigmoid": lambda v, _: v.sigmoid(),
    "softmax": _softmax,
}

POOLINGS: dict[str, type[Pooling]] = {
    "max": MaxPooling,
    "mean": MeanPooling,
    "linear-softmax": LinearSoftmax,
    "exponential-softmax": ExponentialSoftmax,
    "attention": Attention,
}

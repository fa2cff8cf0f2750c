"""Losses: how wrong a network's answer is; each takes the whole answer, so that a loss on instances fits as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from av_tagger.audio.sockets import Heard, Loss


class BinaryCrossEntropy:
    """AV §2.1: averaged over clips and classes."""

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor:
        return cross_entropies(heard.bags, targets).mean()


class ClassWeighted:
    """SMALL: summed over the classes, each with its own weight, averaged over clips."""

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = torch.as_tensor(weights, dtype=torch.float32)
        if self.weights.ndim != 1 or not bool(torch.isfinite(self.weights).all()) or bool((self.weights < 0).any()):
            raise ValueError("class weights are one finite, not negative number a class")

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor:
        entropies = cross_entropies(heard.bags, targets)
        return (entropies * self.weights.to(entropies.device)).sum(dim=1).mean()


def cross_entropies(probabilities: Tensor, targets: Tensor) -> Tensor:
    """-(t log p + (1 - t) log(1 - p)), element by element, in fp32: half precision has no log of a small probability."""
    with torch.autocast(probabilities.device.type, enabled=False):
        return F.binary_cross_entropy(probabilities.float(), targets.float(), reduction="none")


def inverse_frequency(counts: Sequence[int]) -> tuple[float, ...]:
    """SMALL: weights inverse to how often each class occurs, scaled to a mean of one; a class never seen weighs as if seen once."""
    raw = [1 / max(1, count) for count in counts]
    mean = sum(raw) / len(raw)
    return tuple(weight / mean for weight in raw)


LOSSES: dict[str, Callable[..., Loss]] = {"bce": BinaryCrossEntropy, "class-weighted": ClassWeighted}

"""Losses: how wrong a network's answer is; each takes the whole answer, so that a loss on instances fits as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from av_tagger.audio.sockets import Heard, Loss

Label = Callable[
    [Tensor, Tensor], Tensor
]  # instances (B, I, classes) and bag targets (B, classes) to instance targets


class BinaryCrossEntropy:
    """AV §2.1: averaged over clips and classes."""

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor:
        return cross_entropies(heard.bags, targets).mean()


class ClassWeighted:
    """SMALL: summed over the classes, each with its own weight, averaged over clips."""

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = torch.as_tensor(weights, dtype=torch.float32)
        if (
            self.weights.ndim != 1
            or not bool(torch.isfinite(self.weights).all())
            or bool((self.weights < 0).any())
        ):
            raise ValueError("class weights are one finite, not negative number a class")

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor:
        entropies = cross_entropies(heard.bags, targets)
        return (entropies * self.weights.to(entropies.device)).sum(dim=1).mean()


class AlphaWeighted:
    """FUSE equation 3: the mean over classes of -(alpha Y ln p + (1 - Y) ln(1 - p)), alpha = C - 1 unless given."""

    def __init__(self, alpha: float | None = None) -> None:
        self.alpha = _checked(alpha)

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor:
        return alpha_entropies(heard.bags, targets, self.alpha).mean()


class CrossEntropy:
    """-ln p of the class that a bag has, for activations that sum to one; several classes share the bag evenly."""

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor:
        return class_entropies(heard.bags, targets).mean()


class InstanceLoss:
    """FUSE §3.1: every instance has a label (`label`), and the loss is the mean over the instances of a bag, then over bags.

    `entropy` bce is equation 4, weighted with alpha; ce is its variant for softmax, in which negative instances weigh nothing.
    """

    def __init__(
        self,
        label: Label,
        entropy: str = "bce",
        alpha: float | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        if entropy not in ("bce", "ce"):
            raise ValueError(f"the entropy of an instance is bce or ce: {entropy!r}")
        self.label, self.entropy, self.alpha = label, entropy, _checked(alpha)
        self.weights = torch.as_tensor(
            weights if weights is not None else 1.0, dtype=torch.float32
        )  # of the classes, for bce

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor:
        labels = self.label(heard.instances.detach(), targets.to(heard.instances.dtype))
        if self.entropy == "bce":
            weights = self.weights.to(labels.device)
            entropies = (alpha_entropies(heard.instances, labels, self.alpha) * weights).mean(dim=2)
        else:
            entropies = class_entropies(heard.instances, labels)
        return along_bag(entropies, heard.mask).mean()


class FrameLoss:
    """Compared in FUSE Table 4: l2 on the frames of classes that a bag lacks, and smoothness along those of classes that it has."""

    def __init__(self, smooth: float = 1.0) -> None:
        if smooth < 0:
            raise ValueError(f"smoothness has no negative weight: {smooth = }")
        self.smooth = smooth

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor:
        p, there = heard.instances.float(), targets.float().unsqueeze(1)
        inactive = along_bag(((1 - there) * p.square()).mean(dim=2), heard.mask)
        steps = (there * (p[:, 1:] - p[:, :-1]).square()).mean(dim=2)
        if steps.shape[1] == 0:  # a bag of one instance has no neighbours
            return inactive.mean()
        return (inactive + self.smooth * along_bag(steps, heard.mask[:, 1:])).mean()


def positive_or_negative(instances: Tensor, targets: Tensor) -> Tensor:
    """PNL, FUSE equation 4: one-hot of an instance's likeliest class where the bag has that class, else zeros."""
    likeliest = F.one_hot(instances.argmax(dim=2), instances.shape[2]).to(targets.dtype)
    return likeliest * (targets > 0.5).to(targets.dtype).unsqueeze(1)


def inherited(instances: Tensor, targets: Tensor) -> Tensor:
    """GT, FUSE §3.1, and the segment-based method of ATT §III-A: every instance has the labels of its bag."""
    return targets.unsqueeze(1).expand_as(instances)


def alpha_entropies(probabilities: Tensor, targets: Tensor, alpha: float | None = None) -> Tensor:
    """-(alpha t ln p + (1 - t) ln(1 - p)), element by element; alpha = classes - 1 unless given."""
    weight = max(1, probabilities.shape[-1] - 1) if alpha is None else alpha
    return cross_entropies(probabilities, targets) * (1 + (weight - 1) * targets.float())


def class_entropies(probabilities: Tensor, targets: Tensor) -> Tensor:
    """-sum_c t_c ln p_c with targets as shares of one; a row without any target is zero."""
    shares = targets.float() / targets.float().sum(dim=-1, keepdim=True).clamp(min=1)
    return (shares * cross_entropies(probabilities, torch.ones_like(shares))).sum(dim=-1)


def along_bag(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of (B, I) over what is real of each bag; nothing real is zero."""
    real = mask.to(values.dtype)
    return (values * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)


def cross_entropies(probabilities: Tensor, targets: Tensor) -> Tensor:
    """-(t log p + (1 - t) log(1 - p)), element by element, in fp32: half precision has no log of a small probability."""
    with torch.autocast(probabilities.device.type, enabled=False):
        return F.binary_cross_entropy(probabilities.float(), targets.float(), reduction="none")


def inverse_frequency(counts: Sequence[int]) -> tuple[float, ...]:
    """SMALL: weights inverse to how often each class occurs, scaled to a mean of one; a class never seen weighs as if seen once."""
    raw = [1 / max(1, count) for count in counts]
    mean = sum(raw) / len(raw)
    return tuple(weight / mean for weight in raw)


def _checked(alpha: float | None) -> float | None:
    if alpha is not None and alpha <= 0:
        raise ValueError(f"positives weigh something: {alpha = }")
    return alpha


LOSSES: dict[str, Callable[..., Loss]] = {
    "bce": BinaryCrossEntropy,
    "class-weighted": ClassWeighted,
    "alpha-weighted": AlphaWeighted,
    "ce": CrossEntropy,
    "pnl": partial(InstanceLoss, positive_or_negative),
    "gt": partial(InstanceLoss, inherited),
    "frame": FrameLoss,
}

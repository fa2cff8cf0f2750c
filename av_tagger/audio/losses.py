"""Losses on the output of a network, for bags and for instances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from av_tagger.audio.base import Heard, Loss

Label = Callable[[Tensor, Tensor], Tensor]  # instances, bag targets -> instance targets


class BinaryCrossEntropy:
    """AV §2.1: mean over clips and classes."""

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor:
        return cross_entropies(heard.bags, targets).mean()


class ClassWeighted:
    """SMALL: weighted sum over the classes, mean over clips."""

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = torch.as_tensor(weights, dtype=torch.float32)
        if (
            self.weights.ndim != 1
            or not bool(torch.isfinite(self.weights).all())
            or bool((self.weights < 0).any())
        ):
            raise ValueError("class weights must be one finite number >= 0 per class")

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor:
        entropies = cross_entropies(heard.bags, targets)
        return (entropies * self.weights.to(entropies.device)).sum(dim=1).mean()


class AlphaWeighted:
    """FUSE equation 3: mean over classes of -(alpha Y ln p + (1 - Y) ln(1 - p)); alpha = C - 1."""

    def __init__(self, alpha: float | None = None) -> None:
        self.alpha = _checked(alpha)

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor:
        return alpha_entropies(heard.bags, targets, self.alpha).mean()


class CrossEntropy:
    """-ln p of a bag's class, for softmax; several classes of a bag get equal shares."""

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor:
        return class_entropies(heard.bags, targets).mean()


class InstanceLoss:
    """FUSE §3.1: targets of instances come from `label`; mean over instances, then over bags.

    `entropy` "bce" is equation 4, weighted with alpha; "ce" is for softmax and has no term for
    negative instances.
    """

    def __init__(
        self,
        label: Label,
        entropy: str = "bce",
        alpha: float | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        if entropy not in ("bce", "ce"):
            raise ValueError(f"entropy is bce or ce: {entropy!r}")
        self.label, self.entropy, self.alpha = label, entropy, _checked(alpha)
        one_for_all = 1.0 if weights is None else weights  # of the classes, for bce
        self.weights = torch.as_tensor(one_for_all, dtype=torch.float32)

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor:
        labels = self.label(heard.instances.detach(), targets.to(heard.instances.dtype))
        if self.entropy == "bce":
            weights = self.weights.to(labels.device)
            entropies = (alpha_entropies(heard.instances, labels, self.alpha) * weights).mean(dim=2)
        else:
            entropies = class_entropies(heard.instances, labels)
        return along_bag(entropies, heard.mask).mean()


class FrameLoss:
    """See FUSE Table 4: L2 on frames of absent classes, smoothness along frames of present ones."""

    def __init__(self, smooth: float = 1.0) -> None:
        if smooth < 0:
            raise ValueError(f"smooth must not be negative: {smooth}")
        self.smooth = smooth

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor:
        p, there = heard.instances.float(), targets.float().unsqueeze(1)
        inactive = along_bag(((1 - there) * p.square()).mean(dim=2), heard.mask)
        steps = (there * (p[:, 1:] - p[:, :-1]).square()).mean(dim=2)
        if steps.shape[1] == 0:  # a bag of one instance has no neighbours
            return inactive.mean()
        return (inactive + self.smooth * along_bag(steps, heard.mask[:, 1:])).mean()


def positive_or_negative(instances: Tensor, targets: Tensor) -> Tensor:
    """PNL, FUSE equation 4: the most probable class of an instance, if the bag has that class."""
    likeliest = F.one_hot(instances.argmax(dim=2), instances.shape[2]).to(targets.dtype)
    return likeliest * (targets > 0.5).to(targets.dtype).unsqueeze(1)


def inherited(instances: Tensor, targets: Tensor) -> Tensor:
    """GT, FUSE §3.1 and ATT §III-A: every instance has the labels of its bag."""
    return targets.unsqueeze(1).expand_as(instances)


def alpha_entropies(probabilities: Tensor, targets: Tensor, alpha: float | None = None) -> Tensor:
    """-(alpha t ln p + (1 - t) ln(1 - p)), elementwise; alpha defaults to classes - 1."""
    weight = max(1, probabilities.shape[-1] - 1) if alpha is None else alpha
    return cross_entropies(probabilities, targets) * (1 + (weight - 1) * targets.float())


def class_entropies(probabilities: Tensor, targets: Tensor) -> Tensor:
    """-sum_c t_c ln p_c with targets that sum to one; 0 for a row without targets."""
    shares = targets.float() / targets.float().sum(dim=-1, keepdim=True).clamp(min=1)
    return (shares * cross_entropies(probabilities, torch.ones_like(shares))).sum(dim=-1)


def along_bag(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of (B, I) over the instances of each bag, without padding; 0 if there are none."""
    real = mask.to(values.dtype)
    return (values * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)


def cross_entropies(probabilities: Tensor, targets: Tensor) -> Tensor:
    """-(t log p + (1 - t) log(1 - p)), elementwise, in float32: small p underflow in bfloat16."""
    with torch.autocast(probabilities.device.type, enabled=False):
        return F.binary_cross_entropy(probabilities.float(), targets.float(), reduction="none")


def inverse_frequency(counts: Sequence[int]) -> tuple[float, ...]:
    """SMALL: class weights 1 / count, scaled to a mean of one; a count of 0 is taken as 1."""
    raw = [1 / max(1, count) for count in counts]
    mean = sum(raw) / len(raw)
    return tuple(weight / mean for weight in raw)


def _checked(alpha: float | None) -> float | None:
    if alpha is not None and alpha <= 0:
        raise ValueError(f"alpha must be positive: {alpha}")
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

"""Bag assumptions at inference (FUSE §2, §5.4): what the instances of a clip say together, whatever pooling they were trained with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def standard(instances: Tensor, mask: Tensor) -> Tensor:
    """SMI: the most positive instance decides; (B, I, classes) and (B, I) to (B, classes)."""
    return instances.masked_fill(~mask.unsqueeze(-1), -1.0).amax(dim=1)


def counted(instances: Tensor, mask: Tensor) -> Tensor:
    """CMI, equation 10: how large a share of the instances each class wins; a tie in an instance goes to the first class."""
    votes = torch.nn.functional.one_hot(
        instances.argmax(dim=2), instances.shape[2]
    ) * mask.unsqueeze(-1)
    return votes.sum(dim=1) / mask.sum(dim=1, keepdim=True)


def thresholded(instances: Tensor, mask: Tensor, count: int = 1) -> Tensor:
    """TMI: the level at or below which at least `count` instances are positive, so that a ROC over this score is one over levels.

    A bag of fewer instances needs all of them. No class may reach a given level: a clip can then be of none.
    """
    if count < 1:
        raise ValueError(f"a threshold on instances counts at least one: {count = }")
    ranked = instances.masked_fill(~mask.unsqueeze(-1), -1.0).sort(dim=1, descending=True).values
    last = mask.sum(dim=1).clamp(max=count) - 1
    return ranked[torch.arange(len(ranked), device=ranked.device), last]


ASSUMPTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "smi": standard,
    "cmi": counted,
    "tmi": thresholded,
}

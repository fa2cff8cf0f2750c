"""Bag assumptions at inference (FUSE §2, §5.4): a bag's score from the scores of its instances.

They work for networks with any pooling. Shapes: instances (B, I, classes) and mask (B, I) to bags
(B, classes).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from av_tagger.audio.base import Heard
from av_tagger.audio.settings import check_assumption


def standard(instances: Tensor, mask: Tensor) -> Tensor:
    """SMI: the maximum."""
    return instances.masked_fill(~mask.unsqueeze(-1), -1.0).amax(dim=1)


def counted(instances: Tensor, mask: Tensor) -> Tensor:
    """CMI, equation 10: the share of instances in which the class is the most probable.

    A tie goes to the first class.
    """
    most_probable = instances.argmax(dim=2)
    votes = torch.nn.functional.one_hot(most_probable, instances.shape[2]) * mask.unsqueeze(-1)
    return votes.sum(dim=1) / mask.sum(dim=1, keepdim=True)


def thresholded(instances: Tensor, mask: Tensor, count: int = 1) -> Tensor:
    """TMI: the highest threshold at which at least `count` instances are positive.

    That is the `count`-th largest probability, so a ROC over this score is a ROC over thresholds.
    A bag with fewer instances needs all of them.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1: {count}")
    ranked = instances.masked_fill(~mask.unsqueeze(-1), -1.0).sort(dim=1, descending=True).values
    last = mask.sum(dim=1).clamp(max=count) - 1
    return ranked[torch.arange(len(ranked), device=ranked.device), last]


Assumption = Callable[[Tensor, Tensor], Tensor]
ASSUMPTIONS: dict[str, Assumption] = {"smi": standard, "cmi": counted}


def assumption(name: str) -> Assumption | None:
    """`smi`, `cmi`, or `tmi:N` with a count of instances; `pooling` (None): as it was trained."""
    check_assumption(name)
    kind, _, count = name.partition(":")
    if kind == "tmi":
        return partial(thresholded, count=int(count))
    return ASSUMPTIONS.get(kind)


def assumed(name: str, heard: Heard) -> Tensor:
    """Bag scores (B, classes) of a network's answer under an assumption."""
    assume = assumption(name)
    return heard.bags if assume is None else assume(heard.instances, heard.mask)

"""Features to dissimilarities: Euclidean distances of frames from one centred Gram matrix, exactly
repeated frames computed once.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from av_tagger.errors import AvTaggerError
from av_tagger.networks import upload

_BLOCK = 64  # rows of the Gram matrix at a time: only the lower triangle's blocks are computed


@torch.no_grad()
def distances(features: Sequence[Tensor]) -> list[Tensor]:
    """(n, n) float32 distances for each clip's (n, ...) features, on their device; exact repeats
    are exactly 0 apart.

    A device is asked twice for all clips together, not for each: what waits for an answer keeps it
    idle.
    """
    if any(not one.numel() for one in features):
        raise AvTaggerError(
            "there are no frame features to compare: "
            "the clip has no frames, or its features are empty"
        )
    flat = [one.detach().reshape(len(one), -1) for one in features]
    grouped = [_groups(one, keys) for one, keys in zip(flat, _checksums(flat), strict=True)]
    squares = [_squares(one[first].float()) for one, (first, _) in zip(flat, grouped, strict=True)]
    if squares and not bool(
        torch.stack([torch.isfinite(square).all() for square in squares]).all()
    ):
        raise AvTaggerError(
            "the frame features hold NaN or infinity; "
            "check the pictures and the weights of the feature network"
        )
    return [
        square.sqrt_()[where][:, where] for square, (_, where) in zip(squares, grouped, strict=True)
    ]


def _groups(flat: Tensor, keys: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The first frame of each group of bit for bit equal frames, and for every frame its group.

    An integer checksum finds the candidates, a comparison settles them."""
    groups: dict[int, list[int]] = {}  # by checksum: the groups' numbers
    first: list[int] = []
    where: list[int] = []
    for i, key in enumerate(keys):
        same = (g for g in groups.get(key, ()) if torch.equal(flat[first[g]], flat[i]))
        group = next(same, len(first))
        if group == len(first):
            first.append(i)
            groups.setdefault(key, []).append(group)
        where.append(group)
    return upload(torch.tensor(first), flat.device), upload(torch.tensor(where), flat.device)


def _checksums(clips: Sequence[Tensor]) -> list[list[int]]:
    """A number for each frame, equal for equal frames."""
    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    sums = [
        flat.contiguous().view(whole[flat.element_size()]).sum(dim=1, dtype=torch.int64)
        for flat in clips
    ]
    keys = torch.cat(sums).tolist() if sums else []
    ends = itertools.accumulate(len(flat) for flat in clips)
    return [keys[end - len(flat) : end] for flat, end in zip(clips, ends, strict=True)]


def _squares(flat: Tensor) -> Tensor:
    """|x_i - x_j|^2 = |x_i|^2 + |x_j|^2 - 2 x_i.x_j about the mean frame, where the cancellation is
    least; the diagonal exactly 0.
    """
    centred = flat - flat.mean(dim=0)
    n = len(flat)
    gram = flat.new_zeros(n, n)
    with torch.autocast(flat.device.type, enabled=False):  # half precision would drown near frames
        for start in range(0, n, _BLOCK):
            end = min(n, start + _BLOCK)
            gram[start:end, :end] = _products(centred[start:end], centred[:end])
    gram = gram.tril()
    norms = gram.diagonal()
    lower = (norms[:, None] + norms - 2.0 * gram).clamp_(min=0.0).tril(-1)
    return lower + lower.T


def _products(a: Tensor, b: Tensor) -> Tensor:
    """a @ b.T; on a CPU by oneDNN where torch has that, for torch's usual library runs at half
    speed on some makers' processors.
    """
    if a.device.type == "cpu" and _has_onednn():
        linear = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001 - it has no other name
        product: Tensor = linear(a, b, None, "none", [], "")
        return product
    return a @ b.T


@cache
def _has_onednn() -> bool:
    one = torch.eye(2)
    try:
        linear = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001 - it has no other name
        return torch.equal(linear(one, one, None, "none", [], ""), one)
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):
        return False

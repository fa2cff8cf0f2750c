"""Features to dissimilarities: Euclidean distances of frames from one centred Gram matrix, exactly
repeated frames computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from av_tagger.errors import AvTaggerError

_TOLD_BY = 2048  # features in a checksum on the CPU: of all of them it would cost as much as a copy
_BLOCK = 64  # rows of the Gram matrix at a time: only the lower triangle's blocks are computed


@torch.no_grad()
def distances(features: Sequence[Tensor]) -> list[Tensor]:
    """(n, n) float32 distances for each clip's (n, ...) features, on their device; exact repeats
    are exactly 0 apart.

    On a GPU nothing waits for an answer, so a failure is only found by `check_distances`.
    """
    if any(not one.numel() for one in features):
        raise AvTaggerError(
            "there are no frame features to compare: "
            "the clip has no frames, or its features are empty"
        )
    flat = [one.detach().reshape(len(one), -1) for one in features]
    if any(one.device.type != "cpu" for one in flat):
        return [without_waiting(one) for one in flat]
    return [_of_clip(one, keys) for one, keys in zip(flat, _checksums(flat), strict=True)]


def _of_clip(flat: Tensor, keys: Sequence[int]) -> Tensor:
    first, where = _groups(flat, keys)
    repeats = len(first) < len(flat)
    square = _squares((flat[torch.tensor(first)] if repeats else flat).float())
    check_distances(square)
    square = square.sqrt_()
    if not repeats:
        return square
    places = torch.tensor(where)
    return square[places][:, places]


def check_distances(D: Tensor) -> None:
    """AvTaggerError if they are not finite, as those of features that hold NaN or infinity.

    `D` is on the CPU. Distances are not negative, and NaN is found as the largest, too.
    """
    if not np.isfinite(D.numpy().max()):  # `torch.isfinite` takes twenty times as long
        raise AvTaggerError(
            "the frame features hold NaN or infinity; "
            "check the pictures and the weights of the feature network"
        )


def without_waiting(flat: Tensor) -> Tensor:
    """The distances of one clip in steps whose shapes do not depend on values, as a GPU needs them.

    Frames of equal checksums are compared with the first of these. What is not finite makes all
    distances NaN.
    """
    n = len(flat)
    keys = _sums(flat)
    first = (keys[:, None] == keys).to(torch.uint8).argmax(dim=1)  # the first of equal ones
    place = torch.arange(n, device=flat.device)
    first = torch.where((flat[first] == flat).all(dim=1), first, place)
    numbers = flat.float()
    distinct = (first == place).float()
    mean = (distinct @ numbers) / distinct.sum()
    with torch.autocast(flat.device.type, enabled=False):
        centred = numbers - mean
        gram = (centred @ centred.T).tril()
    square = _from_gram(gram)
    finite = torch.isfinite(square).all() & torch.isfinite(numbers).all()
    return torch.where(finite, square.sqrt()[first][:, first], torch.nan)


def _groups(flat: Tensor, keys: Sequence[int]) -> tuple[list[int], list[int]]:
    """The first frame of each group of bit for bit equal frames, and for every frame its group.

    An integer checksum finds the candidates, a comparison settles them."""
    if len(set(keys)) == len(keys):
        return list(range(len(keys))), list(range(len(keys)))
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
    return first, where


def _checksums(clips: Sequence[Tensor]) -> list[list[int]]:
    """A number for each frame, equal for equal frames; a part of the features tells most apart."""
    return [_sums(flat[:, :_TOLD_BY]).tolist() for flat in clips]


def _sums(flat: Tensor) -> Tensor:
    """(n,) checksums of the bits of each frame."""
    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return flat.contiguous().view(whole[flat.element_size()]).sum(dim=1, dtype=torch.int64)


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
    return _from_gram(gram.tril())


def _from_gram(gram: Tensor) -> Tensor:
    """Squared distances of the lower triangle of a Gram matrix."""
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

"""Hard cuts between shots, from the frame features that key frames are chosen from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from av_tagger.clip import Times
from av_tagger.networks import download

LEAST_CHANGE = 0.35  # relative distance of two frames at a cut, 0: equal
LEAST_RATIO = 3.0  # times the usual change around it: a pan or a flicker changes all frames
AROUND_SECONDS = 1.0
CACHED = 1 << 20  # numbers that a core's cache holds
SHORTEST_SECONDS = 0.4  # between two cuts: a flash is no shot


def cut_times(features: Tensor, times: Times) -> tuple[float, ...]:
    """Times of the first frames of new shots; slow transitions (fades, dissolves) are not found."""
    return cuts_of([features], [times])[0]


def cuts_of(features: Sequence[Tensor], times: Sequence[Times]) -> list[tuple[float, ...]]:
    """`cut_times` of many clips, after one wait for the device."""
    found = download([_lengths_and_changes(one) for one in features])
    return [_cuts(_relative(one), seconds) for one, seconds in zip(found, times, strict=True)]


def _cuts(change: NDArray[np.float64], times: Times) -> tuple[float, ...]:
    if len(times) < 3:
        return ()
    found: list[float] = []
    for row in np.flatnonzero(change >= LEAST_CHANGE):
        seconds = float(times[row + 1])
        usual = _usual(change, times, int(row))
        apart = not found or seconds - found[-1] >= SHORTEST_SECONDS
        if change[row] >= LEAST_RATIO * usual and apart:
            found.append(seconds)
    return tuple(found)


def changes(features: Tensor) -> NDArray[np.float64]:
    """(frames - 1,) distance of each frame's features to those before, relative to their length."""
    return _relative(_lengths_and_changes(features).cpu())


def _lengths_and_changes(features: Tensor) -> Tensor:
    """(2, frames) on the device: lengths; distances to the frame before, 0 for the first.

    Block by block on a CPU, which stays in its cache.
    """
    rows = features.detach().flatten(1)
    on_cpu = rows.device.type == "cpu"
    block = max(1, CACHED // max(1, rows.shape[1]) if on_cpu else len(rows))
    out = torch.zeros((2, len(rows)), device=rows.device)
    for i in range(0, len(rows), block):
        part = rows[i : i + block].float()
        out[0, i : i + block] = part.norm(dim=1)
        begin = max(1, i)
        out[1, begin : i + block] = (part[begin - i :] - rows[begin - 1 : i + len(part) - 1]).norm(
            dim=1
        )
    return out


def _relative(found: Tensor) -> NDArray[np.float64]:
    """(frames - 1,) distances over the mean length of the two frames."""
    lengths, apart = found.numpy()
    mean = np.float32(0.5) * (lengths[1:] + lengths[:-1])
    with np.errstate(invalid="ignore"):  # NaN stays NaN: no cut
        change = apart[1:] / np.maximum(mean, np.float32(1e-9))
    return np.asarray(change, np.float64)


def _usual(change: NDArray[np.float64], times: Times, row: int) -> float:
    """The median change within a second around a frame, itself left out."""
    moments = times[1:]
    near = np.abs(moments - moments[row]) <= AROUND_SECONDS
    near[row] = False
    around = np.sort(change[near])  # `np.median` takes ten times as long for so few
    middle = len(around) // 2
    return float(0.5 * (around[middle] + around[~middle])) if len(around) else 0.0

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
    found = download([_changes(one) for one in features])
    return [
        _cuts(change.numpy().astype(np.float64), seconds)
        for change, seconds in zip(found, times, strict=True)
    ]


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
    change: NDArray[np.float64] = _changes(features).cpu().numpy().astype(np.float64)
    return change


def _changes(features: Tensor) -> Tensor:
    """On the device; on a CPU block by block, which stays in its cache."""
    rows = features.detach().flatten(1)
    on_cpu = rows.device.type == "cpu"
    block = max(1, CACHED // max(1, rows.shape[1]) if on_cpu else len(rows))
    starts = range(0, len(rows), block)
    lengths = torch.cat([rows[i : i + block].float().norm(dim=1) for i in starts])
    apart = [
        (rows[i + 1 : i + 1 + block].float() - rows[i : i + block][: len(rows) - 1 - i]).norm(dim=1)
        for i in range(0, len(rows) - 1, block)
    ]
    mean = 0.5 * (lengths[1:] + lengths[:-1])
    return torch.cat([lengths[:0], *apart]) / mean.clamp_min(1e-9)


def _usual(change: NDArray[np.float64], times: Times, row: int) -> float:
    """The median change within a second around a frame, itself left out."""
    moments = times[1:]
    near = np.abs(moments - moments[row]) <= AROUND_SECONDS
    near[row] = False
    return float(np.median(change[near])) if near.any() else 0.0

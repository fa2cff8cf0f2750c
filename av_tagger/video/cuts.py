"""Hard cuts between shots, from the frame features that key frames are chosen from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Times

if TYPE_CHECKING:
    from torch import Tensor

LEAST_CHANGE = 0.35  # relative distance of two frames at a cut, 0: equal
LEAST_RATIO = 3.0  # times the usual change around it: a pan or a flicker changes all frames
AROUND_SECONDS = 1.0
SHORTEST_SECONDS = 0.4  # between two cuts: a flash is no shot


def cut_times(features: Tensor, times: Times) -> tuple[float, ...]:
    """Times of the first frames of new shots; slow transitions (fades, dissolves) are not found."""
    if len(times) < 3:
        return ()
    change = changes(features)
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
    rows = features.detach().float().flatten(1)
    lengths = rows.norm(dim=1)
    apart = (rows[1:] - rows[:-1]).norm(dim=1)
    share = apart / (0.5 * (lengths[1:] + lengths[:-1])).clamp_min(1e-9)
    change: NDArray[np.float64] = share.cpu().numpy().astype(np.float64)
    return change


def _usual(change: NDArray[np.float64], times: Times, row: int) -> float:
    """The median change within a second around a frame, itself left out."""
    moments = times[1:]
    near = np.abs(moments - moments[row]) <= AROUND_SECONDS
    near[row] = False
    return float(np.median(change[near])) if near.any() else 0.0

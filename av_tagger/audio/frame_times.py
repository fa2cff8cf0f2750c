"""Where the rows of a network lie in time, and the timeline that they give (numpy only)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float32]
TIMELINE_RATE = 10.0  # frames per second
SMALLEST = 1e-7  # probability; the log odds of 0 and 1 are infinite


@dataclass(frozen=True)
class FrameTimes:
    """Row k of a network is centred at `centre + k * hop` seconds of its sound.

    Rows whose patches overlap (YAMNet: 0.96 s every 0.48 s) do not stand for the time from one
    row to the next, so a timeline is interpolated between the centres of the patches.
    """

    hop: float
    centre: float  # of row 0

    @property
    def rate(self) -> float:
        """Rows per second."""
        return 1 / self.hop

    def count(self, seconds: float) -> int:
        """Rows of a sound, at least one."""
        return max(1, math.ceil(seconds / self.hop - 1e-6))

    def row_at(self, seconds: float) -> int:
        """The first row of a part that starts at this time."""
        return round(seconds / self.hop)

    def centres(self, rows: int) -> NDArray[np.float64]:
        """(rows,) seconds."""
        return np.asarray(self.centre + np.arange(rows) * self.hop, np.float64)

    def timeline(self, rows: Numbers, seconds: float) -> Numbers:
        """(rows, classes) probabilities to (frames, classes) at `TIMELINE_RATE`.

        Frame j covers j to j + 1 tenths of a second. Log odds are interpolated linearly at its
        centre; before the first and after the last row they stay the same. NaN rows are unknown.
        """
        frames = max(1, math.ceil(seconds * TIMELINE_RATE - 1e-6))
        middles = (np.arange(frames) + 0.5) / TIMELINE_RATE
        known = np.flatnonzero(~np.isnan(rows[:, 0]))
        if len(known) == 1:
            return np.repeat(rows[known], frames, axis=0)
        times = self.centres(len(rows))[known]
        after = np.searchsorted(times, middles).clip(1, len(times) - 1)
        first, last = times[after - 1], times[after]
        share = ((middles - first) / (last - first)).clip(0, 1)[:, None]
        odds = _log_odds(rows[known])
        mixed = (1 - share) * odds[after - 1] + share * odds[after]
        return np.asarray(1 / (1 + np.exp(-mixed)), np.float32)


def _log_odds(p: Numbers) -> NDArray[np.float64]:
    q = p.astype(np.float64).clip(SMALLEST, 1 - SMALLEST)
    return np.asarray(np.log(q / (1 - q)))

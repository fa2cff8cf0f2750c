"""From frame probabilities to events: start, end and peak of each (numpy only)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from av_tagger.scores import Event
from av_tagger.settings import check_range

TOLERANCE = 5e-4  # frames: 0.3 s at 10 Hz are three frames, whatever 0.3 * 10 rounds to
Run = tuple[int, int, float]  # first frame, end (exclusive), peak


@dataclass(frozen=True)
class EventSettings:
    """Hysteresis: an event exceeds `high` somewhere and stays above `low` everywhere."""

    high: float = 0.5  # for ears without thresholds of their own
    low: float = 0.25  # its ratio to `high` is kept for other thresholds
    minimum_seconds: float = 0.1  # shorter events are dropped, after gaps were closed
    gap_seconds: float = 0.2  # a shorter pause does not end an event

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high:
            raise ValueError(f"low must lie between 0 and high: {self.low = }, {self.high = }")
        check_range(self, 0.0, 86_400.0, "minimum_seconds", "gap_seconds")

    def at(self, threshold: float) -> EventSettings:
        """The same with another `high`, and `low` in proportion."""
        ratio = self.low / self.high if self.high > 0 else 1.0
        return replace(self, high=threshold, low=threshold * ratio)


def find_events(
    values: NDArray[np.floating], rate: float, start_seconds: float, settings: EventSettings
) -> list[Event]:
    """Events of one class in order of time; frame j lasts from j / rate to (j + 1) / rate."""
    known = np.asarray(values, np.float64)
    runs = _runs(known >= settings.low)  # False for NaN
    numbers = known.tolist() if runs else []
    peaked = ((a, b, max(numbers[a:b])) for a, b in runs)
    high = [run for run in peaked if run[2] >= settings.high]
    least = settings.minimum_seconds * rate - TOLERANCE
    return [
        Event(start_seconds + a / rate, start_seconds + b / rate, peak)
        for a, b, peak in _merged(high, settings.gap_seconds * rate)
        if b - a >= least
    ]


def ending_by(events: Iterable[Event], end: float) -> tuple[Event, ...]:
    """The events without what lies after `end`: the last frame may be longer than the sound."""
    return tuple(e if e.end <= end else replace(e, end=end) for e in events if e.start < end)


def _runs(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First frame and end (exclusive) of each run of True."""
    flags, found = active.tobytes(), []
    begin = flags.find(1)
    while begin >= 0:
        end = flags.find(0, begin)
        end = len(flags) if end < 0 else end
        found.append((begin, end))
        begin = flags.find(1, end)
    return found


def _merged(runs: Sequence[Run], gap_frames: float) -> list[Run]:
    """Join runs that are less than the gap apart."""
    joined: list[Run] = []
    for run in runs:
        begin, end, peak = joined[-1] if joined else run
        if joined and run[0] - end < gap_frames - TOLERANCE:
            joined[-1] = (begin, run[1], max(peak, run[2]))
        else:
            joined.append(run)
    return joined

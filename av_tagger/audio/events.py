"""From frame probabilities to events: start, end and peak of each (numpy only)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from av_tagger.scores import Event
from av_tagger.settings import check_range


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
    known = np.full(len(values) + 1, -np.inf)  # one more, so that the last run ends before it
    np.copyto(known[:-1], values, where=~np.isnan(values))
    runs = _runs(known >= settings.low)
    if not len(runs):
        return []
    runs = runs[_peaks(known, runs) >= settings.high]
    runs = _merged(runs, settings.gap_seconds * rate)
    # 5e-4 frames of tolerance: 0.3 s at 10 Hz are three frames, whatever 0.3 * 10 rounds to.
    runs = runs[runs[:, 1] - runs[:, 0] >= settings.minimum_seconds * rate - 5e-4]
    times = start_seconds + runs / rate
    peaks = _peaks(known, runs).tolist()
    return [Event(a, b, p) for (a, b), p in zip(times.tolist(), peaks, strict=True)]


def ending_by(events: Iterable[Event], end: float) -> tuple[Event, ...]:
    """The events without what lies after `end`: the last frame may be longer than the sound."""
    return tuple(e if e.end <= end else replace(e, end=end) for e in events if e.start < end)


def _runs(active: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(runs, 2): first frame and end (exclusive) of each run of True; the last one is False."""
    edges = np.flatnonzero(active[1:] != active[:-1]) + 1
    return (np.concatenate([[0], edges]) if active[0] else edges).reshape(-1, 2)


def _peaks(values: NDArray[np.float64], runs: NDArray[np.int64]) -> NDArray[np.float64]:
    if not len(runs):
        return np.empty(0)
    # reduceat over [a0, b0, a1, b1, ...]: every second piece is a run.
    return np.asarray(np.maximum.reduceat(values, runs.ravel())[::2])


def _merged(runs: NDArray[np.int64], gap_frames: float) -> NDArray[np.int64]:
    """Join runs that are less than the gap apart."""
    if len(runs) < 2:
        return runs
    apart = runs[1:, 0] - runs[:-1, 1] >= gap_frames - 5e-4
    first = np.concatenate([[True], apart])
    last = np.concatenate([apart, [True]])
    return np.stack([runs[first, 0], runs[last, 1]], axis=1)

"""Which windows of a stream are scored, and which part of the timeline each window decides."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from av_tagger.media.windows import LONGEST

EPSILON = 1e-6  # seconds


@dataclass(frozen=True)
class WindowSpan:
    """One window in seconds of the stream, and the end of the timeline that is decided with it."""

    start: float
    end: float
    decided: float  # frames before this time are final


class WindowSchedule(Protocol):
    """Windows in order; `origin` is where the stream (or the part after a gap) starts."""

    def restart(self, origin: float) -> None: ...

    def next_end(self) -> float:
        """The stream must reach this time before another window is due."""
        ...

    def due(self, reached: float) -> Iterator[WindowSpan]:
        """The windows that can be scored now that the stream has reached this time."""
        ...

    def rest(self, reached: float) -> Iterator[WindowSpan]:
        """The last windows of a stream that has ended."""
        ...


class RollingWindows:
    """A window that ends now, every `hop` seconds: answers come soon.

    Windows start on a grid (`grid` seconds), so that frames of the ear fall on the same samples in
    all windows and need not be computed again. They are at most `window` seconds long. The last
    `lookahead` seconds of a window are context only.
    """

    def __init__(
        self, window: float, hop: float, lookahead: float, grid: float, least: float = 1.0
    ) -> None:
        if not 0 < hop <= window or not 0 <= lookahead < window or not 0 < grid < window:
            raise ValueError(
                "hop, look-ahead and grid must be shorter than the window: "
                f"{window = }, {hop = }, {lookahead = }, {grid = }"
            )
        self.window, self.hop, self.lookahead = window, hop, lookahead
        self.grid, self.least = grid, least
        self.restart(0.0)

    def restart(self, origin: float) -> None:
        self.origin, self.count = origin, max(1, math.ceil(self.least / self.hop - EPSILON))
        self.decided = origin

    def next_end(self) -> float:
        return self.origin + self.count * self.hop

    def due(self, reached: float) -> Iterator[WindowSpan]:
        while self.next_end() <= reached + EPSILON:
            end = self.next_end()
            self.count += 1
            self.decided = end - self.lookahead
            yield WindowSpan(self._start(end), end, self.decided)

    def rest(self, reached: float) -> Iterator[WindowSpan]:
        if reached > self.decided + EPSILON:
            yield WindowSpan(self._start(reached), reached, reached)

    def _start(self, end: float) -> float:
        steps = math.ceil((end - self.origin - self.window) / self.grid - EPSILON)
        return self.origin + max(0, steps) * self.grid


class FileWindows:
    """The windows of `av-tag FILE`: answers are those of the recorded file, and come late.

    A window of `window` seconds every `window - overlap`, each decided up to the middle of its
    overlap with the next; the rest of a stream is one longer window.
    """

    def __init__(self, window: float, overlap: float) -> None:
        self.window = window
        self.hop = max(window - overlap, 0.1 * window)
        self.restart(0.0)

    def restart(self, origin: float) -> None:
        self.start = origin

    def next_end(self) -> float:
        return self.start + LONGEST * self.window

    def due(self, reached: float) -> Iterator[WindowSpan]:
        while self.next_end() <= reached + EPSILON:
            start, self.start = self.start, self.start + self.hop
            yield WindowSpan(start, start + self.window, self._cut(start + self.window))

    def rest(self, reached: float) -> Iterator[WindowSpan]:
        if reached > self.start + EPSILON:
            yield WindowSpan(self.start, reached, reached)

    def _cut(self, end: float) -> float:
        return (end + self.start) / 2

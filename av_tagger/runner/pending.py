"""Events between the threads of a flow, clips that are not finished, and when to record them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from av_tagger.fusion.windows import WindowResult
from av_tagger.runner.clip_problem import ClipProblem
from av_tagger.runner.job import Job

GROUP_SECONDS, USUAL_AHEAD = 0.1, 64  # between groups of records, where so many clips are ahead


@dataclass(frozen=True)
class ScoredWindow:
    """Event: the networks are done with a window."""

    sequence: int
    number: int
    result: WindowResult | ClipProblem
    seconds: float
    clip_seconds: float | None  # with the last window: to decode the clip


@dataclass(frozen=True)
class Decoded:
    """Event: decoding has failed, or no window told that it is the last."""

    sequence: int
    windows: int
    problem: ClipProblem | None
    seconds: float


@dataclass(frozen=True)
class ThreadEnded:
    """Event: a decoder thread has ended, or any thread has failed in a way that ends the run."""

    error: BaseException | None = None


@dataclass
class PendingClip:
    """A clip that is not finished."""

    job: Job
    window_results: dict[int, WindowResult] = field(default_factory=dict)
    scored: int = 0
    windows: int | None = None  # known once the clip is decoded
    problem: ClipProblem | None = None
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        return self.windows is not None and self.scored == self.windows


class GroupTimer:
    """Holds back the next group of records: those that come soon share a transaction and a write.

    Not for long where only few clips may be started ahead of it: they would all wait for it.
    """

    def __init__(
        self,
        ahead: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds = GROUP_SECONDS * min(1.0, ahead / USUAL_AHEAD)
        self._clock, self._sleep = clock, sleep
        self._next = -float("inf")

    def restart(self) -> None:
        """A group was recorded."""
        self._next = self._clock() + self._seconds

    def wait(self) -> None:
        """Until the next group may begin; the first one need not wait."""
        left = self._next - self._clock()
        if left > 0:
            self._sleep(left)

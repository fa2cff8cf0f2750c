"""Repairs presentation times: the result rises and stays near the file's length."""

from __future__ import annotations

import math
from dataclasses import dataclass

MAX_JUMP_SECONDS = 600.0  # a longer gap is accepted only inside the declared duration
MAX_DECLARED_SECONDS = 48 * 3600.0  # a longer declared duration is ignored


@dataclass
class Clock:
    """Presentation times of one track; impossible ones continue from the last valid one."""

    duration: float | None
    start: float  # where reading begins, in seconds of the file
    shift: float = 0.0
    last: float = -math.inf
    repaired: int = 0

    def believes(self, seconds: float) -> bool:
        base = self.start if math.isinf(self.last) else self.last
        declared = min(self.duration or 0.0, MAX_DECLARED_SECONDS)
        return -MAX_JUMP_SECONDS <= seconds <= max(base + MAX_JUMP_SECONDS, declared + 1.0)

    def tick(self, seconds: float | None, expected: float, back: float) -> float:
        """The time of the next frame: its time stamp if that is possible, else `expected`.

        A step back by more than `back` seconds is a restarted clock: later times move with it.
        """
        time = expected if seconds is None else seconds + self.shift
        if self.last <= time <= self.last + MAX_JUMP_SECONDS:  # fast path for nearly all frames
            return time
        if (
            not math.isfinite(time)
            or not self.believes(time)
            or (math.isfinite(self.last) and time <= self.last - back)
        ):
            self.shift += expected - time if math.isfinite(time) else 0.0
            time = expected
            self.repaired += 1
        return time

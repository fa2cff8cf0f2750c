"""Measuring while other programs are idle, by their CPU use (Linux)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

CALM_CORES = 0.1  # cores that other programs may keep busy
LOOK_SECONDS = 2.0  # of watching before a measurement
KTHREADD = 2  # the parent of all kernel threads


@dataclass
class Calm:
    """Repeats measurements that were disturbed, as long as `patience` (seconds in all) lasts."""

    patience: float
    look_seconds: float = LOOK_SECONDS
    again: int = 0
    seen: list[float] = field(default_factory=list)

    def undisturbed(self, measure: Callable[[], float]) -> float:
        """The result of a measurement during which other programs were idle, if there was time."""
        while True:
            began = time.monotonic()
            if self._others(self._wait)[1] <= CALM_CORES or self.patience <= 0:
                found, others = self._others(measure)
                if others <= CALM_CORES or self.patience <= 0:
                    self.seen.append(others)
                    return found
                self.again += 1
            self.patience -= time.monotonic() - began

    def _wait(self) -> None:
        time.sleep(self.look_seconds)

    @staticmethod
    def _others(work: Callable[[], T]) -> tuple[T, float]:
        """The result of the work, and how many cores other processes used meanwhile."""
        before, began = others_seconds(), time.monotonic()
        answer = work()
        after, seconds = others_seconds(), time.monotonic() - began
        return answer, sum(max(0.0, after[p] - before.get(p, 0.0)) for p in after) / seconds


def others_seconds() -> dict[int, float]:
    """CPU seconds per foreign process, including its children that have ended.

    Left out: our descendants, processes of our session, kernel threads and the first process.
    """
    parents: dict[int, int] = {}
    sessions: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            process = int(path.parent.name)
            parents[process], sessions[process] = int(fields[1]), int(fields[3])
            seconds[process] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def chain(process: int) -> Iterator[int]:
        while process:
            yield process
            process = parents.get(process, 0)

    own, session = {KTHREADD, os.getpid()}, os.getsid(0)
    foreign = (p for p in seconds if p != 1 and sessions[p] != session and not own & set(chain(p)))
    return {p: seconds[p] for p in foreign}

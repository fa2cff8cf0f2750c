"""Measures where the time of a process goes: seconds per stage and thread."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

MOST_SPANS = 4000  # the last ones are kept for the chart
NETWORKS = ("hear", "see")
PRODUCTIVE = ("decode", *NETWORKS)  # all other work is overhead of the runner
# Stages of work, in the order of the data; the other stages are waiting.
WORK = (
    "plan",
    "claim",
    "decode",
    "transport",
    "hear",
    "see",
    "weigh",
    "merge",
    "record",
    "table",
)
PARTS = ("features", "key frames", "recognise", "words", "pictures")
ENGINES = "engines of the card"
PARTS_OF = {"decode": (ENGINES,), "see": PARTS}  # stages that include the time of others
WAITING = {
    "start": "cluster starts",
    "load": "networks are loaded",
    "queue": "decoders wait: queue is full",
    "windows": "networks wait for windows",
    "clips": "decoders wait for clips",
    "answers": "driver waits for answers",
}
ONLY_PROCESS, DRIVER = "here", "driver"  # owners of profiles that are no worker processes


class StageSpan(NamedTuple):
    """What one thread did from when to when, in seconds of the run."""

    stage: str
    thread: str
    begin: float
    end: float


@dataclass
class Stage:
    """Sums over one stage."""

    seconds: float = 0.0
    times: int = 0
    threads: set[str] = field(default_factory=set)
    cpu: float = 0.0  # CPU seconds of its threads


class Profiler:
    """Adds up the seconds of every stage, in all threads of a process."""

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self.clock, self.cpu_clock = clock, cpu_clock
        self.epoch, self.began = time.time(), clock()
        self.stages: dict[str, Stage] = {}
        self.spans: deque[StageSpan] = deque(maxlen=MOST_SPANS)
        self.productive = 0.0  # seconds in which at least one decoder or network was working
        self._working, self._since = 0, 0.0
        self._lock = threading.Lock()
        self._cpu = _cpu_seconds()

    def of(self, stage: str, own_stage: str | None = None) -> Lap:
        """A block of a stage: `with profiler.of("decode"):`.

        `own_stage` gets this thread's CPU time if another process does the work of `stage`.
        """
        return Lap(self, stage, own_stage)

    def restart_cpu(self) -> None:
        """Leave out the CPU time of the start-up."""
        self._cpu = _cpu_seconds()

    def as_text(self) -> str:
        """The profile as JSON, to be joined with those of other processes."""
        own, children = (now - then for now, then in zip(_cpu_seconds(), self._cpu, strict=True))
        with self._lock:
            stages = {
                name: [s.seconds, s.times, sorted(s.threads), s.cpu]
                for name, s in self.stages.items()
            }
            spans = [[s.stage, s.thread, s.begin, s.end] for s in self.spans]
        return json.dumps(
            {
                "process": f"{socket.gethostname()} {os.getpid()}",
                "epoch": self.epoch,
                "wall": self.clock() - self.began,
                "productive": self.productive,
                "cpu": [own, children],
                "stages": stages,
                "spans": spans,
            }
        )

    def enter(self, stage: str, now: float) -> None:
        """A thread begins a stage."""
        if stage in PRODUCTIVE:
            with self._lock:
                self._since = self._since if self._working else now
                self._working += 1

    def leave(self, span: StageSpan, sums: Sequence[tuple[str, float, float]]) -> None:
        """A thread ends a stage: stages with their seconds and CPU seconds are added up."""
        with self._lock:
            self.spans.append(span)
            if span.stage in PRODUCTIVE:
                self._working -= 1
                self.productive += 0.0 if self._working else span.end + self.began - self._since
            for name, seconds, cpu in sums:
                stage = self.stages.setdefault(name, Stage())
                stage.seconds += seconds
                stage.times += 1
                stage.cpu += cpu
                stage.threads.add(span.thread)


class Lap:
    """One block of a stage in one thread; `seconds` is set when it has ended."""

    __slots__ = ("_begin", "_cpu", "_own_stage", "_profiler", "_stage", "seconds")

    def __init__(self, profiler: Profiler, stage: str, own_stage: str | None) -> None:
        self._profiler, self._stage, self._own_stage = profiler, stage, own_stage
        self.seconds = self._begin = self._cpu = 0.0

    def __enter__(self) -> Self:
        profiler = self._profiler
        self._begin, self._cpu = profiler.clock(), profiler.cpu_clock()
        profiler.enter(self._stage, self._begin)
        return self

    def __exit__(self, *_: object) -> None:
        profiler, begin = self._profiler, self._begin
        end, own = profiler.clock(), profiler.cpu_clock() - self._cpu
        self.seconds = end - begin
        thread, began = threading.current_thread().name, profiler.began
        sums = [(self._stage, self.seconds, own)]
        if self._own_stage:
            sums = [(self._stage, self.seconds - own, 0.0), (self._own_stage, own, own)]
        profiler.leave(StageSpan(self._stage, thread, begin - began, end - began), sums)


def _cpu_seconds() -> tuple[float, float]:
    """CPU seconds of this process, and of its ended children: the decoding processes."""
    times = os.times()
    return times.user + times.system, times.children_user + times.children_system

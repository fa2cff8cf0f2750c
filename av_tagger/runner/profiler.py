"""Measures where the time of a process goes: seconds per stage and thread."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

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
PARTS = ("features", "key frames", "recognise", "words")  # of `see`, which includes their time
WAITING = {
    "start": "cluster starts",
    "load": "networks are loaded",
    "queue": "decoders wait: queue is full",
    "windows": "networks wait for windows",
    "clips": "decoders wait for clips",
    "answers": "driver waits for answers",
}
ONLY_PROCESS, DRIVER = "here", "driver"  # owners of profiles that are no worker processes


@dataclass(frozen=True)
class StageSpan:
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


@dataclass
class Lap:
    """How long a block took; set when it has ended."""

    seconds: float = 0.0


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

    @contextmanager
    def of(self, stage: str, own_stage: str | None = None) -> Iterator[Lap]:
        """`own_stage` gets this thread's CPU time if another process does the work of `stage`."""
        lap = Lap()
        begin, own = self.clock(), self.cpu_clock()
        self._enter(stage, begin)
        try:
            yield lap
        finally:
            end, own = self.clock(), self.cpu_clock() - own
            lap.seconds = end - begin
            self._leave(stage, begin, end)
            self._add(stage, lap.seconds - (own if own_stage else 0.0), 0.0 if own_stage else own)
            if own_stage:
                self._add(own_stage, own, own)

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

    def _enter(self, stage: str, now: float) -> None:
        if stage in PRODUCTIVE:
            with self._lock:
                self._since = self._since if self._working else now
                self._working += 1

    def _leave(self, stage: str, begin: float, end: float) -> None:
        with self._lock:
            thread = threading.current_thread().name
            self.spans.append(StageSpan(stage, thread, begin - self.began, end - self.began))
            if stage in PRODUCTIVE:
                self._working -= 1
                self.productive += 0.0 if self._working else end - self._since

    def _add(self, stage: str, seconds: float, cpu: float) -> None:
        with self._lock:
            sums = self.stages.setdefault(stage, Stage())
            sums.seconds += seconds
            sums.times += 1
            sums.cpu += cpu
            sums.threads.add(threading.current_thread().name)


def _cpu_seconds() -> tuple[float, float]:
    """CPU seconds of this process, and of its ended children: the decoding processes."""
    times = os.times()
    return times.user + times.system, times.children_user + times.children_system

"""Where the time went: seconds of each stage, how busy its hands were, as a table's rows and as lanes of a picture."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

MOST_SPANS = 4000  # the last ones are kept for the picture; memory stays bounded
NETWORKS = ("hear", "see")
AIM = ("decode", *NETWORKS)  # what a run is for; all other work is the runner's own
# Stages in which something is done, in the order of the data; the others are waiting.
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
PARTS = (
    "features",
    "key frames",
    "recognise",
    "words",
)  # of seeing: shown below it, and counted there only
WAITING = {
    "start": "a cluster is started",
    "load": "networks are loaded",
    "queue": "decoders wait for room",
    "windows": "judges wait for windows",
    "clips": "decoders wait for clips",
    "answers": "driver waits for answers",
}
HERE, DRIVER = (
    "here",
    "driver",
)  # owners of clocks: who works in the only process, and the run around all workers


@dataclass(frozen=True)
class StageSpan:
    """What one pair of hands did from when to when, in seconds of the run."""

    stage: str
    lane: str
    begin: float
    end: float


@dataclass
class Stage:
    """Sums of one stage."""

    seconds: float = 0.0
    times: int = 0
    lanes: set[str] = field(default_factory=set)
    processor: float = 0.0  # seconds that its own threads computed


@dataclass(frozen=True)
class ProfileRow:
    """One line of the table: a stage's seconds, its share of all hands' time, how busy its own hands were."""

    stage: str
    seconds: float
    times: int
    threads: int
    share: float
    busy: float
    processor: float


def title(stage: str) -> str:
    """A stage as people read it."""
    return f"  {stage}" if stage in PARTS else WAITING.get(stage, stage)


@dataclass
class Lap:
    """How long a block took; known when it has ended."""

    seconds: float = 0.0


class Profiler:
    """Counts the seconds of every stage; used by many threads."""

    def __init__(self) -> None:
        self.epoch, self.began = time.time(), time.perf_counter()
        self.stages: dict[str, Stage] = {}
        self.spans: deque[StageSpan] = deque(maxlen=MOST_SPANS)
        self.aimed = 0.0  # seconds in which at least one decoder or network was at work
        self._at_it, self._since = 0, 0.0
        self._lock = threading.Lock()
        self._processor = _processor_seconds()

    @contextmanager
    def of(self, stage: str, aside: str | None = None) -> Iterator[Lap]:
        """`aside`: what this thread computes itself, while it waits for another process to do the stage's work, is that stage's."""
        lap = Lap()
        begin, own = time.perf_counter(), time.thread_time()
        self._enter(stage, begin)
        try:
            yield lap
        finally:
            end, own = time.perf_counter(), time.thread_time() - own
            lap.seconds = end - begin
            self._leave(stage, begin, end)
            self._add(stage, lap.seconds - (own if aside else 0.0), 0.0 if aside else own)
            if aside:
                self._add(aside, own, own)

    def forget_processor(self) -> None:
        """What was computed so far was for the start, not for the clips."""
        self._processor = _processor_seconds()

    def as_text(self) -> str:
        """Everything, to be joined with the clocks of other processes."""
        own, children = (
            now - then for now, then in zip(_processor_seconds(), self._processor, strict=True)
        )
        with self._lock:
            stages = {
                name: [s.seconds, s.times, sorted(s.lanes), s.processor]
                for name, s in self.stages.items()
            }
            spans = [[s.stage, s.lane, s.begin, s.end] for s in self.spans]
        return json.dumps(
            {
                "process": f"{socket.gethostname()} {os.getpid()}",
                "epoch": self.epoch,
                "wall": time.perf_counter() - self.began,
                "aimed": self.aimed,
                "processor": [own, children],
                "stages": stages,
                "spans": spans,
            }
        )

    def _enter(self, stage: str, now: float) -> None:
        if stage in AIM:
            with self._lock:
                self._since = self._since if self._at_it else now
                self._at_it += 1

    def _leave(self, stage: str, begin: float, end: float) -> None:
        with self._lock:
            self.spans.append(
                StageSpan(
                    stage, threading.current_thread().name, begin - self.began, end - self.began
                )
            )
            if stage in AIM:
                self._at_it -= 1
                self.aimed += 0.0 if self._at_it else end - self._since

    def _add(self, stage: str, seconds: float, processor: float) -> None:
        with self._lock:
            sums = self.stages.setdefault(stage, Stage())
            sums.seconds += seconds
            sums.times += 1
            sums.processor += processor
            sums.lanes.add(threading.current_thread().name)


def _processor_seconds() -> tuple[float, float]:
    """Of this process with all its threads, and of the children that have ended: its decoders."""
    times = os.times()
    return times.user + times.system, times.children_user + times.children_system


@dataclass(frozen=True)
class Profile:
    """The clocks of a run's processes together."""

    wall: float
    stages: dict[str, Stage]
    spans: tuple[StageSpan, ...]
    aimed: float  # share of the run in which a worker decoded or had a network at work, on the mean of all workers
    processor: float  # seconds of all processes
    runner: float  # and what of them went neither into decoding nor into networks, whatever it was

    @classmethod
    def of(cls, profilers: Iterable[tuple[str, str]]) -> Profile:
        """From (owner, text) of each clock; times are set against the earliest beginning."""
        documents: list[tuple[str, dict[str, Any]]] = [
            (owner, json.loads(text)) for owner, text in profilers
        ]
        zero = min((d["epoch"] for _, d in documents), default=0.0)
        wall = max((d["epoch"] + d["wall"] - zero for _, d in documents), default=0.0)
        stages: dict[str, Stage] = {}
        spans: list[StageSpan] = []
        for owner, document in documents:
            _join(stages, owner, document["stages"])
            late = document["epoch"] - zero
            last = document["spans"][
                -max(50, MOST_SPANS // len(documents)) :
            ]  # hundreds of workers fit no picture
            spans += [
                StageSpan(stage, _lane(owner, lane), begin + late, end + late)
                for stage, lane, begin, end in last
            ]
        aimed = [d["aimed"] for _, d in documents if d["aimed"]]
        own, decoders = _processes([d for _, d in documents])
        networks = sum(
            stages[name].processor for name in AIM if name in stages
        )  # a decoder in its own process has no share in this
        if "decode" in stages:
            stages["decode"].processor += decoders
        mean = sum(aimed) / (len(aimed) * wall) if aimed and wall else 0.0
        return cls(wall, stages, tuple(spans), mean, own + decoders, max(0.0, own - networks))

    def rows(self) -> list[ProfileRow]:
        """Work first, in the order of the data, then waiting."""
        order = [
            name for stage in WORK for name in ((stage, *PARTS) if stage == "see" else (stage,))
        ]
        known = [name for name in (*order, *WAITING) if name in self.stages]
        total = sum(self.stages[name].seconds for name in known if name in WORK) or 1.0
        return [self._row(name, total) for name in known]

    def _row(self, name: str, total: float) -> ProfileRow:
        stage = self.stages[name]
        threads = len(stage.lanes)
        share = stage.seconds / total if name not in WAITING else 0.0
        return ProfileRow(
            name,
            stage.seconds,
            stage.times,
            threads,
            share,
            stage.seconds / (threads * self.wall or 1.0),
            stage.processor,
        )

    @property
    def overhead(self) -> float:
        """The share of all hands' time at work that is neither decoding nor networks."""
        work = {name: self.stages[name].seconds for name in WORK if name in self.stages}
        return sum(seconds for name, seconds in work.items() if name not in AIM) / (
            sum(work.values()) or 1.0
        )

    @property
    def processor_overhead(self) -> float:
        """The same share of processor time: it also holds what no stage names, such as threads that wait for each other's locks."""
        return self.runner / (self.processor or 1.0)


def _join(stages: dict[str, Stage], owner: str, found: dict[str, Any]) -> None:
    for name, (seconds, times, lanes, processor) in found.items():
        sums = stages.setdefault(name, Stage())
        sums.seconds += seconds
        sums.times += times
        sums.processor += processor
        sums.lanes |= {_lane(owner, lane) for lane in lanes}


def _lane(owner: str, lane: str) -> str:
    """Who did it, as the picture names them."""
    lane = "" if lane == "MainThread" else lane
    return " ".join(word for word in ("" if owner == HERE else owner, lane) if word) or "main"


def _processes(documents: list[dict[str, Any]]) -> tuple[float, float]:
    """Processor seconds of all processes and of their decoders; a process with two clocks counts once."""
    own: dict[str, float] = {}
    decoders = 0.0
    for document in documents:
        seconds, children = document["processor"]
        own[document["process"]] = max(own.get(document["process"], 0.0), seconds)
        decoders += (
            children if "decode" in document["stages"] else 0.0
        )  # a driver's children are workers, who have their own clocks
    return sum(own.values()), decoders

"""Where the time went: seconds of each stage, how busy its hands were, as a table's rows and as lanes of a picture."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MOST_SPANS = 4000  # the last ones are kept for the picture; memory stays bounded
# Stages in which something is done, in the order of the data; the others are waiting.
WORK = ("decode", "hear", "see", "weigh", "conclude", "record")
WAITING = {"room": "decoders wait for room", "windows": "judges wait for windows", "clips": "decoders wait for clips"}


@dataclass(frozen=True)
class Span:
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


@dataclass(frozen=True)
class Row:
    """One line of the table: a stage's seconds, its share of all hands' time, how busy its own hands were."""

    stage: str
    seconds: float
    times: int
    hands: int
    share: float
    busy: float


class Clock:
    """Counts the seconds of every stage; used by many threads."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.stages: dict[str, Stage] = {}
        self.spans: deque[Span] = deque(maxlen=MOST_SPANS)
        self._lock = threading.Lock()

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, begin, time.perf_counter())

    def add(self, stage: str, begin: float, end: float) -> None:
        lane = threading.current_thread().name
        with self._lock:
            sums = self.stages.setdefault(stage, Stage())
            sums.seconds += end - begin
            sums.times += 1
            sums.lanes.add(lane)
            self.spans.append(Span(stage, lane, begin - self.began, end - self.began))

    def as_text(self) -> str:
        """Everything, to be joined with the clocks of other processes."""
        with self._lock:
            stages = {name: [s.seconds, s.times, sorted(s.lanes)] for name, s in self.stages.items()}
            spans = [[s.stage, s.lane, s.begin, s.end] for s in self.spans]
        return json.dumps({"wall": time.perf_counter() - self.began, "stages": stages, "spans": spans})


@dataclass(frozen=True)
class Profile:
    """The clocks of a run's processes together."""

    wall: float
    stages: dict[str, Stage]
    spans: tuple[Span, ...]

    @classmethod
    def of(cls, texts: list[str]) -> Profile:
        stages: dict[str, Stage] = {}
        spans: list[Span] = []
        wall = 0.0
        for number, text in enumerate(texts):
            document = json.loads(text)
            wall = max(wall, document["wall"])
            spans += [Span(s[0], f"{number}/{s[1]}", s[2], s[3]) for s in document["spans"]]
            for name, (seconds, times, lanes) in document["stages"].items():
                sums = stages.setdefault(name, Stage())
                sums.seconds += seconds
                sums.times += times
                sums.lanes |= {f"{number}/{lane}" for lane in lanes}
        return cls(wall, stages, tuple(spans))

    def rows(self) -> list[Row]:
        """Work first, in the order of the data, then waiting."""
        known = [name for name in (*WORK, *WAITING) if name in self.stages]
        total = sum(self.stages[name].seconds for name in known if name in WORK) or 1.0
        return [self._row(name, total) for name in known]

    def _row(self, name: str, total: float) -> Row:
        stage = self.stages[name]
        hands = len(stage.lanes)
        share = stage.seconds / total if name in WORK else 0.0
        return Row(name, stage.seconds, stage.times, hands, share, stage.seconds / (hands * self.wall or 1.0))

    @property
    def overhead(self) -> float:
        """The share of work that is neither decoding nor networks."""
        work = {name: self.stages[name].seconds for name in WORK if name in self.stages}
        return sum(s for name, s in work.items() if name in ("weigh", "conclude", "record")) / (sum(work.values()) or 1.0)

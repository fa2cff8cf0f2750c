"""The profile of a run: the measurements of all its processes, joined for a table and a chart."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from av_tagger.runner.profiler import (
    MOST_SPANS,
    ONLY_PROCESS,
    PARTS_OF,
    PRODUCTIVE,
    WAITING,
    WORK,
    Stage,
    StageSpan,
)


@dataclass(frozen=True)
class ProfileRow:
    """A row of the table: `share` of all work, and how `busy` the stage kept its threads."""

    stage: str
    seconds: float
    times: int
    threads: int
    share: float
    busy: float
    cpu: float


def title(stage: str) -> str:
    """The name of a stage in the table and the chart."""
    is_part = any(stage in parts for parts in PARTS_OF.values())
    return f"  {stage}" if is_part else WAITING.get(stage, stage)


@dataclass(frozen=True)
class Profile:
    """The joined profiles of all processes of a run."""

    wall: float
    stages: dict[str, Stage]
    spans: tuple[StageSpan, ...]
    productive: float  # share of the run in which a worker decoded or ran networks; mean of all
    cpu: float  # CPU seconds of all processes
    runner: float  # CPU seconds that were neither decoding nor networks

    @classmethod
    def of(cls, profilers: Iterable[tuple[str, str]]) -> Profile:
        """From (owner, JSON) of each process; times count from the earliest start."""
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
            most = max(50, MOST_SPANS // len(documents))  # with hundreds of workers few of each
            spans += [
                StageSpan(stage, _thread_name(owner, thread), begin + late, end + late)
                for stage, thread, begin, end in document["spans"][-most:]
            ]
        productive = [d["productive"] for _, d in documents if d["productive"]]
        own, decoders = _processes([d for _, d in documents])
        # Without decoding processes: `stages["decode"]` has CPU time of this process only.
        networks = sum(stages[name].cpu for name in PRODUCTIVE if name in stages)
        if "decode" in stages:
            stages["decode"].cpu += decoders
        mean = sum(productive) / (len(productive) * wall) if productive and wall else 0.0
        return cls(wall, stages, tuple(spans), mean, own + decoders, max(0.0, own - networks))

    def rows(self) -> list[ProfileRow]:
        """Work in the order of the data, then waiting."""
        order = [name for stage in WORK for name in (stage, *PARTS_OF.get(stage, ()))]
        known = [name for name in (*order, *WAITING) if name in self.stages]
        total = sum(self.stages[name].seconds for name in known if name in WORK) or 1.0
        return [self._row(name, total) for name in known]

    def _row(self, name: str, total: float) -> ProfileRow:
        stage = self.stages[name]
        threads = len(stage.threads)
        share = stage.seconds / total if name not in WAITING else 0.0
        return ProfileRow(
            name,
            stage.seconds,
            stage.times,
            threads,
            share,
            stage.seconds / (threads * self.wall or 1.0),
            stage.cpu,
        )

    @property
    def overhead(self) -> float:
        """The share of the working time of all threads that is neither decoding nor networks."""
        work = {name: self.stages[name].seconds for name in WORK if name in self.stages}
        return sum(seconds for name, seconds in work.items() if name not in PRODUCTIVE) / (
            sum(work.values()) or 1.0
        )

    @property
    def cpu_overhead(self) -> float:
        """The same share of CPU time, which includes work outside of all stages."""
        return self.runner / (self.cpu or 1.0)


def _join(stages: dict[str, Stage], owner: str, found: dict[str, Any]) -> None:
    for name, (seconds, times, threads, cpu) in found.items():
        sums = stages.setdefault(name, Stage())
        sums.seconds += seconds
        sums.times += times
        sums.cpu += cpu
        sums.threads |= {_thread_name(owner, thread) for thread in threads}


def _thread_name(owner: str, thread: str) -> str:
    """Process and thread, as the chart names them."""
    names = ("" if owner == ONLY_PROCESS else owner, "" if thread == "MainThread" else thread)
    return " ".join(filter(None, names)) or "main"


def _processes(documents: list[dict[str, Any]]) -> tuple[float, float]:
    """CPU seconds of all processes (once each, also with two profiles) and of their decoders."""
    own: dict[str, float] = {}
    decoders = 0.0
    for document in documents:
        seconds, children = document["cpu"]
        own[document["process"]] = max(own.get(document["process"], 0.0), seconds)
        if "decode" in document["stages"]:  # a driver's children are workers with own profiles
            decoders += children
    return sum(own.values()), decoders

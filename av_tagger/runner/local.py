"""The plain engine: this process does what there is to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

from av_tagger.runner.clock import HERE, Clock
from av_tagger.runner.crew import Crew
from av_tagger.runner.flow import Flow
from av_tagger.runner.job import Job
from av_tagger.runner.journal import Journal
from av_tagger.runner.pace import Pace, suited

Tick = Callable[[], None]


@dataclass(frozen=True)
class Here:
    """One crew in this process."""

    crew: Crew
    pace: Pace

    def __call__(self, journal: Journal, tick: Tick) -> None:
        work(journal, self.crew, suited(self.pace, self.crew.device), HERE, tick)


def work(journal: Journal, crew: Crew, pace: Pace, owner: str, tick: Tick, clock: Clock | None = None) -> None:
    """Do whatever this owner can claim; what it did not finish is free again when it ends."""
    clock = clock or Clock()
    try:
        flow = Flow(crew, pace, clock)
        _do(journal, flow, _ordinary(journal, owner, flow), tick)
        for suspect in _suspects(journal, owner):  # alone, so that a death says who was the reason
            alone = Flow(crew, Pace(1, 1, pace.threads, 1, pace.memory_bytes, 1, pace.window_limit, pace.clip_limit, pace.detail), clock)
            _do(journal, alone, iter([suspect]), tick)
    finally:
        journal.release(owner, died=False)
        journal.keep_timings(owner, clock.as_text())


def _do(journal: Journal, flow: Flow, jobs: Iterator[Job], tick: Tick) -> None:
    with closing(flow.records(jobs)) as found:  # type: ignore[type-var]
        for records in found:
            with flow.clock.of("record"):
                journal.record(records)
            tick()


def _ordinary(journal: Journal, owner: str, flow: Flow) -> Iterator[Job]:
    """Few at a time, so that several owners finish together and a death makes few suspects."""
    while True:
        with flow.clock.of("claim"):
            jobs = journal.claim(owner, max(2, flow.pace.decoders))
        if not jobs:
            return
        yield from jobs


def _suspects(journal: Journal, owner: str) -> Iterator[Job]:
    while jobs := journal.claim(owner, 1, suspects=True):
        yield from jobs

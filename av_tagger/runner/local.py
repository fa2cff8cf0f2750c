"""The plain engine: this process does what there is to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

from av_tagger.runner.concurrency import Concurrency, suited
from av_tagger.runner.flow import Flow
from av_tagger.runner.job import Job
from av_tagger.runner.journal import Journal
from av_tagger.runner.profiler import HERE, Profiler
from av_tagger.runner.worker import Worker

Tick = Callable[[], None]


@dataclass(frozen=True)
class Here:
    """One crew in this process."""

    worker: Worker
    concurrency: Concurrency

    def __call__(self, journal: Journal, tick: Tick) -> None:
        work(journal, self.worker, suited(self.concurrency, self.worker.device), HERE, tick)


def work(
    journal: Journal,
    worker: Worker,
    concurrency: Concurrency,
    owner: str,
    tick: Tick,
    profiler: Profiler | None = None,
) -> None:
    """Do whatever this owner can claim; what it did not finish is free again when it ends."""
    profiler = profiler or Profiler()
    try:
        flow = Flow(worker, concurrency, profiler)
        _do(journal, flow, _ordinary(journal, owner, flow), tick)
        for suspect in _suspects(journal, owner):  # alone, so that a death says who was the reason
            alone = Flow(
                worker,
                Concurrency(
                    1,
                    1,
                    concurrency.threads,
                    1,
                    concurrency.memory_bytes,
                    1,
                    concurrency.window_limit,
                    concurrency.clip_limit,
                    concurrency.detail,
                ),
                profiler,
            )
            _do(journal, alone, iter([suspect]), tick)
    finally:
        journal.release(owner, died=False)
        journal.keep_timings(owner, profiler.as_text())


def _do(journal: Journal, flow: Flow, jobs: Iterator[Job], tick: Tick) -> None:
    with closing(flow.records(jobs)) as found:  # type: ignore[type-var]
        for records in found:
            with flow.profiler.of("record"):
                journal.record(records)
            tick()


def _ordinary(journal: Journal, owner: str, flow: Flow) -> Iterator[Job]:
    """Few at a time, so that several owners finish together and a death makes few suspects."""
    while True:
        with flow.profiler.of("claim"):
            jobs = journal.claim(owner, max(2, flow.concurrency.decoders))
        if not jobs:
            return
        yield from jobs


def _suspects(journal: Journal, owner: str) -> Iterator[Job]:
    while jobs := journal.claim(owner, 1, suspects=True):
        yield from jobs

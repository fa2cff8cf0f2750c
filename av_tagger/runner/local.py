"""The engine that tags in this process, and the work loop of every local process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from av_tagger.runner.concurrency import Concurrency, for_machine
from av_tagger.runner.flow import Flow
from av_tagger.runner.job import Job
from av_tagger.runner.journal import Journal
from av_tagger.runner.profiler import ONLY_PROCESS, Profiler
from av_tagger.runner.worker import Worker

CLAIM_SECONDS = 0.5  # of work for the decoders in a claim
MOST_CLAIMED = 16  # clips at once

Tick = Callable[[], None]  # called after each group of records


@dataclass(frozen=True)
class InProcessEngine:
    """One worker in this process."""

    worker: Worker
    concurrency: Concurrency

    def __call__(self, journal: Journal, tick: Tick) -> None:
        concurrency = for_machine(self.concurrency, self.worker.device)
        work(journal, self.worker, concurrency, ONLY_PROCESS, tick)


def work(
    journal: Journal,
    worker: Worker,
    concurrency: Concurrency,
    owner: str,
    tick: Tick,
    profiler: Profiler | None = None,
) -> None:
    """Claim and do jobs until none is left; unfinished ones are released at the end.

    Suspects, over which a process has died before, come last and one at a time, so that another
    death shows which clip causes it.
    """
    profiler = profiler or Profiler()
    try:
        flow = Flow(worker, concurrency, profiler)
        _record_all(journal, flow, _claims(journal, owner, flow), tick)
        alone = replace(concurrency, decoders=1, inference_threads=1, batch=1, ahead=1)
        for suspect in _suspects(journal, owner):
            _record_all(journal, Flow(worker, alone, profiler), iter([suspect]), tick)
    finally:
        journal.release(owner, died=False)
        journal.keep_timings(owner, profiler.as_text())


def _record_all(journal: Journal, flow: Flow, jobs: Iterator[Job], tick: Tick) -> None:
    with closing(flow.records(jobs)) as groups:  # type: ignore[type-var]
        for records in groups:
            with flow.profiler.of("record"):
                journal.record(records)
            tick()


def _claims(journal: Journal, owner: str, flow: Flow) -> Iterator[Job]:
    """Few at a time, so that all processes finish together and a death makes few suspects.

    More of them where clips are so short that claims would take a part of the time.
    """
    count = least = max(2, flow.concurrency.decoders, flow.concurrency.batch)
    while True:
        began = time.monotonic()
        with flow.profiler.of("claim"):
            jobs = journal.claim(owner, count)
        if not jobs:
            return
        yield from jobs
        short = time.monotonic() - began < CLAIM_SECONDS
        count = min(MOST_CLAIMED, 2 * count) if short else max(least, count // 2)


def _suspects(journal: Journal, owner: str) -> Iterator[Job]:
    while jobs := journal.claim(owner, 1, suspects=True):
        yield from jobs

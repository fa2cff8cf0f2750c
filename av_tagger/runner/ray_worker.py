"""The Ray actor: a flow that gets its jobs through a queue, so that it never waits for calls."""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
from contextlib import closing
from dataclasses import dataclass

from av_tagger.errors import AvTaggerError
from av_tagger.runner.concurrency import Concurrency, for_machine
from av_tagger.runner.flow import Flow
from av_tagger.runner.job import Job, Record
from av_tagger.runner.processes import check_fingerprint, load_worker
from av_tagger.runner.profiler import Profiler
from av_tagger.runner.worker import WorkerFactory

ANSWER_SECONDS = 1.0  # an actor answers at least this often
GATHER_SECONDS = 0.2  # results are gathered: hundreds of actors must not answer for every clip
FIRST_JOBS = 4  # held while the networks are loaded; then as many as the actor asks for


@dataclass(frozen=True)
class Answer:
    """Finished records, how many jobs keep the actor busy, and the error that ended it."""

    records: list[Record]
    wanted: int = FIRST_JOBS
    error: tuple[str, str] | None = None  # class and text
    timings: str = ""


class RayWorker:
    """One actor: its flow runs in a thread while the driver exchanges jobs for records."""

    def __init__(
        self, factory: WorkerFactory, concurrency: Concurrency, fingerprint: str, sharing: int
    ) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()  # None: the last one
        self._found: queue.SimpleQueue[list[Record] | BaseException | None] = queue.SimpleQueue()
        self._profiler = Profiler()
        self._least = self._held = 0
        self._answered = time.monotonic()
        args = (factory, concurrency, fingerprint, sharing)
        self._thread = threading.Thread(target=self._work, args=args, name="flow", daemon=True)
        self._thread.start()

    def ready(self) -> Answer:
        """Returns once the cluster has room for this actor; until then it gets no jobs."""
        return Answer([])

    def exchange(self, jobs: list[Job], last: bool = False) -> Answer:
        """Take new jobs and return finished records.

        It waits a moment for more records, but not once half of the held jobs are done.
        """
        for job in jobs:
            self._jobs.put(job)
        self._held += len(jobs)
        if last:
            self._jobs.put(None)
        records: list[Record] = []
        deadline = time.monotonic() + ANSWER_SECONDS
        while (found := self._next(deadline)) is not None:
            if isinstance(found, AvTaggerError):
                return Answer(records, error=(type(found).__name__, str(found)))
            if isinstance(found, BaseException):
                raise found
            deadline = deadline if records else time.monotonic() + GATHER_SECONDS
            records += found
            deadline = 0.0 if 2 * len(records) >= self._held else deadline
        timings = self._profiler.as_text() if last else ""
        return Answer(records, self._wanted(len(records)), None, timings)

    def _next(self, deadline: float) -> list[Record] | BaseException | None:
        """Records or an error; None after the deadline or the last record."""
        try:
            return self._found.get(timeout=max(1e-6, deadline - time.monotonic()))
        except queue.Empty:
            return None

    def _wanted(self, finished: int) -> int:
        """Enough jobs for all decoders, and for fast clips as many as are done between answers."""
        now = time.monotonic()
        rate = finished / max(now - self._answered, 1e-3)
        self._held, self._answered = self._held - finished, now
        return (self._least + round(2 * GATHER_SECONDS * rate)) if self._least else FIRST_JOBS

    def _work(
        self, factory: WorkerFactory, concurrency: Concurrency, fingerprint: str, sharing: int
    ) -> None:
        try:
            worker = load_worker(factory, self._profiler)
            where = f"{socket.gethostname()}, process {os.getpid()}"
            check_fingerprint(worker.tagger.parts.run.fingerprint, fingerprint, where)
            own = for_machine(concurrency, worker.device, sharing)
            self._least = 2 * own.decoders + own.batch * own.inference_threads
            flow = Flow(worker, own, self._profiler)
            with closing(flow.records(iter(self._jobs.get, None))) as groups:  # type: ignore[type-var]
                for records in groups:
                    self._found.put(records)
            self._found.put(None)
        except BaseException as error:  # noqa: BLE001 - sent to the driver
            self._found.put(error)

"""The Ray engine: actors that each hold a tagger are fed with paths, and send documents back to the one journal."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from av_tagger.errors import AvTaggerError, MissingExtra
from av_tagger.runner.concurrency import Concurrency, suited
from av_tagger.runner.flow import Flow
from av_tagger.runner.job import Job, Record
from av_tagger.runner.journal import Journal
from av_tagger.runner.local import Tick
from av_tagger.runner.processes import MOST_FRUITLESS_DEATHS, as_error, check_same, loaded
from av_tagger.runner.profiler import Profiler
from av_tagger.runner.worker import WorkerFactory

PATIENCE_SECONDS = 1.0  # an actor answers at least that often, with whatever it has finished
GATHER_SECONDS = (
    0.2  # hundreds of actors ask the one driver a few times a second each, not for every clip
)
FIRST = 4  # jobs that an actor holds while it loads its networks; then as many as it says
MOST_HELD = 256  # more would only wait in the actor, and be suspects if it died


@dataclass(frozen=True)
class Answer:
    """What an actor says: finished records, how many jobs keep it busy, or in whose words it failed."""

    records: list[Record]
    appetite: int = FIRST
    error: tuple[str, str] | None = None
    timings: str = ""


class RayWorker:
    """The life of one actor: a flow that is fed through a queue, so that it never runs empty between two calls."""

    def __init__(
        self, factory: WorkerFactory, concurrency: Concurrency, fingerprint: str, sharing: int
    ) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._found: queue.SimpleQueue[list[Record] | BaseException | None] = (
            queue.SimpleQueue()
        )  # None: that was all
        self._profiler = Profiler()
        self._least = self._held = 0
        self._answered = time.monotonic()
        self._thread = threading.Thread(
            target=self._work,
            args=(factory, concurrency, fingerprint, sharing),
            name="flow",
            daemon=True,
        )
        self._thread.start()

    def hello(self) -> Answer:
        """Says that there is a place for this actor: until then it is given no jobs."""
        return Answer([])

    def exchange(self, jobs: list[Job], last: bool = False) -> Answer:
        """Takes new jobs, gives what is finished: gathered for a moment, but not until this actor has too little left to do."""
        for job in jobs:
            self._jobs.put(job)
        self._held += len(jobs)
        if last:
            self._jobs.put(None)
        records: list[Record] = []
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := self._next(deadline)) is not None:
            if isinstance(found, AvTaggerError):
                return Answer(records, error=(type(found).__name__, str(found)))
            if isinstance(found, BaseException):
                raise found
            deadline = deadline if records else time.monotonic() + GATHER_SECONDS
            records += found
            deadline = 0.0 if 2 * len(records) >= self._held else deadline
        return Answer(
            records, self._appetite(len(records)), None, self._profiler.as_text() if last else ""
        )

    def _next(self, deadline: float) -> list[Record] | BaseException | None:
        """What is finished, an error, or None when nothing more came in time or will ever come."""
        try:
            return self._found.get(timeout=max(1e-6, deadline - time.monotonic()))
        except queue.Empty:
            return None

    def _appetite(self, finished: int) -> int:
        """Enough to keep all decoders busy, and for clips that need hardly any time as many as are done between two answers."""
        now = time.monotonic()
        rate = finished / max(now - self._answered, 1e-3)
        self._held, self._answered = self._held - finished, now
        return (self._least + round(2 * GATHER_SECONDS * rate)) if self._least else FIRST

    def _work(
        self, factory: WorkerFactory, concurrency: Concurrency, fingerprint: str, sharing: int
    ) -> None:
        try:
            worker = loaded(factory, self._profiler)
            check_same(
                worker.tagger.parts.run.fingerprint,
                fingerprint,
                f"{os.uname().nodename}, process {os.getpid()}",
            )
            own = suited(concurrency, worker.device, sharing)
            self._least = 2 * own.decoders + own.batch * own.inference_threads
            with closing(
                Flow(worker, own, self._profiler).records(iter(self._jobs.get, None))
            ) as groups:  # type: ignore[type-var]
                for records in groups:
                    self._found.put(records)
            self._found.put(None)
        except BaseException as error:  # noqa: BLE001 - it is told to the driver
            self._found.put(error)


@dataclass
class ActorSlot:
    """An actor, what it holds, and the answer that is awaited."""

    owner: str
    actor: Any
    pending: Any
    held: set[int] = field(default_factory=set)
    appetite: int = FIRST
    alive: bool = False


@dataclass
class OnRay:
    """As many actors as asked for; the driver alone writes. An actor that dies, with its process or its node, is replaced."""

    factory: WorkerFactory
    concurrency: Concurrency
    fingerprint: str
    address: str | None = None
    actors: int = 0  # 0: one a GPU of the cluster, else one for each two cores
    options: dict[str, Any] = field(
        default_factory=dict
    )  # of ray.init, for a cluster that is started here
    slots: dict[int, ActorSlot] = field(default_factory=dict)
    started: int = 0
    fruitless_deaths: int = 0
    profiler: Profiler = field(default_factory=Profiler)

    def __call__(self, journal: Journal, tick: Tick) -> None:
        ray = _ray()
        self.profiler = Profiler()
        with ExitStack() as stack:
            with self.profiler.of("start"):
                stack.enter_context(_cluster(ray, self.address, self.options))
            try:
                self._fill(ray, journal)
                while self.slots:
                    self._hear(ray, journal)
                    tick()
                    self._fill(ray, journal)
                    self._send_home_who_never_came(ray, journal)
            finally:
                for slot in self.slots.values():
                    ray.kill(slot.actor)
                    journal.release(slot.owner, died=False)
                self.slots.clear()
        journal.keep_timings("driver with Ray", self.profiler.as_text())

    # Actors.

    def _fill(self, ray: Any, journal: Journal) -> None:
        """An actor in every empty seat, while there are jobs that nobody holds."""
        count = self.actors or _suitable(ray)
        empty = [number for number in range(count) if number not in self.slots]
        for number in empty[: journal.waiting(len(empty))]:
            self.slots[number] = self._start(ray, count)

    def _start(self, ray: Any, count: int) -> ActorSlot:
        self.started += 1
        resources, sharing = _resources(ray, count)
        actor = (
            ray.remote(RayWorker)
            .options(max_restarts=0, **resources)
            .remote(self.factory, self.concurrency, self.fingerprint, sharing)
        )
        return ActorSlot(f"actor {self.started}", actor, actor.hello.remote())

    def _send_home_who_never_came(self, ray: Any, journal: Journal) -> None:
        """With fewer nodes than there were an actor may wait for ever for its place; the others do its work."""
        absent = [number for number, slot in self.slots.items() if not slot.alive]
        if absent and not journal.waiting(1) and not any(slot.held for slot in self.slots.values()):
            for number in absent:
                ray.kill(self.slots.pop(number).actor)

    def _ask(self, journal: Journal, slot: ActorSlot) -> None:
        """More jobs for an actor that holds few; a suspect is given only to one that holds nothing else."""
        with self.profiler.of("claim"):
            jobs = journal.claim(slot.owner, max(0, slot.appetite - len(slot.held)))
            if not jobs and not slot.held:
                jobs = journal.claim(slot.owner, 1, suspects=True)
        slot.held |= {job.position for job in jobs}
        slot.pending = slot.actor.exchange.remote(jobs, not slot.held)

    def _hear(self, ray: Any, journal: Journal) -> None:
        """Whatever has been answered by now goes into the journal at once."""
        pending = {slot.pending: number for number, slot in self.slots.items()}
        with self.profiler.of("answers"):
            ray.wait(list(pending), num_returns=1, timeout=PATIENCE_SECONDS)
            ready, _ = ray.wait(list(pending), num_returns=len(pending), timeout=0)
        answers: dict[int, Answer] = {}
        for reference in ready:
            number = pending[reference]
            try:
                answers[number] = ray.get(reference)
            except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError):
                self._reap(journal, number)
        with self.profiler.of("record"):
            journal.record([record for answer in answers.values() for record in answer.records])
        for number, answer in answers.items():
            self._note(ray, journal, number, answer)

    def _note(self, ray: Any, journal: Journal, number: int, answer: Answer) -> None:
        slot = self.slots[number]
        if answer.error is not None:
            raise as_error(*answer.error)
        was_last = slot.alive and not slot.held
        slot.alive, slot.appetite = True, min(MOST_HELD, answer.appetite)
        slot.held -= {record.position for record in answer.records}
        if answer.records:
            self.fruitless_deaths = 0
        if was_last:
            if answer.timings:
                journal.keep_timings(slot.owner, answer.timings)
            ray.kill(self.slots.pop(number).actor)
        else:
            self._ask(journal, slot)

    def _reap(self, journal: Journal, number: int) -> None:
        slot = self.slots.pop(number)
        journal.release(slot.owner, died=True)
        self.fruitless_deaths += 1
        if self.fruitless_deaths > MOST_FRUITLESS_DEATHS * max(1, self.actors):
            raise AvTaggerError(
                f"{self.fruitless_deaths} Ray actors died one after another before they had done anything; look at the logs of Ray"
            )


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra(
            f"--engine ray needs Ray ({error}); get it with: pip install 'av-tagger[ray]'"
        ) from error
    return ray


@contextmanager
def _cluster(ray: Any, address: str | None, options: dict[str, Any]) -> Iterator[None]:
    """The cluster that is named, or one on this machine for this run; what someone else has started is left running."""
    ours = not ray.is_initialized()
    if ours:
        # "local" always starts one: without it a cluster that a killed driver left behind would be joined while it dies.
        given: dict[str, Any] = (
            {"address": address} if address else {"address": "local", "include_dashboard": False}
        )
        search = os.pathsep.join(
            p for p in sys.path if p
        )  # a checkout that is not installed must be found by the actors, too
        environment = {"env_vars": {"PYTHONPATH": search}}
        ray.init(
            **given,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env=environment,
            **options,
        )
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


def _suitable(ray: Any) -> int:
    resources = ray.cluster_resources()
    return max(1, int(resources.get("GPU", 0)) or int(resources.get("CPU", 1)) // 2)


def _resources(ray: Any, count: int) -> tuple[dict[str, float], int]:
    """An equal share of the cluster's GPUs, or of its cores, and how many such actors a machine holds.

    Decoding needs cores, which is why an actor takes its share of them, too, though only its GPU is counted.
    """
    known = ray.cluster_resources()
    kind = "GPU" if known.get("GPU") else "CPU"
    share = known.get(kind, 1) / count
    share = (
        max(1.0, share // 1) if share >= 1 else max(0.01, round(share, 2))
    )  # Ray gives whole ones, or a part of one
    share = min(1.0, share) if kind == "GPU" else share
    largest = max(node["Resources"].get(kind, 0) for node in ray.nodes() if node["Alive"])
    return {
        "num_gpus": share if kind == "GPU" else 0,
        "num_cpus": share if kind == "CPU" else 0,
    }, max(1, round(largest / share))

"""The Ray engine: actors that each hold a tagger are fed with paths, and send documents back to the one journal."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from av_tagger.errors import AvTaggerError, MissingExtra
from av_tagger.runner.clock import Clock
from av_tagger.runner.crew import Recipe
from av_tagger.runner.flow import Flow
from av_tagger.runner.job import Job, Record
from av_tagger.runner.journal import Journal
from av_tagger.runner.local import Tick
from av_tagger.runner.pace import Pace, suited
from av_tagger.runner.processes import MOST_BARREN, as_error, check_same

PATIENCE_SECONDS = 1.0  # an actor answers at least that often, with whatever it has finished
FIRST, AFTER = 4, 4  # jobs that an actor holds at first; afterwards twice what it finished since the last answer, and at least so many
MOST_HELD = 64  # more would only wait in the actor, and be suspects if it died


@dataclass(frozen=True)
class Answer:
    """What an actor says: finished records, or in whose words it failed."""

    records: list[Record]
    error: tuple[str, str] | None = None
    timings: str = ""


class Hand:
    """The life of one actor: a flow that is fed through a queue, so that it never runs empty between two calls."""

    def __init__(self, recipe: Recipe, pace: Pace, fingerprint: str, sharing: int) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._found: queue.SimpleQueue[list[Record] | BaseException] = queue.SimpleQueue()
        self._clock = Clock()
        self._thread = threading.Thread(target=self._work, args=(recipe, pace, fingerprint, sharing), daemon=True)
        self._thread.start()

    def hello(self) -> Answer:
        """Says that there is a place for this actor: until then it is given no jobs."""
        return Answer([])

    def exchange(self, jobs: list[Job], last: bool = False) -> Answer:
        """Takes new jobs, gives what is finished, after a moment at the latest."""
        for job in jobs:
            self._jobs.put(job)
        if last:
            self._jobs.put(None)
        records: list[Record] = []
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not records and time.monotonic() < deadline:
            found = self._next(deadline - time.monotonic())
            if isinstance(found, AvTaggerError):
                return Answer(records, (type(found).__name__, str(found)))
            if isinstance(found, BaseException):
                raise found
            records += found
        return Answer(records, None, self._clock.as_text() if last else "")

    def _next(self, seconds: float) -> list[Record] | BaseException:
        try:
            return self._found.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return []

    def _work(self, recipe: Recipe, pace: Pace, fingerprint: str, sharing: int) -> None:
        try:
            crew = recipe()
            check_same(crew.tagger.parts.run.fingerprint, fingerprint, f"{os.uname().nodename}, process {os.getpid()}")
            with closing(Flow(crew, suited(pace, crew.device, sharing), self._clock).records(iter(self._jobs.get, None))) as groups:  # type: ignore[type-var]
                for records in groups:
                    self._found.put(records)
        except BaseException as error:  # noqa: BLE001 - it is told to the driver
            self._found.put(error)


@dataclass
class Seat:
    """An actor, what it holds, and the answer that is awaited."""

    owner: str
    actor: Any
    pending: Any
    held: set[int] = field(default_factory=set)
    share: int = FIRST
    alive: bool = False


@dataclass
class OnRay:
    """As many actors as asked for; the driver alone writes. An actor that dies, with its process or its node, is replaced."""

    recipe: Recipe
    pace: Pace
    fingerprint: str
    address: str | None = None
    actors: int = 0  # 0: one a GPU of the cluster, else one for each two cores
    options: dict[str, Any] = field(default_factory=dict)  # of ray.init, for a cluster that is started here
    seats: dict[int, Seat] = field(default_factory=dict)
    started: int = 0
    barren: int = 0

    def __call__(self, journal: Journal, tick: Tick) -> None:
        ray = _ray()
        with _cluster(ray, self.address, self.options):
            try:
                self._fill(ray, journal)
                while self.seats:
                    self._hear(ray, journal)
                    tick()
                    self._fill(ray, journal)
                    self._send_home_who_never_came(ray, journal)
            finally:
                for seat in self.seats.values():
                    ray.kill(seat.actor)
                    journal.release(seat.owner, died=False)
                self.seats.clear()

    # Actors.

    def _fill(self, ray: Any, journal: Journal) -> None:
        """An actor in every empty seat, while there are jobs that nobody holds."""
        if not (waiting := journal.waiting()):
            return
        count = self.actors or _suitable(ray)
        empty = [number for number in range(count) if number not in self.seats]
        for number in empty[:waiting]:
            self.seats[number] = self._start(ray, count)

    def _start(self, ray: Any, count: int) -> Seat:
        self.started += 1
        resources = _resources(ray, count)
        sharing = max(1, round(1 / resources["num_gpus"])) if resources.get("num_gpus") else max(1, count)
        actor = ray.remote(Hand).options(max_restarts=0, **resources).remote(self.recipe, self.pace, self.fingerprint, sharing)
        return Seat(f"actor {self.started}", actor, actor.hello.remote())

    def _send_home_who_never_came(self, ray: Any, journal: Journal) -> None:
        """With fewer nodes than there were an actor may wait for ever for its place; the others do its work."""
        absent = [number for number, seat in self.seats.items() if not seat.alive]
        if absent and not journal.waiting() and not any(seat.held for seat in self.seats.values()):
            for number in absent:
                ray.kill(self.seats.pop(number).actor)

    def _ask(self, journal: Journal, seat: Seat) -> None:
        """More jobs for an actor that holds few; a suspect is given only to one that holds nothing else."""
        jobs = journal.claim(seat.owner, max(0, seat.share - len(seat.held)))
        if not jobs and not seat.held:
            jobs = journal.claim(seat.owner, 1, suspects=True)
        seat.held |= {job.position for job in jobs}
        seat.pending = seat.actor.exchange.remote(jobs, not seat.held)

    def _hear(self, ray: Any, journal: Journal) -> None:
        pending = {seat.pending: number for number, seat in self.seats.items()}
        ready, _ = ray.wait(list(pending), num_returns=1, timeout=PATIENCE_SECONDS)
        for reference in ready:
            number = pending[reference]
            try:
                answer: Answer = ray.get(reference)
            except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError):
                self._bury(journal, number)
            else:
                self._note(ray, journal, number, answer)

    def _note(self, ray: Any, journal: Journal, number: int, answer: Answer) -> None:
        seat = self.seats[number]
        if answer.error is not None:
            raise as_error(*answer.error)
        was_last = seat.alive and not seat.held
        seat.alive = True
        journal.record(answer.records)
        seat.held -= {record.position for record in answer.records}
        if answer.records:
            self.barren = 0
            seat.share = min(MOST_HELD, max(AFTER, 2 * len(answer.records), seat.share))
        if was_last:
            if answer.timings:
                journal.keep_timings(seat.owner, answer.timings)
            ray.kill(self.seats.pop(number).actor)
        else:
            self._ask(journal, seat)

    def _bury(self, journal: Journal, number: int) -> None:
        seat = self.seats.pop(number)
        journal.release(seat.owner, died=True)
        self.barren += 1
        if self.barren > MOST_BARREN * max(1, self.actors):
            raise AvTaggerError(f"{self.barren} Ray actors died one after another before they had done anything; look at the logs of Ray")


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra(f"--engine ray needs Ray ({error}); get it with: pip install 'av-tagger[ray]'") from error
    return ray


@contextmanager
def _cluster(ray: Any, address: str | None, options: dict[str, Any]) -> Iterator[None]:
    """The cluster that is named, or one on this machine for this run; what someone else has started is left running."""
    ours = not ray.is_initialized()
    if ours:
        # "local" always starts one: without it a cluster that a killed driver left behind would be joined while it dies.
        given: dict[str, Any] = {"address": address} if address else {"address": "local", "include_dashboard": False}
        search = os.pathsep.join(p for p in sys.path if p)  # a checkout that is not installed must be found by the actors, too
        ray.init(**given, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": search}}, **options)
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


def _suitable(ray: Any) -> int:
    resources = ray.cluster_resources()
    return max(1, int(resources.get("GPU", 0)) or int(resources.get("CPU", 1)) // 2)


def _resources(ray: Any, count: int) -> dict[str, float]:
    """An equal share of the cluster's GPUs, or of its cores. Decoding needs cores, which is why an actor is never given a GPU alone."""
    known = ray.cluster_resources()
    gpus, cores = known.get("GPU", 0), known.get("CPU", 1)
    share = min(1.0, gpus / count) if gpus else 0.0
    return {"num_gpus": share, "num_cpus": 0 if gpus else max(0.01, round(min(1.0, cores / count), 2))}

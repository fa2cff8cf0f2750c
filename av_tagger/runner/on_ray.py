"""The Ray engine: actors with a worker each get jobs and return records; only the driver writes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from av_tagger.errors import AvTaggerError, missing_library
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.journal import Journal
from av_tagger.runner.local import Tick
from av_tagger.runner.processes import MOST_FRUITLESS_DEATHS, as_error
from av_tagger.runner.profiler import Profiler
from av_tagger.runner.ray_worker import ANSWER_SECONDS, FIRST_JOBS, Answer, RayWorker
from av_tagger.runner.worker import WorkerFactory

MOST_HELD = 256  # jobs per actor; more would only wait there, and be suspects if it died


@dataclass
class ActorSlot:
    """An actor, the jobs that it holds, and the answer that is awaited."""

    owner: str
    actor: Any
    pending: Any
    held: set[int] = field(default_factory=set)  # positions
    wanted: int = FIRST_JOBS  # how many jobs keep it busy
    alive: bool = False  # it has answered


@dataclass
class RayEngine:
    """As many actors as requested; one that dies, with its process or its node, is replaced."""

    factory: WorkerFactory
    concurrency: Concurrency
    fingerprint: str
    address: str | None = None
    actors: int = 0  # 0: one per GPU of the cluster, else one per two cores
    options: dict[str, Any] = field(default_factory=dict)  # of ray.init, for a local cluster
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
                    self._collect(ray, journal)
                    tick()
                    self._fill(ray, journal)
                    self._kill_unplaced(ray, journal)
            finally:
                for slot in self.slots.values():
                    ray.kill(slot.actor)
                    journal.release(slot.owner, died=False)
                self.slots.clear()
        journal.keep_timings("driver with Ray", self.profiler.as_text())

    def _fill(self, ray: Any, journal: Journal) -> None:
        """Start an actor in every empty slot, but no more than there are free jobs."""
        count = self.actors or _default_actors(ray)
        empty = [number for number in range(count) if number not in self.slots]
        for number in empty[: journal.waiting(len(empty))]:
            self.slots[number] = self._start(ray, count)

    def _start(self, ray: Any, count: int) -> ActorSlot:
        self.started += 1
        resources, sharing = _resources(ray, count)
        remote = ray.remote(RayWorker).options(max_restarts=0, **resources)
        actor = remote.remote(self.factory, self.concurrency, self.fingerprint, sharing)
        return ActorSlot(f"actor {self.started}", actor, actor.ready.remote())

    def _kill_unplaced(self, ray: Any, journal: Journal) -> None:
        """When all jobs are done, drop actors that the cluster has had no room for."""
        unplaced = [number for number, slot in self.slots.items() if not slot.alive]
        busy = any(slot.held for slot in self.slots.values())
        if unplaced and not busy and not journal.waiting(1):
            for number in unplaced:
                ray.kill(self.slots.pop(number).actor)

    def _send_jobs(self, journal: Journal, slot: ActorSlot) -> None:
        """Fill up an actor's jobs; a suspect only goes to an actor that holds nothing else."""
        with self.profiler.of("claim"):
            jobs = journal.claim(slot.owner, max(0, slot.wanted - len(slot.held)))
            if not jobs and not slot.held:
                jobs = journal.claim(slot.owner, 1, suspects=True)
        slot.held |= {job.position for job in jobs}
        slot.pending = slot.actor.exchange.remote(jobs, not slot.held)

    def _collect(self, ray: Any, journal: Journal) -> None:
        """Wait for an answer, and record all answers that have arrived in one transaction."""
        pending = {slot.pending: number for number, slot in self.slots.items()}
        with self.profiler.of("answers"):
            ray.wait(list(pending), num_returns=1, timeout=ANSWER_SECONDS)
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
        slot.alive, slot.wanted = True, min(MOST_HELD, answer.wanted)
        slot.held -= {record.position for record in answer.records}
        if answer.records:
            self.fruitless_deaths = 0
        if was_last:
            if answer.timings:
                journal.keep_timings(slot.owner, answer.timings)
            ray.kill(self.slots.pop(number).actor)
        else:
            self._send_jobs(journal, slot)

    def _reap(self, journal: Journal, number: int) -> None:
        """Release the jobs of a dead actor; too many deaths without a result end the run."""
        slot = self.slots.pop(number)
        journal.release(slot.owner, died=True)
        self.fruitless_deaths += 1
        if self.fruitless_deaths > MOST_FRUITLESS_DEATHS * max(1, self.actors):
            reason = f"{self.fruitless_deaths} Ray actors died in a row without a result"
            raise AvTaggerError(f"{reason}; see the logs of Ray")


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise missing_library("--engine ray needs", "ray", error, "ray") from error
    return ray


@contextmanager
def _cluster(ray: Any, address: str | None, options: dict[str, Any]) -> Iterator[None]:
    """The cluster at `address`, or a local one that ends with the run."""
    ours = not ray.is_initialized()
    if ours:
        # "local": without it ray.init would join the dying cluster of a killed driver.
        where: dict[str, Any] = {"address": address or "local"}
        if address is None:
            where["include_dashboard"] = False
        paths = os.pathsep.join(filter(None, sys.path))  # for a checkout that is not installed
        ray.init(
            **where,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {"PYTHONPATH": paths}},
            **options,
        )
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


def _default_actors(ray: Any) -> int:
    resources = ray.cluster_resources()
    return max(1, int(resources.get("GPU", 0)) or int(resources.get("CPU", 1)) // 2)


def _resources(ray: Any, count: int) -> tuple[dict[str, float], int]:
    """An equal share of the cluster's GPUs, else of its cores; and how many actors share a machine.

    Actors with a GPU also use their share of the cores, for decoding, but Ray counts only the GPU.
    """
    known = ray.cluster_resources()
    kind = "GPU" if known.get("GPU") else "CPU"
    share = known.get(kind, 1) / count
    share = max(1.0, share // 1) if share >= 1 else max(0.01, round(share, 2))  # as Ray allows
    share = min(1.0, share) if kind == "GPU" else share
    largest = max(node["Resources"].get(kind, 0) for node in ray.nodes() if node["Alive"])
    counts = {"num_gpus": 0.0, "num_cpus": 0.0} | {f"num_{kind.lower()}s": share}
    return counts, max(1, round(largest / share))

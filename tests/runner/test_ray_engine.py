"""The driver of the Ray engine with a simulated Ray: placement, deaths, suspects, the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from av_tagger.clip import Clip
from av_tagger.errors import AvTaggerError, UsageError
from av_tagger.runner import on_ray
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.job import DONE, Item, Job, Record
from av_tagger.runner.journal import Journal
from av_tagger.runner.on_ray import MOST_HELD, ActorSlot, RayEngine
from av_tagger.runner.processes import MOST_FRUITLESS_DEATHS
from av_tagger.runner.ray_worker import FIRST_JOBS, Answer
from tests.fakes import FakeWorkerFactory, touch


class Died(Exception):
    """In place of ray.exceptions.RayActorError."""


@dataclass(eq=False)
class Reference:
    """A call that is answered when the driver waits for it."""

    answer: Callable[[], Answer]


@dataclass
class Actor:
    """Does every job at once; `deadly` are positions over which it dies."""

    deadly: frozenset[int] = frozenset()
    wanted: int = 3
    error: tuple[str, str] | None = None
    got: list[list[Job]] = field(default_factory=list)
    killed: bool = False

    @property
    def ready(self) -> Any:
        return SimpleNamespace(remote=lambda: Reference(lambda: Answer([])))

    @property
    def exchange(self) -> Any:
        return SimpleNamespace(remote=self._exchange)

    def _exchange(self, jobs: list[Job], last: bool) -> Reference:
        self.got.append(jobs)
        return Reference(lambda: self._answer(jobs))

    def _answer(self, jobs: list[Job]) -> Answer:
        if self.deadly & {job.position for job in jobs}:
            raise Died
        records = [Record(job.position, DONE, "", "ok", "ok", 0.1, "{}") for job in jobs]
        return Answer(records, self.wanted, self.error)


class SimulatedRay:
    """The calls of Ray that the driver uses; actors are made by `make`."""

    exceptions = SimpleNamespace(RayActorError=Died, ObjectLostError=Died)

    def __init__(self, make: Callable[[int], Actor], cpus: int = 4) -> None:
        self.make, self.cpus = make, cpus
        self.actors: list[Actor] = []

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": self.cpus}

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": self.cpus}}]

    def remote(self, _: type) -> Any:
        def start(*args: object) -> Actor:
            self.actors.append(self.make(len(self.actors)))
            return self.actors[-1]

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=start))

    def wait(
        self, pending: list[Reference], num_returns: int, timeout: float
    ) -> tuple[list[Reference], list[Reference]]:
        return pending, []

    def get(self, reference: Reference) -> Answer:
        return reference.answer()

    def kill(self, actor: Actor) -> None:
        actor.killed = True


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "run") as opened:
        paths = touch(tmp_path / "in", [f"{i:02d}.mp4" for i in range(20)])
        opened.plan([Item(Clip(path)) for path in paths], "fake")
        yield opened


def run(
    journal: Journal, ray: SimulatedRay, monkeypatch: pytest.MonkeyPatch, actors: int = 2
) -> RayEngine:
    monkeypatch.setattr(on_ray, "_ray", lambda: ray)
    engine = RayEngine(FakeWorkerFactory(), Concurrency(), "fake", None, actors)
    engine(journal, lambda: None)
    return engine


def test_every_job_is_done_once(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = SimulatedRay(lambda _: Actor())
    engine = run(journal, ray, monkeypatch)
    assert journal.counts().done == 20
    given = [job.position for actor in ray.actors for jobs in actor.got for job in jobs]
    assert sorted(given) == list(range(20))
    assert engine.started == 2
    assert all(actor.killed for actor in ray.actors)
    assert engine.slots == {}
    assert [owner for owner, _ in journal.timings()] == ["driver with Ray"]


def test_an_actor_gets_as_many_jobs_as_it_wants(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = SimulatedRay(lambda _: Actor(wanted=7))
    run(journal, ray, monkeypatch, actors=1)
    sizes = [len(jobs) for jobs in ray.actors[0].got]
    assert sizes == [FIRST_JOBS, 7, 7, 2, 0]


def test_the_last_call_tells_the_actor_to_end(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasts: list[bool] = []

    class Noting(Actor):
        def _exchange(self, jobs: list[Job], last: bool) -> Reference:
            lasts.append(last)
            return super()._exchange(jobs, last)

    run(journal, SimulatedRay(lambda _: Noting(wanted=20)), monkeypatch, actors=1)
    assert lasts == [False, False, True]


def test_by_default_there_is_an_actor_per_two_cores(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = SimulatedRay(lambda _: Actor(), cpus=6)
    run(journal, ray, monkeypatch, actors=0)
    assert len(ray.actors) == 3


def test_no_more_actors_than_jobs(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = journal.claim("earlier", 19)
    journal.record([Record(j.position, DONE, "", "ok", "ok", 0.1, "{}") for j in jobs])
    ray = SimulatedRay(lambda _: Actor())
    run(journal, ray, monkeypatch, actors=8)
    assert len(ray.actors) == 1


def test_a_death_costs_only_the_deadly_clip(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = SimulatedRay(lambda _: Actor(deadly=frozenset({5})))
    engine = run(journal, ray, monkeypatch)
    assert (journal.counts().done, journal.counts().failed) == (19, 1)
    ((kind, count, message),) = journal.failures()
    assert (kind, count) == ("crash", 1)
    assert "05.mp4: the process that worked on it died 2 times" in message
    assert engine.started == 3, "one replaced, none for the last death"
    alone = [jobs for actor in ray.actors for jobs in actor.got if any(j.attempts for j in jobs)]
    assert all(len(jobs) == 1 for jobs in alone), "suspects are done one at a time"


def test_actors_that_always_die_end_the_run(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = SimulatedRay(lambda _: Actor(deadly=frozenset(range(20))))
    with pytest.raises(AvTaggerError, match="Ray actors died in a row without a result"):
        run(journal, ray, monkeypatch)
    assert len(ray.actors) >= 2 * MOST_FRUITLESS_DEATHS
    assert journal.claim("next", 20) or journal.claim("next", 1, suspects=True)


def test_the_error_of_an_actor_ends_the_run(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = SimulatedRay(lambda _: Actor(error=("UsageError", "give every machine the same files")))
    with pytest.raises(UsageError, match="the same files"):
        run(journal, ray, monkeypatch)
    assert all(actor.killed for actor in ray.actors)


def test_greedy_actors_are_bounded() -> None:
    engine = RayEngine(FakeWorkerFactory(), Concurrency(), "fake")
    engine.slots[0] = ActorSlot("actor 1", Actor(), None, alive=True, held={1})
    claimed: list[int] = []

    def claim(owner: str, count: int, *, suspects: bool = False) -> list[Job]:
        claimed.append(count)
        return []

    journal: Any = SimpleNamespace(claim=claim)
    engine._note(SimulatedRay(lambda _: Actor()), journal, 0, Answer([], 10**6))
    assert claimed == [MOST_HELD - 1]


def test_actors_without_a_place_are_dropped_at_the_end(journal: Journal) -> None:
    engine = RayEngine(FakeWorkerFactory(), Concurrency(), "fake")
    waiting, working = Actor(), Actor()
    engine.slots = {
        0: ActorSlot("actor 1", waiting, None),
        1: ActorSlot("actor 2", working, None, alive=True),
    }
    ray = SimulatedRay(lambda _: Actor())
    engine._kill_unplaced(ray, journal)
    assert list(engine.slots) == [0, 1], "there is work for it"
    journal.claim("actor 2", 20)
    engine.slots[1].held = {3}
    engine._kill_unplaced(ray, journal)
    assert list(engine.slots) == [0, 1], "a death could free jobs"
    engine.slots[1].held = set()
    engine._kill_unplaced(ray, journal)
    assert list(engine.slots) == [1]
    assert waiting.killed
    assert not working.killed

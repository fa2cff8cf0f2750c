"""The Ray engine on small clusters of this machine: the same results, whatever dies."""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from av_tagger.clip import Clip
from av_tagger.errors import MissingExtra
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.job import Item, Job, Record, failure
from av_tagger.runner.journal import Journal
from av_tagger.runner.local import InProcessEngine
from av_tagger.runner.on_ray import RayEngine, _resources
from av_tagger.runner.ray_worker import FIRST_JOBS, Answer, RayWorker
from av_tagger.runner.run import RunRequest, run
from tests import ROOT
from tests.fakes import FakeWorkerFactory, touch
from tests.waiting import until

CONCURRENCY = Concurrency(2, 1, 1, 4, 1 << 20)

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "RAY_health_check_period_ms": "500",
    "RAY_AUTH_MODE": "disabled",
}
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed"
)


def command(folder: Path, media: Path, kind: str, actors: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "tests.runner.on_ray_once",
        str(folder),
        str(media),
        kind,
        str(actors),
    ]


def on_ray(folder: Path, media: Path, kind: str, actors: int = 2) -> dict[str, Any]:
    """What the run said. A cluster that does not start is started once more."""
    for attempt in (1, 2):
        done = subprocess.run(
            command(folder, media, kind, actors),
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=270,
            check=False,
        )
        hangs = "Timeout" in done.stderr and " in _cluster" in done.stderr
        starting = hangs or "timed out during startup" in done.stderr  # of Ray: after 30 s
        if attempt == 2 or not starting:
            break
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return said


def straight(folder: Path, paths: list[Path]) -> list[str]:
    request = RunRequest(folder, (Item(Clip(p)) for p in paths), "fake")
    run(request, InProcessEngine(FakeWorkerFactory()(), CONCURRENCY))
    return (folder / "results.jsonl").read_text().splitlines()


def test_an_actor_returns_each_record_once() -> None:
    """The actor without Ray: jobs in two parts, all records back, then the end."""
    worker = RayWorker(FakeWorkerFactory(), CONCURRENCY, "fake", 1)
    assert worker.ready() == Answer([], FIRST_JOBS)
    jobs = [Job(i, Clip(Path(f"{i}.mp4")), was_there=False) for i in range(10)]
    found = [*worker.exchange(jobs[:6]).records, *worker.exchange(jobs[6:]).records]
    while len(found) < 10:
        found += worker.exchange([]).records
    assert [r.position for r in found] == list(range(10))
    last = worker.exchange([], True)
    assert last.records == []
    assert (
        last.wanted == 2 * CONCURRENCY.decoders + CONCURRENCY.batch * CONCURRENCY.inference_threads
    ), "enough for all decoders"
    assert json.loads(last.timings)["stages"]["decode"]


def test_one_answer_has_all_finished_records() -> None:
    """A busy driver gets fewer and longer answers."""
    worker = RayWorker(FakeWorkerFactory(), CONCURRENCY, "fake", 1)
    groups: queue.SimpleQueue[list[Record] | BaseException | None] = queue.SimpleQueue()
    for n in range(30):
        groups.put([failure(Job(n, Clip(Path(f"{n}.mp4"))), "media", "is broken")])
    worker._found, worker._held = groups, 30
    answer = worker.exchange([])
    assert len(answer.records) == 30, "not only the first half"
    assert worker._held == 0


@pytest.mark.parametrize(
    ("nodes", "actors", "resources", "sharing"),
    [
        ([{"CPU": 16, "GPU": 1}] * 10, 10, {"num_gpus": 1.0, "num_cpus": 0}, 1),
        ([{"CPU": 64, "GPU": 4}] * 2, 8, {"num_gpus": 1.0, "num_cpus": 0}, 4),
        ([{"CPU": 16, "GPU": 1}], 2, {"num_gpus": 0.5, "num_cpus": 0}, 2),
        ([{"CPU": 16}] * 3, 24, {"num_gpus": 0, "num_cpus": 2.0}, 8),
        ([{"CPU": 2}], 4, {"num_gpus": 0, "num_cpus": 0.5}, 4),
        ([{"CPU": 8}, {"CPU": 16}], 5, {"num_gpus": 0, "num_cpus": 4.0}, 4),
    ],
)
def test_actors_share_machines_equally(
    nodes: list[dict[str, float]], actors: int, resources: dict[str, float], sharing: int
) -> None:
    total = {kind: sum(node.get(kind, 0) for node in nodes) for kind in ("CPU", "GPU")}
    listed = [{"Alive": True, "Resources": node} for node in nodes] + [
        {"Alive": False, "Resources": {"CPU": 999, "GPU": 99}}
    ]
    ray = SimpleNamespace(cluster_resources=lambda: total, nodes=lambda: listed)
    assert _resources(ray, actors) == (resources, sharing)


def test_an_actor_with_other_weights_ends_the_run() -> None:
    worker = RayWorker(FakeWorkerFactory(fingerprint="other"), CONCURRENCY, "fake", 1)
    answer = worker.exchange([])
    assert answer.error is not None
    assert "give every machine the same files" in answer.error[1]


def test_without_ray_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        Journal(tmp_path) as journal,
        pytest.raises(MissingExtra, match="pip install ray"),
    ):
        RayEngine(FakeWorkerFactory(), CONCURRENCY, "fake")(journal, lambda: None)


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(700)
def test_a_killed_node_costs_nothing(tmp_path: Path) -> None:
    """Slow: on a machine with more processes than cores it has hung, or failed, for a reason that
    is not known yet: after a node's death Ray did not bring an answer of the actor that was left.
    """
    names = [f"{i:03d}{'-late' if i >= 60 else ''}.mp4" for i in range(100)]
    paths = touch(tmp_path / "in", names)
    said = on_ray(tmp_path / "run", tmp_path / "in", "node")
    assert (said["done"], said["failed"]) == (100, [])
    assert said["started"] >= 3, "the lost actor was replaced"
    assert (tmp_path / "run" / "results.jsonl").read_text().splitlines() == straight(
        tmp_path / "straight", paths
    )


@needs_ray
@pytest.mark.timeout(1000)
def test_a_killed_driver_can_be_resumed_and_a_killed_actor_costs_its_file_only(
    tmp_path: Path,
) -> None:
    """In the first run half of the files wait, so that it cannot end before it is killed; among
    these is one that kills the actors of the second run.
    """
    names = [f"{i:03d}{'-late' if i >= 100 else ''}.mp4" for i in range(200)]
    paths = touch(tmp_path / "in", names)
    touch(tmp_path / "in", ["150-late-die.mp4"])
    driver = subprocess.Popen(
        command(tmp_path / "run", tmp_path / "in", "plain", 2), env=ENVIRONMENT
    )
    table = tmp_path / "run" / "results.jsonl"
    until(
        lambda: table.exists() and table.read_bytes().count(b"\n") > 20, "results are there", 240.0
    )
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    with Journal(tmp_path / "run") as journal:
        kept = journal.counts().done
    assert 20 < kept < 200
    (tmp_path / "gate").touch()
    said = on_ray(tmp_path / "run", tmp_path / "in", "plain")
    assert (said["done"], [f[:2] for f in said["failed"]]) == (200, [["crash", 1]])
    assert said["started"] >= 3, "the dead actor was replaced"
    found = table.read_text().splitlines()
    assert json.loads(found.pop(150))["error"]["kind"] == "crash"
    assert found == straight(tmp_path / "straight", paths)

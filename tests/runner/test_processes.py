"""Several processes on one journal: the same results, nothing twice; a death costs one file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from av_tagger.clip import Clip
from av_tagger.errors import AvTaggerError, DeviceError, MediaError, StorageError, UsageError
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.job import Item
from av_tagger.runner.journal import RunCounts
from av_tagger.runner.local import InProcessEngine
from av_tagger.runner.processes import ProcessEngine, as_error, devices_of
from av_tagger.runner.run import Engine, RunRequest, Summary, run
from av_tagger.runner.worker import WorkerFactory
from tests import ROOT
from tests.fakes import BrokenWorkerFactory, FakeWorkerFactory, touch
from tests.media.test_lifeline import state_of
from tests.waiting import until

CONCURRENCY = Concurrency(2, 1, 1, 4, 1 << 20)


def go(folder: Path, paths: list[Path], engine: Engine) -> Summary:
    return run(RunRequest(folder, (Item(Clip(p)) for p in paths), "fake"), engine)


def engine_of(*factories: WorkerFactory) -> ProcessEngine:
    return ProcessEngine(factories, CONCURRENCY, "fake")


def test_two_processes_give_the_results_of_one_and_a_death_costs_one_file(tmp_path: Path) -> None:
    names = [f"{i:02d}.mp4" for i in range(40)]
    paths = touch(tmp_path / "in", names)
    straight = go(tmp_path / "one", paths, InProcessEngine(FakeWorkerFactory()(), CONCURRENCY))
    assert straight.counts.done == 40
    deadly = touch(tmp_path / "in", ["17-die.mp4"])
    engine = engine_of(*[FakeWorkerFactory(0.01)] * 2)
    summary = go(tmp_path / "two", [*paths[:18], *deadly, *paths[18:]], engine)
    assert summary.counts == RunCounts(41, 40, 1)
    assert summary.failures[0][:2] == ("crash", 1)
    found = (tmp_path / "two" / "results.jsonl").read_text().splitlines()
    assert json.loads(found.pop(18))["error"]["kind"] == "crash"
    assert found == (tmp_path / "one" / "results.jsonl").read_text().splitlines()


def test_a_process_that_cannot_start_ends_the_run_with_its_error(tmp_path: Path) -> None:
    paths = touch(tmp_path / "in", ["1.mp4"])
    with pytest.raises(UsageError, match="no such ear"):
        go(tmp_path / "run", paths, engine_of(BrokenWorkerFactory("no such ear")))
    with pytest.raises(UsageError, match="give every machine the same files"):
        go(tmp_path / "run", paths, engine_of(FakeWorkerFactory(fingerprint="other")))


def test_processes_that_die_at_once_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(AvTaggerError, match="4 worker processes died in a row"):
        go(tmp_path / "run", touch(tmp_path / "in", ["1.mp4"]), engine_of(BrokenWorkerFactory()))


POOL = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from av_tagger.runner.processes import end_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), end_with_parent) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(600)
"""


def test_a_worker_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "pool.py").write_text(POOL)
    words = [sys.executable, str(tmp_path / "pool.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    until(lambda: state_of(worker) in ("", "Z"), "the worker has ended")


def test_errors_travel_as_class_and_text() -> None:
    assert type(as_error("StorageError", "full")) is StorageError
    assert type(as_error("MediaError", "broken")) is AvTaggerError
    assert str(as_error("Exotic", "odd")) == "odd"
    assert issubclass(MediaError, AvTaggerError)


def test_each_device_has_a_process() -> None:
    assert devices_of(None, "auto", 0) == [None]
    assert devices_of(None, "cpu", 3) == ["cpu"] * 3
    assert devices_of("cuda:0, cuda:1", "auto", 0) == ["cuda:0", "cuda:1"]


@pytest.mark.parametrize("count", [0, 2])
def test_auto_is_a_process_per_gpu(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setitem(
        sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(device_count=lambda: count))
    )
    if count:
        assert devices_of("auto", "auto", 0) == ["cuda:0", "cuda:1"]
    else:
        with pytest.raises(DeviceError, match="no CUDA device"):
            devices_of("auto", "auto", 0)

"""Faults on purpose: whatever step of a run fails, the resumed run ends with the same table."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from av_tagger.clip import Clip
from av_tagger.errors import StorageError
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.job import Item
from av_tagger.runner.local import InProcessEngine
from av_tagger.runner.run import RunRequest, Summary, run
from tests.fakes import FakeWorkerFactory, touch
from tests.faults import FaultyDisk, JumpingClock, SqliteLayer, faulty

NAMES = ["1.mp4", "2-bad.mp4", "3-two.mp4", "4.mp4", "5.mp4"]
CONCURRENCY = Concurrency(1, 1, 1, 2, 1 << 20, 3)
HOW = ("once", "gone", "full", "power")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, if the system has one: thousands of runs are written there."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def layer() -> SqliteLayer:
    return SqliteLayer()


def go(folder: Path, paths: list[Path]) -> Summary:
    items = (Item(Clip(path)) for path in paths)
    engine = InProcessEngine(FakeWorkerFactory()(), CONCURRENCY)
    return run(RunRequest(folder, items, "fake"), engine)


def table(folder: Path) -> bytes:
    return (folder / "results.jsonl").read_bytes()


def try_once(layer: SqliteLayer, folder: Path, paths: list[Path], disk: FaultyDisk) -> bool:
    """Run on a faulty disk, then resume on a good one; whether the first run got to its end."""
    try:
        with faulty(layer, disk):
            go(folder, paths)
    except StorageError:
        ended = False
    else:
        ended = True
    if disk.how == "power":
        disk.lose_unsynced()
    return ended


def every_step(memory: Path, layer: SqliteLayer, how: str, stride: int, first: int = 1) -> int:
    """Let every `stride`-th step of a small run fail; returns how many runs were tried."""
    paths = touch(memory / "in", NAMES)
    counted = FaultyDisk(memory / "count")
    assert try_once(layer, memory / "count", paths, counted)
    expected, steps = table(memory / "count"), len(counted.steps)
    assert {"open", "write", "read", "rename", "make", "look"} <= set(counted.steps)
    tried = range(first, steps + 1, stride)
    for at in tried:
        folder = memory / "run"
        ended = try_once(layer, folder, paths, FaultyDisk(folder, at, how))
        if ended and how != "power":
            assert table(folder) == expected, f"step {at} of {steps} ({how}) was not noticed"
        summary = go(folder, paths)
        assert table(folder) == expected, f"after step {at} of {steps} ({how})"
        assert (summary.counts.done, summary.counts.failed) == (4, 1)
        assert summary.repair.damaged is None, f"damaged by step {at} of {steps} ({how})"
        shutil.rmtree(folder)
    return len(tried)


@pytest.mark.parametrize("how", HOW)
def test_whatever_step_fails_the_table_is_the_same(
    memory: Path, layer: SqliteLayer, how: str
) -> None:
    assert every_step(memory, layer, how, stride=3, first=1 + HOW.index(how) % 3) > 30


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
def test_every_step_that_fails_leaves_the_same_table(
    memory: Path, layer: SqliteLayer, how: str
) -> None:
    assert every_step(memory, layer, how, stride=1) > 100


def every_step_of_a_second_run(
    memory: Path, layer: SqliteLayer, how: str, stride: int, first: int = 1
) -> int:
    """Results of a first run are never lost by a second one that fails; returns how many ran."""
    paths = touch(memory / "in", NAMES)
    go(memory / "whole", paths)
    go(memory / "half", paths[:3])
    counted = FaultyDisk(memory / "count")
    shutil.copytree(memory / "half", memory / "count")
    try_once(layer, memory / "count", paths, counted)
    tried = range(first, len(counted.steps) + 1, stride)
    for at in tried:
        folder = memory / "run"
        shutil.copytree(memory / "half", folder)
        try_once(layer, folder, paths, FaultyDisk(folder, at, how))
        assert go(folder, paths).skipped >= 3, f"step {at} ({how}) lost results"
        assert table(folder) == table(memory / "whole"), f"step {at} ({how})"
        shutil.rmtree(folder)
    return len(tried)


@pytest.mark.parametrize("how", HOW)
def test_a_resumed_run_may_fail_at_any_step_too(memory: Path, layer: SqliteLayer, how: str) -> None:
    assert every_step_of_a_second_run(memory, layer, how, 3, 1 + HOW.index(how) % 3) > 20


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
def test_every_step_of_a_resumed_run_may_fail(memory: Path, layer: SqliteLayer, how: str) -> None:
    assert every_step_of_a_second_run(memory, layer, how, 1) > 60


def test_the_faulty_disk_fails_when_told(memory: Path, layer: SqliteLayer) -> None:
    disk = FaultyDisk(memory, 1)
    with faulty(layer, disk), pytest.raises(OSError, match="Input/output error"):
        (memory / "a").write_text("x")
    with faulty(layer, FaultyDisk(memory, 2, "full")), pytest.raises(OSError, match="No space"):
        (memory / "a").write_text("x")
    with faulty(layer, FaultyDisk(memory, 3)) as disk:
        (memory / "a").write_text("x")
        with pytest.raises(OSError, match="Input/output error"):
            (memory / "a").rename(memory / "b")
        (memory / "a").rename(memory / "c")
    assert disk.steps == ["open", "write", "rename", "rename"]
    assert (memory / "c").read_text() == "x"


def test_unsynced_writes_of_sqlite_are_lost_with_the_power(
    memory: Path, layer: SqliteLayer
) -> None:
    path = memory / "db.sqlite"
    with faulty(layer, FaultyDisk(memory)) as disk:
        for number, synchronous in enumerate(("FULL", "OFF", "OFF")):
            with closing(sqlite3.connect(path, isolation_level=None)) as db:
                db.execute(f"PRAGMA synchronous = {synchronous}")
                db.execute("CREATE TABLE IF NOT EXISTS t (n)")
                db.execute("INSERT INTO t VALUES (?)", (number,))
    assert "sync" in disk.steps
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT n FROM t").fetchall() == [(0,), (1,), (2,)]
    disk.lose_unsynced()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT n FROM t").fetchall() == [(0,)]


@pytest.mark.parametrize("seconds", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_changes_no_result(memory: Path, seconds: float) -> None:
    """Such as after a suspended virtual machine: at any reading of any clock."""
    paths = touch(memory / "in", NAMES)
    go(memory / "straight", paths)
    counted = JumpingClock(1 << 30, seconds)
    with counted.running():
        go(memory / "count", paths)
    assert counted.readings > 50
    for at in range(1, counted.readings, 11):
        with JumpingClock(at, seconds).running():
            go(memory / "run", paths)
        assert table(memory / "run") == table(memory / "straight"), f"reading {at}"
        shutil.rmtree(memory / "run")

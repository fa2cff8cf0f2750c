"""Measurements are repeated while other programs are busy, until the patience is used up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from av_tagger.bench import calm
from av_tagger.bench.calm import Calm, others_seconds
from tests.waiting import until

BUSY = "import time; end = time.time() + 600\nwhile time.time() < end: pass"


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """CPU seconds of one other process: each reading takes the next value."""
    values: list[float] = []
    monkeypatch.setattr(calm, "others_seconds", lambda: {1234: values.pop(0)})
    return values


def test_a_calm_measurement_is_taken_at_once(cpu: list[float]) -> None:
    cpu += [0.0] * 4  # before and after watching, before and after measuring
    watcher = Calm(patience=100.0, look_seconds=0.0)
    assert watcher.undisturbed(lambda: 7.0) == 7.0
    assert (watcher.again, watcher.seen, cpu) == (0, [0.0], [])


def test_a_disturbed_measurement_is_repeated(cpu: list[float]) -> None:
    cpu += [0.0, 0.0, 0.0, 50.0]  # busy during the first measurement
    cpu += [50.0, 50.0, 50.0, 50.0]
    watcher, results = Calm(patience=100.0, look_seconds=0.0), iter([1.0, 2.0])
    assert watcher.undisturbed(lambda: next(results)) == 2.0
    assert watcher.again == 1


def test_without_patience_a_disturbed_measurement_is_kept(cpu: list[float]) -> None:
    cpu += [0.0, 50.0, 50.0, 100.0]
    watcher = Calm(patience=0.0, look_seconds=0.0)
    assert watcher.undisturbed(lambda: 3.0) == 3.0
    assert watcher.seen[0] > 1
    assert watcher.again == 0


def test_a_process_that_starts_in_between_counts_from_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings = iter([{}, {5: 1e6}])
    monkeypatch.setattr(calm, "others_seconds", lambda: next(readings))
    assert Calm(0.0)._others(lambda: "answer")[1] > 1


@pytest.fixture
def foreign() -> Iterator[int]:
    """A busy process of another session whose parent is not this one."""
    starter = (
        "import subprocess, sys;"
        f"p = subprocess.Popen([sys.executable, '-c', {BUSY!r}], start_new_session=True,"
        " stdout=subprocess.DEVNULL);"
        "print(p.pid)"
    )
    pid = int(subprocess.check_output([sys.executable, "-c", starter], text=True))
    yield pid
    os.kill(pid, 9)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_own_processes_do_not_count_and_foreign_ones_do(foreign: int) -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY], start_new_session=True) as child:
        try:
            until(lambda: others_seconds().get(foreign, 0.0) > 0.0, "its CPU time is seen to grow")
            found = others_seconds()
        finally:
            child.kill()
        assert child.pid not in found
        assert os.getpid() not in found
        assert 1 not in found

"""Run by test_on_ray.py in its own process, as Ray warns and forks: one run on a small cluster.

on_ray_once.py RUN FOLDER plain|node ACTORS -> one line of JSON

Files with "-late" in their names wait until the file `gate` is in the folder above the run's.
With `node` a node is killed when 20 files are done and the actors on both nodes work, and the gate
opens when the lost actor has been replaced.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import ray

from av_tagger.clip import Clip
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.job import Item
from av_tagger.runner.journal import RunCounts
from av_tagger.runner.on_ray import RayEngine
from av_tagger.runner.run import RunRequest, run
from tests.fakes import FakeWorkerFactory
from tests.waiting import LIMIT, until

SMALL: dict[str, Any] = {"num_cpus": 2, "object_store_memory": 80 << 20}
CONCURRENCY = Concurrency(2, 1, 1, 4, 1 << 20)
HANGS_SECONDS = 250  # then it prints where it hangs, and ends
START = (
    "start",
    "--block",
    "--num-cpus=1",
    f"--object-store-memory={80 << 20}",
    "--disable-usage-stats",
)


def end_with_parent() -> None:
    """Also where this process is killed, and cannot end the cluster."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@contextmanager
def node(words: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`ray start` on this machine; it is ready when the block is entered."""
    with log.open("wb") as file:
        started = subprocess.Popen(
            [str(Path(sys.executable).with_name("ray")), *START, *words],
            stdout=file,
            stderr=file,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - one call of prctl is safe beside threads
        )
    try:
        until(
            lambda: started.poll() is not None or b"Ray runtime started" in log.read_bytes(),
            "Ray starts",
            limit=120.0,
        )
        assert started.poll() is None, log.read_text()
        yield started
    finally:
        started.terminate()  # also ends its children
        started.wait(LIMIT)


def raylet_of(started: subprocess.Popen[bytes]) -> int:
    """The raylet: killing it kills the node with all its actors."""
    children = [
        int(p) for p in Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
    ]
    return next(
        p
        for p in children
        if Path(f"/proc/{p}/cmdline").read_bytes().split(b"\0")[0].endswith(b"/raylet")
    )


@contextmanager
def two_nodes() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A head and a second node; yields the address of the first and the process of the second."""
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # paths of sockets must be short
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        words = ["--head", "--port=0", "--include-dashboard=false", f"--temp-dir={folder / 'ray'}"]
        stack.enter_context(node(words, folder / "head.log"))
        found = re.search(r"ray start --address='([^']+)'", (folder / "head.log").read_text())
        assert found is not None
        yield found[1], stack.enter_context(node([f"--address={found[1]}"], folder / "second.log"))


def kill_at_work(engine: RayEngine, raylet: int, done: Callable[[], int]) -> None:
    """Kill a node on which an actor works, however long that took to start."""
    actors = engine.actors

    def at_work() -> bool:
        slots = list(engine.slots.values())
        return len(slots) == actors and all(slot.alive for slot in slots) and done() >= 20

    until(at_work, "actors work on both nodes", HANGS_SECONDS)
    os.kill(raylet, signal.SIGKILL)


def main() -> None:
    faulthandler.dump_traceback_later(HANGS_SECONDS, exit=True)
    folder, media, kind, actors = (
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        sys.argv[3],
        int(sys.argv[4]),
    )
    with ExitStack() as stack:
        gate = folder.parent / "gate"
        factory, done = FakeWorkerFactory(0.02, gate=gate), [0]
        engine = RayEngine(factory, CONCURRENCY, "fake", None, actors, SMALL)

        def watch(counts: RunCounts) -> None:
            done.append(counts.done)
            if kind == "node" and engine.started > actors:
                gate.touch()

        if kind == "node":
            address, second = stack.enter_context(two_nodes())
            engine = RayEngine(factory, CONCURRENCY, "fake", address, actors)
            doomed = raylet_of(second)
            killing = (engine, doomed, lambda: done[-1])
            threading.Thread(target=kill_at_work, args=killing, daemon=True).start()
        summary = run(
            RunRequest(folder, (Item(Clip(p)) for p in sorted(media.iterdir())), "fake"),
            engine,
            watch,
        )
    said = {
        "done": summary.counts.done,
        "failed": summary.failures,
        "started": engine.started,
    }
    print(json.dumps(said))
    if ray.is_initialized():
        ray.shutdown()


if __name__ == "__main__":
    main()

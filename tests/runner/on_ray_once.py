"""Run by test_on_ray.py in its own process, as Ray warns and forks: one run on a small cluster.

on_ray_once.py RUN FOLDER plain|node ACTORS -> one line of JSON

With `node` a node is killed when 20 files are done; files with "-late" in their names wait until
the lost actor has been replaced.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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

SMALL: dict[str, Any] = {"num_cpus": 2, "object_store_memory": 80 << 20}
CONCURRENCY = Concurrency(2, 1, 1, 4, 1 << 20)
HANGS_SECONDS = 90  # then it prints where it hangs, and ends
START = (
    "start",
    "--block",
    "--num-cpus=1",
    f"--object-store-memory={80 << 20}",
    "--disable-usage-stats",
)


@contextmanager
def node(words: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`ray start` on this machine; it is ready when the block is entered."""
    with log.open("wb") as file:
        started = subprocess.Popen(
            [str(Path(sys.executable).with_name("ray")), *START, *words], stdout=file, stderr=file
        )
    try:
        deadline = time.monotonic() + 60
        while b"Ray runtime started" not in log.read_bytes():
            assert started.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield started
    finally:
        started.terminate()  # also ends its children
        started.wait(30)


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


def main() -> None:
    faulthandler.dump_traceback_later(HANGS_SECONDS, exit=True)
    folder, media, kind, actors = (
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        sys.argv[3],
        int(sys.argv[4]),
    )
    with ExitStack() as stack:
        engine = RayEngine(FakeWorkerFactory(0.02), CONCURRENCY, "fake", None, actors, SMALL)
        doomed: list[int] = []
        gate = folder.parent / "replaced"
        if kind == "node":
            address, second = stack.enter_context(two_nodes())
            factory = FakeWorkerFactory(0.02, gate=gate)
            engine = RayEngine(factory, CONCURRENCY, "fake", address, actors)
            doomed = [raylet_of(second)]

        def watch(counts: RunCounts) -> None:
            if counts.done >= 20 and doomed:
                os.kill(doomed.pop(), signal.SIGKILL)
            if engine.started > actors:
                gate.touch()

        began = time.monotonic()
        summary = run(
            RunRequest(folder, (Item(Clip(p)) for p in sorted(media.iterdir())), "fake"),
            engine,
            watch,
        )
        assert not doomed, "the node was killed while the run was at work"
    said = {
        "done": summary.counts.done,
        "failed": summary.failures,
        "started": engine.started,
        "seconds": time.monotonic() - began,
    }
    print(json.dumps(said))
    if ray.is_initialized():
        ray.shutdown()


if __name__ == "__main__":
    main()

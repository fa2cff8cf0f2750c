"""Run by test_run.py in its own process: starts the same run repeatedly and kills it each time.

It forks, which is faster than new interpreters, and prints how often a kill met a running run:
always, as the run waits to be killed a few clips later.
"""

from __future__ import annotations

import math
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from av_tagger.clip import Clip, Media
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.job import Item
from av_tagger.runner.local import InProcessEngine
from av_tagger.runner.run import RunRequest, run
from av_tagger.runner.worker import Worker
from tests.fakes import Decoder, tagger
from tests.waiting import until

CONCURRENCY = Concurrency(2, 1, 1, 3, 1 << 20, 6)
FEW = 6  # clips between the one at which a run may be killed and the one at which it waits


@dataclass
class Logged(Decoder):
    """Logs every clip that is opened, so that a test can see what was done twice."""

    log: Path
    most: float = math.inf  # opened in all, then it waits to be killed

    def __post_init__(self) -> None:
        super().__init__(delay=0.004)

    def windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:
        with self.log.open("a") as file:
            file.write(f"{clip.path.name}\n")
        while opened(self.log) > self.most:
            time.sleep(0.001)
        return super().windows(clip, request, limit_seconds)


def once(folder: Path, log: Path, most: float = math.inf) -> None:
    items = (Item(Clip(path)) for path in sorted((folder.parent / "in").iterdir()))
    run(
        RunRequest(folder, items, "fake"),
        InProcessEngine(Worker(tagger(), lambda: Logged(log, most)), CONCURRENCY),
    )


def killed(folder: Path, log: Path, clips: int, wait: float) -> bool:
    """Kill the run when `clips` more clips were opened: it is running then on any machine."""
    target = opened(log) + clips
    child = os.fork()
    if child == 0:
        try:
            once(folder, log, target + FEW)
        finally:
            os._exit(0)
    until(lambda: opened(log) >= target)
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def opened(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def main() -> None:
    folder, log, kills, seed = (
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        int(sys.argv[3]),
        int(sys.argv[4]),
    )
    generator = random.Random(seed)
    met = sum(
        killed(folder, log, generator.randint(0, 14), generator.uniform(0.0, 0.01))
        for _ in range(kills)
    )
    once(folder, log)
    print(met)


if __name__ == "__main__":
    main()

"""Run by test_run.py in a process of its own: starts the same run again and again, each time killed at a random moment.

Forks instead of new interpreters, so that twenty kills cost little; prints how often a run was killed while it was at work.
"""

from __future__ import annotations

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
from av_tagger.runner.local import Here
from av_tagger.runner.run import Order, run
from av_tagger.runner.worker import Worker
from tests.fakes import Decoder, tagger

PACE = Concurrency(2, 1, 1, 3, 1 << 20, 6)


@dataclass
class Logged(Decoder):
    """Writes down every clip that is opened, so that a test can see what was done twice."""

    log: Path

    def __post_init__(self) -> None:
        super().__init__(delay=0.004)

    def windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:
        with self.log.open("a") as file:
            file.write(f"{clip.path.name}\n")
        return super().windows(clip, request, limit_seconds)


def once(folder: Path, log: Path) -> None:
    items = (Item(Clip(path)) for path in sorted((folder.parent / "in").iterdir()))
    run(Order(folder, items, "fake"), Here(Worker(tagger(), lambda: Logged(log)), PACE))


def killed(folder: Path, log: Path, clips: int, wait: float) -> bool:
    """Killed once `clips` more clips were opened, and a moment later: at work on a busy machine as on a calm one."""
    target = opened(log) + clips
    child = os.fork()
    if child == 0:
        try:
            once(folder, log)
        finally:
            os._exit(0)
    patience = time.monotonic() + 60
    while opened(log) < target and time.monotonic() < patience:
        time.sleep(0.001)
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
    dice = random.Random(seed)
    met = sum(
        killed(folder, log, dice.randint(0, 14), dice.uniform(0.0, 0.01)) for _ in range(kills)
    )
    once(folder, log)
    print(met)


if __name__ == "__main__":
    main()

"""Decoders that outlive a run, and what they cost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from av_tagger.clip import Clip, Media
from av_tagger.media import GuardedWorker
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.worker import Decoder


@dataclass
class DecoderPool:
    """Decoders that outlive a run: starting processes is not what is measured."""

    workers: list[GuardedWorker] = field(default_factory=list)
    idle: list[GuardedWorker] = field(default_factory=list)

    def __call__(self) -> Decoder:
        if not self.idle:
            self.workers.append(GuardedWorker())
            self.idle.append(self.workers[-1])
        return PooledDecoder(self.idle.pop(), self.idle)

    def cpu(self) -> float:
        return sum(_cpu_of(w.process.pid) for w in self.workers if w.process is not None)

    def peak_kib(self) -> int:
        return max(
            (_peak_of(w.process.pid) for w in self.workers if w.process is not None), default=0
        )

    def close(self) -> None:
        for worker in self.workers:
            worker.close()


@dataclass(frozen=True)
class PooledDecoder:
    """A decoder that goes back to the others when it is closed."""

    worker: GuardedWorker
    idle: list[GuardedWorker]

    def windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:
        return self.worker.windows(clip, request, limit_seconds)

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        self.idle.append(self.worker)


def _cpu_of(pid: int) -> float:
    """Processor seconds of another process, as Linux tells them."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_of(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)

"""Who does the work in one process: a tagger and what decodes for it; made anew in every process from a picklable recipe."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from av_tagger.clip import Media
from av_tagger.media import Decoder, DecoderPool
from av_tagger.runner.profiler import Profiler
from av_tagger.stages import watched
from av_tagger.tagger import Tagger, WindowResult

if TYPE_CHECKING:
    from av_tagger.plan import Plan


@dataclass(frozen=True)
class Worker:
    """A tagger, and how to get one more decoder."""

    tagger: Tagger
    decoder: Callable[[], Decoder]

    @property
    def device(self) -> str:
        return self.tagger.parts.run.device


class WorkerFactory(Protocol):
    """Makes a crew, in whatever process it is called; picklable."""

    def __call__(self) -> Worker: ...


@dataclass(frozen=True)
class FromPlan:
    """The worker of a plan, on a device of its own choice; its networks are loaded when called."""

    plan: Plan
    device: str | None = None

    def __call__(self) -> Worker:
        return worker_of(self.plan.build(self.device), self.plan.config.decoder)


def worker_of(tagger: Tagger, backend: str) -> Worker:
    """Each decoder in a process of its own, ended when the run ends."""
    return Worker(tagger, DecoderPool(backend, keep=0).decoder)


class InferenceThread:
    """Runs ear and eye over batches of windows; on a GPU side by side, each in a stream of its own."""

    def __init__(self, worker: Worker, profiler: Profiler, threads: int) -> None:
        self.tagger, self.profiler, self.device = worker.tagger, profiler, worker.device
        self._second: ThreadPoolExecutor | None = None
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
        if self.device.startswith("cuda"):
            name = f"{threading.current_thread().name} ear"
            self._second = ThreadPoolExecutor(1, name)
            self._ear_stream, self._eye_stream = self._stream(), self._stream()
            sys.modules["torch"].cuda.synchronize()  # the weights were laid out in another stream

    def score(self, windows: Sequence[Media]) -> list[WindowResult]:
        if self._second is None:
            heard, seen = self._hear(windows), self._see(windows)
        else:
            future = self._second.submit(self._hear, windows, self._ear_stream)
            seen = self._see(windows, self._eye_stream)
            heard = future.result()
        with self.profiler.of("weigh"):
            return self.tagger.weigh(windows, heard, seen)

    def close(self) -> None:
        if self._second is not None:
            self._second.shutdown()

    def _hear(self, windows: Sequence[Media], stream: Any = None) -> list[Any]:
        with self.profiler.of("hear"), self._in(stream):
            return self.tagger.hear(windows)

    def _see(self, windows: Sequence[Media], stream: Any = None) -> list[Any]:
        with self.profiler.of("see"), watched(self.profiler.of), self._in(stream):
            return self.tagger.see(windows)

    def _stream(self) -> Any:
        import torch

        cuda: Any = torch.cuda
        return cuda.Stream(torch.device(self.device))

    @staticmethod
    def _in(stream: Any) -> AbstractContextManager[Any]:
        if stream is None:
            return nullcontext()
        import torch

        return torch.cuda.stream(stream)

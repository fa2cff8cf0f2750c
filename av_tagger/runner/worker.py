"""The worker: a tagger plus decoders. Each process builds its own from a picklable factory."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from av_tagger.clip import Media
from av_tagger.fusion.windows import WindowResult
from av_tagger.media import Decoder, DecoderPool
from av_tagger.media.transport import PageLock
from av_tagger.runner.engines import CardEngine, EngineDecoder, engines_of
from av_tagger.runner.profiler import Profiler
from av_tagger.stages import watched
from av_tagger.tagger import Tagger

if TYPE_CHECKING:
    from av_tagger.plan import Plan


@dataclass(frozen=True)
class Worker:
    """A tagger, and a function that returns one more decoder."""

    tagger: Tagger
    decoder: Callable[[], Decoder]
    engines: tuple[Callable[[], Decoder], ...] = ()  # decoders on a card, one thread each

    def without_details(self) -> Worker:
        """For documents without details."""
        return replace(self, tagger=self.tagger.without_details())

    @property
    def device(self) -> str:
        return self.tagger.parts.run.device


class WorkerFactory(Protocol):
    """Builds a worker in the process that calls it; picklable."""

    def __call__(self) -> Worker: ...


@dataclass(frozen=True)
class FromPlan:
    """The worker of a plan, on a device of its own; its networks are loaded when it is called."""

    plan: Plan
    device: str | None = None
    decode: str = "cores"  # or auto, nvdec

    def __call__(self) -> Worker:
        return worker_of(self.plan.build(self.device), self.plan.config.decoder, self.decode)


def worker_of(tagger: Tagger, backend: str, decode: str = "cores") -> Worker:
    """Each decoder is a process of its own that ends with the run."""
    device = tagger.parts.run.device
    pool = DecoderPool(backend, keep=0)
    pool.page_lock = page_lock_of(device)
    makers = engines_of(decode, device)
    return Worker(tagger, pool.decoder, tuple(partial(_on_engine, make, pool) for make in makers))


def _on_engine(make: Callable[[], CardEngine], pool: DecoderPool) -> Decoder:
    """Its own engine, with a decoding process for sound and times, and for what it cannot open."""
    return EngineDecoder(make(), pool.decoder())


def page_lock_of(device: str) -> PageLock | None:
    """A GPU copies decoded pictures out of page-locked memory by itself."""
    if not device.startswith("cuda"):
        return None
    from av_tagger.networks import page_lock

    return partial(page_lock, device=device)


class InferenceThread:
    """Runs ear and eye on batches of windows; on a GPU in parallel, each in its own stream."""

    def __init__(self, worker: Worker, profiler: Profiler, threads: int) -> None:
        self.tagger, self.profiler, self.device = worker.tagger, profiler, worker.device
        self._second: ThreadPoolExecutor | None = None
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
        if self.device.startswith("cuda"):
            name = f"{threading.current_thread().name} ear"
            self._second = ThreadPoolExecutor(1, name)
            self._ear_stream, self._eye_stream = self._stream(), self._stream()
            sys.modules["torch"].cuda.synchronize()  # the weights were copied in another stream

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

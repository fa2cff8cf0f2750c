"""Who does the work in one process: a tagger and what decodes for it; made anew in every process from a picklable recipe."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from av_tagger.clip import Clip, Media
from av_tagger.media import GuardedWorker, make_backend
from av_tagger.media.guard import POSSIBLE
from av_tagger.media.opening import check_path
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.profiler import Profiler
from av_tagger.stages import watched
from av_tagger.tagger import Tagger, WindowResult

if TYPE_CHECKING:
    from av_tagger.config import Config


class Decoder(Protocol):
    """Opens one clip after another; `interrupt` is called from another thread and makes a long wait end."""

    def windows(
        self, clip: Clip, request: DecodeRequest, limit_seconds: float
    ) -> Iterator[Media]: ...

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


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
class FromConfig:
    """The crew that the settings ask for, on a device of its own choice."""

    config: Config
    device: str | None = None

    def __call__(self) -> Worker:
        from av_tagger.plan import load

        config = self.config if self.device is None else replace(self.config, device=self.device)
        return of(load(config), config.decoder)


def of(tagger: Tagger, backend: str) -> Worker:
    return Worker(
        tagger, lambda: Guarded(GuardedWorker(backend)) if POSSIBLE else Unguarded(backend)
    )


class Guarded:
    """A decoding process of its own: what hangs or crashes in it costs one clip."""

    def __init__(self, worker: GuardedWorker) -> None:
        self.worker = worker

    def windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:
        check_path(clip.path)
        return self.worker.windows(clip, request, limit_seconds)

    def interrupt(self) -> None:
        process = self.worker.process
        if process is not None:
            process.kill()  # the thread that waits for an answer gets the end of the file

    def close(self) -> None:
        self.worker.close()


class Unguarded:
    """Where processes cannot share memory by descriptor: decoding here, without protection."""

    def __init__(self, backend: str) -> None:
        self.backend = make_backend(backend)

    def windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:  # noqa: ARG002 - nothing can end a decoder here
        check_path(clip.path)
        return self.backend.windows(clip, request)

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


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

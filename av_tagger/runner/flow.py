"""One process's share of a run: clips are decoded ahead, their windows judged together, and each clip concluded in its turn."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from av_tagger.clip import Media
from av_tagger.errors import AvTaggerError, StorageError, TimedOut
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.job import Job, Record, failure, record
from av_tagger.runner.profiler import Profiler
from av_tagger.runner.window_queue import Window, WindowQueue
from av_tagger.runner.worker import Decoder, InferenceThread, Unguarded, Worker
from av_tagger.tagger import WindowResult

MOST_TOGETHER = 64  # events between two looks at whose turn it is
MOST_DEFECTS = 20  # that many clips in a row that fail by a defect of ours are no accident: the run stops with the traceback


@dataclass(frozen=True)
class Trouble:
    """Why a clip cannot be tagged."""

    kind: str
    message: str
    defect: BaseException | None = None


@dataclass(frozen=True)
class ScoredWindow:
    sequence: int
    number: int
    found: WindowResult | Trouble
    seconds: float


@dataclass(frozen=True)
class Decoded:
    """A clip's last window has gone to the judges, or the decoder has given up."""

    sequence: int
    windows: int
    trouble: Trouble | None
    seconds: float


@dataclass(frozen=True)
class Stopped:
    """A thread has ended: well, or by an error that concerns the whole run."""

    error: BaseException | None = None


@dataclass
class Pending:
    """A clip of which not everything is known yet."""

    job: Job
    window_results: dict[int, WindowResult] = field(default_factory=dict)
    scored: int = 0
    windows: int | None = None
    trouble: Trouble | None = None
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        return self.windows is not None and self.scored == self.windows


class Flow:
    """Jobs in, records out in the same order, in bounded memory.

    Threads: decoders (each owns one decoding process) -> room -> judges -> the caller's thread, which concludes and yields. Decoders
    begin no clip that is more than `ahead` after the oldest unfinished one; what waits is bounded there and in the room, and nothing else.
    """

    def __init__(
        self, worker: Worker, concurrency: Concurrency, profiler: Profiler | None = None
    ) -> None:
        self.worker, self.concurrency, self.profiler = worker, concurrency, profiler or Profiler()
        self.queue = WindowQueue(
            concurrency.memory_bytes,
            2 * concurrency.batch * concurrency.inference_threads + concurrency.decoders,
            concurrency.batch,
            concurrency.inference_threads,
        )
        self._events: queue.SimpleQueue[ScoredWindow | Decoded | Stopped] = queue.SimpleQueue()
        self._turn, self._source = threading.Condition(), threading.Lock()
        self._finished = 0  # clips whose records have left
        self._pending: dict[int, Pending] = {}
        self._stopping = False
        self._decoders: list[Decoder] = []
        self._defects = 0

    def records(self, jobs: Iterator[Job]) -> Iterator[list[Record]]:
        """Those that became known together. Closing the iterator ends all threads and decoding processes."""
        self._jobs = enumerate(jobs)
        threads = [
            *self._start("decoder", self.concurrency.decoders, self._decode),
            *self._start("inference", self.concurrency.inference_threads, self._score),
        ]
        try:
            yield from self._collect()
        finally:
            self._stop(threads)

    def _start(self, name: str, count: int, work: Callable[[], None]) -> list[threading.Thread]:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - it is raised again in the caller's thread
                self._events.put(Stopped(error))

        threads = [
            threading.Thread(target=guarded, name=f"{name} {i + 1}", daemon=True)
            for i in range(count)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _stop(self, threads: list[threading.Thread]) -> None:
        self._stopping = True
        self.queue.close()
        with self._turn:
            self._turn.notify_all()
        while alive := [thread for thread in threads if thread.is_alive()]:
            for decoder in (
                self._decoders
            ):  # again and again: one may have begun to wait just after it was interrupted
                decoder.interrupt()
            alive[0].join(0.05)

    # Decoders' threads.

    def _decode(self) -> None:
        decoder = self.worker.decoder()
        self._decoders.append(decoder)
        try:
            while (claimed := self._next_job()) is not None:
                self._decode_one(decoder, *claimed)
        finally:
            decoder.close()
        self._events.put(Stopped())

    def _next_job(self) -> tuple[int, Job] | None:
        """The next clip, once it is near enough to the oldest unfinished one."""
        with self.profiler.of("clips"), self._source:
            with self._turn:
                self._turn.wait_for(
                    lambda: self._stopping or len(self._pending) < self.concurrency.ahead
                )
            # Outside that lock: the source may wait for jobs itself, and what is finished must still be able to leave.
            sequence, job = (0, None) if self._stopping else next(self._jobs, (0, None))
            if job is None:
                return None
            self._pending[sequence] = Pending(job)
            return sequence, job

    def _decode_one(self, decoder: Decoder, sequence: int, job: Job) -> None:
        number, seconds, trouble = 0, 0.0, None
        limit = min(self.concurrency.window_limit, self.concurrency.clip_limit)
        aside = None if isinstance(decoder, Unguarded) else "transport"
        try:
            windows = decoder.windows(job.clip, self.worker.tagger.parts.request, limit)
            while True:
                with self.profiler.of("decode", aside) as lap:
                    media = next(windows, None)
                seconds += lap.seconds
                if media is None:
                    break
                if not self._hand_over(Window(sequence, number, media)):
                    return
                number += 1
                del media
                self._check_limit(decoder, job, seconds)
        except AvTaggerError as error:
            self._check_vanished(job)
            trouble = Trouble(error.kind, str(error))
        if not self._stopping:
            self._events.put(Decoded(sequence, number, trouble, seconds))

    def _hand_over(self, window: Window) -> bool:
        with self.profiler.of("queue"):
            return self.queue.put(window)

    def _check_limit(self, decoder: Decoder, job: Job, seconds: float) -> None:
        if seconds > self.concurrency.clip_limit:
            decoder.close()
            reason = (
                f"took longer than {self.concurrency.clip_limit:g} s to decode and was given up"
            )
            raise TimedOut(job.clip.path, reason, "raise --time-limit if the file is sound")

    @staticmethod
    def _check_vanished(job: Job) -> None:
        """One file that is gone is its own trouble; a folder that is gone, or empty where files were, is a disk that was taken away."""
        path = job.clip.path
        if not job.was_there or _is_there(path) or _holds_something(path.parent):
            return
        raise StorageError(
            f"{path.parent}: was there when the run began and is gone; bring it back and run the same command again"
        )

    # Judges' threads.

    def _score(self) -> None:
        score = InferenceThread(self.worker, self.profiler, self.concurrency.threads)
        try:
            while batch := self._take():
                begin, size = time.perf_counter(), sum(window.size for window in batch)
                found = _score_all(score, [window.media for window in batch])
                each = (time.perf_counter() - begin) / len(batch)
                places = [(window.sequence, window.number) for window in batch]
                del batch
                self.queue.leave(len(places), size)
                for (sequence, number), one in zip(places, found, strict=True):
                    self._events.put(ScoredWindow(sequence, number, one, each))
        finally:
            score.close()

    def _take(self) -> list[Window]:
        with self.profiler.of("windows"):
            return self.queue.take()

    # The caller's thread.

    def _collect(self) -> Iterator[list[Record]]:
        decoding = self.concurrency.decoders
        while decoding or self._pending:
            for event in self._news():
                if isinstance(event, Stopped):
                    decoding -= self._ended(event)
                else:
                    self._note(event)
            if ready := list(self._those_whose_turn_it_is()):
                yield ready

    def _news(self) -> list[ScoredWindow | Decoded | Stopped]:
        """Waits for the next event; others that are there already come with it."""
        events = [self._events.get()]
        while len(events) < MOST_TOGETHER:
            try:
                events.append(self._events.get_nowait())
            except queue.Empty:
                break
        return events

    @staticmethod
    def _ended(event: Stopped) -> int:
        if event.error is not None:
            raise event.error
        return 1

    def _note(self, event: ScoredWindow | Decoded) -> None:
        pending = self._pending[event.sequence]
        pending.seconds += event.seconds
        if isinstance(event, Decoded):
            pending.windows = event.windows
            pending.trouble = pending.trouble or event.trouble
            return
        pending.scored += 1
        if isinstance(event.found, Trouble):
            pending.trouble = event.found
        else:
            pending.window_results[event.number] = event.found

    def _those_whose_turn_it_is(self) -> Iterator[Record]:
        while (first := self._pending.get(self._finished)) is not None and first.complete:
            made = self._conclude(first)
            with self._turn:
                del self._pending[self._finished]
                self._finished += 1
                self._turn.notify_all()
            yield made

    def _conclude(self, pending: Pending) -> Record:
        job, trouble = pending.job, pending.trouble
        self._count_defects(trouble)
        if trouble is not None:
            return failure(job, trouble.kind, trouble.message)
        window_results = [pending.window_results[n] for n in range(len(pending.window_results))]
        with self.profiler.of("merge"):
            try:
                tagged = self.worker.tagger.merge_windows(job.clip, window_results, pending.seconds)
            except AvTaggerError as error:
                return failure(job, error.kind, str(error))
            return record(job, tagged, pending.seconds, detail=self.concurrency.detail)

    def _count_defects(self, trouble: Trouble | None) -> None:
        if trouble is None or trouble.defect is None:
            self._defects = 0
            return
        self._defects += 1
        if self._defects >= MOST_DEFECTS:
            raise trouble.defect


def _score_all(score: InferenceThread, batch: list[Media]) -> list[WindowResult | Trouble]:
    """Where a batch fails its windows are judged one by one, so that only the guilty clip pays."""
    try:
        return list(score.score(batch))
    except Exception as error:  # noqa: BLE001 - a bad clip costs itself only; many in a row end the run
        if len(batch) == 1:
            return [_trouble(batch[0], error)]
    return list(itertools.chain.from_iterable(_score_all(score, [media]) for media in batch))


def _trouble(media: Media, error: Exception) -> Trouble:
    path = media.clip.path
    if isinstance(error, AvTaggerError):
        return Trouble(error.kind, str(error))
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return Trouble(
            "memory",
            f"{path}: the networks ran out of memory; use shorter windows, or a device with more memory",
        )
    return Trouble(
        "defect",
        f"{path}: {type(error).__name__}: {error}; this is a defect: please report it",
        error,
    )


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a stale handle, a broken disk
        return False


def _holds_something(folder: Path) -> bool:
    try:
        return any(True for _ in folder.iterdir())
    except OSError:
        return False

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
from av_tagger.runner.clock import Clock
from av_tagger.runner.crew import Crew, Decoder, Judge, Unguarded
from av_tagger.runner.job import Job, Record, failure, record
from av_tagger.runner.pace import Pace
from av_tagger.runner.room import Room, Window
from av_tagger.tagger import Testimony

MOST_TOGETHER = 64  # events between two looks at whose turn it is
MOST_DEFECTS = 20  # that many clips in a row that fail by a defect of ours are no accident: the run stops with the traceback


@dataclass(frozen=True)
class Trouble:
    """Why a clip cannot be tagged."""

    kind: str
    message: str
    defect: BaseException | None = None


@dataclass(frozen=True)
class Judged:
    sequence: int
    number: int
    found: Testimony | Trouble
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
    testimonies: dict[int, Testimony] = field(default_factory=dict)
    judged: int = 0
    windows: int | None = None
    trouble: Trouble | None = None
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        return self.windows is not None and self.judged == self.windows


class Flow:
    """Jobs in, records out in the same order, in bounded memory.

    Threads: decoders (each owns one decoding process) -> room -> judges -> the caller's thread, which concludes and yields. Decoders
    begin no clip that is more than `ahead` after the oldest unfinished one; what waits is bounded there and in the room, and nothing else.
    """

    def __init__(self, crew: Crew, pace: Pace, clock: Clock | None = None) -> None:
        self.crew, self.pace, self.clock = crew, pace, clock or Clock()
        self.room = Room(pace.memory_bytes, 2 * pace.batch * pace.judges + pace.decoders, pace.batch, pace.judges)
        self._events: queue.SimpleQueue[Judged | Decoded | Stopped] = queue.SimpleQueue()
        self._turn, self._source = threading.Condition(), threading.Lock()
        self._finished = 0  # clips whose records have left
        self._pending: dict[int, Pending] = {}
        self._stopping = False
        self._decoders: list[Decoder] = []
        self._defects = 0

    def records(self, jobs: Iterator[Job]) -> Iterator[list[Record]]:
        """Those that became known together. Closing the iterator ends all threads and decoding processes."""
        self._jobs = enumerate(jobs)
        threads = [*self._start("decoder", self.pace.decoders, self._decode), *self._start("judge", self.pace.judges, self._judge)]
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

        threads = [threading.Thread(target=guarded, name=f"{name} {i + 1}", daemon=True) for i in range(count)]
        for thread in threads:
            thread.start()
        return threads

    def _stop(self, threads: list[threading.Thread]) -> None:
        self._stopping = True
        self.room.close()
        with self._turn:
            self._turn.notify_all()
        while alive := [thread for thread in threads if thread.is_alive()]:
            for decoder in self._decoders:  # again and again: one may have begun to wait just after it was interrupted
                decoder.interrupt()
            alive[0].join(0.05)

    # Decoders' threads.

    def _decode(self) -> None:
        decoder = self.crew.decoder()
        self._decoders.append(decoder)
        try:
            while (claimed := self._next_job()) is not None:
                self._decode_one(decoder, *claimed)
        finally:
            decoder.close()
        self._events.put(Stopped())

    def _next_job(self) -> tuple[int, Job] | None:
        """The next clip, once it is near enough to the oldest unfinished one."""
        with self.clock.of("clips"), self._source:
            with self._turn:
                self._turn.wait_for(lambda: self._stopping or len(self._pending) < self.pace.ahead)
            # Outside that lock: the source may wait for jobs itself, and what is finished must still be able to leave.
            sequence, job = (0, None) if self._stopping else next(self._jobs, (0, None))
            if job is None:
                return None
            self._pending[sequence] = Pending(job)
            return sequence, job

    def _decode_one(self, decoder: Decoder, sequence: int, job: Job) -> None:
        number, seconds, trouble = 0, 0.0, None
        limit = min(self.pace.window_limit, self.pace.clip_limit)
        aside = None if isinstance(decoder, Unguarded) else "transport"
        try:
            windows = decoder.windows(job.clip, self.crew.tagger.parts.want, limit)
            while True:
                with self.clock.of("decode", aside) as lap:
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
        with self.clock.of("room"):
            return self.room.put(window)

    def _check_limit(self, decoder: Decoder, job: Job, seconds: float) -> None:
        if seconds > self.pace.clip_limit:
            decoder.close()
            reason = f"took longer than {self.pace.clip_limit:g} s to decode and was given up"
            raise TimedOut(job.clip.path, reason, "raise --time-limit if the file is sound")

    @staticmethod
    def _check_vanished(job: Job) -> None:
        """One file that is gone is its own trouble; a folder that is gone, or empty where files were, is a disk that was taken away."""
        path = job.clip.path
        if not job.was_there or _is_there(path) or _holds_something(path.parent):
            return
        raise StorageError(f"{path.parent}: was there when the run began and is gone; bring it back and run the same command again")

    # Judges' threads.

    def _judge(self) -> None:
        judge = Judge(self.crew, self.clock, self.pace.threads)
        try:
            while batch := self._take():
                begin, size = time.perf_counter(), sum(window.size for window in batch)
                found = _judge_all(judge, [window.media for window in batch])
                each = (time.perf_counter() - begin) / len(batch)
                places = [(window.sequence, window.number) for window in batch]
                del batch
                self.room.leave(len(places), size)
                for (sequence, number), one in zip(places, found, strict=True):
                    self._events.put(Judged(sequence, number, one, each))
        finally:
            judge.close()

    def _take(self) -> list[Window]:
        with self.clock.of("windows"):
            return self.room.take()

    # The caller's thread.

    def _collect(self) -> Iterator[list[Record]]:
        decoding = self.pace.decoders
        while decoding or self._pending:
            for event in self._news():
                if isinstance(event, Stopped):
                    decoding -= self._ended(event)
                else:
                    self._note(event)
            if ready := list(self._those_whose_turn_it_is()):
                yield ready

    def _news(self) -> list[Judged | Decoded | Stopped]:
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

    def _note(self, event: Judged | Decoded) -> None:
        pending = self._pending[event.sequence]
        pending.seconds += event.seconds
        if isinstance(event, Decoded):
            pending.windows = event.windows
            pending.trouble = pending.trouble or event.trouble
            return
        pending.judged += 1
        if isinstance(event.found, Trouble):
            pending.trouble = event.found
        else:
            pending.testimonies[event.number] = event.found

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
        testimonies = [pending.testimonies[n] for n in range(len(pending.testimonies))]
        with self.clock.of("conclude"):
            try:
                tagged = self.crew.tagger.conclude(job.clip, testimonies, pending.seconds)
            except AvTaggerError as error:
                return failure(job, error.kind, str(error))
            return record(job, tagged, pending.seconds, detail=self.pace.detail)

    def _count_defects(self, trouble: Trouble | None) -> None:
        if trouble is None or trouble.defect is None:
            self._defects = 0
            return
        self._defects += 1
        if self._defects >= MOST_DEFECTS:
            raise trouble.defect


def _judge_all(judge: Judge, batch: list[Media]) -> list[Testimony | Trouble]:
    """Where a batch fails its windows are judged one by one, so that only the guilty clip pays."""
    try:
        return list(judge.judge(batch))
    except Exception as error:  # noqa: BLE001 - a bad clip costs itself only; many in a row end the run
        if len(batch) == 1:
            return [_trouble(batch[0], error)]
    return list(itertools.chain.from_iterable(_judge_all(judge, [media]) for media in batch))


def _trouble(media: Media, error: Exception) -> Trouble:
    path = media.clip.path
    if isinstance(error, AvTaggerError):
        return Trouble(error.kind, str(error))
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return Trouble("memory", f"{path}: the networks ran out of memory; use shorter windows, or a device with more memory")
    return Trouble("defect", f"{path}: {type(error).__name__}: {error}; this is a defect: please report it", error)


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

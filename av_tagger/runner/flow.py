"""One process of a run: decodes ahead, scores windows in batches, merges clips in order."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

from av_tagger.clip import Media
from av_tagger.errors import AvTaggerError, TimedOut
from av_tagger.fusion.windows import WindowResult
from av_tagger.media import Decoder
from av_tagger.runner.clip_problem import ClipProblem, is_out_of_memory, problem_of
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.disks import check_disk
from av_tagger.runner.job import CRASH, Job, Record, failure, record, suspect
from av_tagger.runner.job_shelf import JobShelf
from av_tagger.runner.pending import (
    Decoded,
    GroupTimer,
    PendingClip,
    ScoredWindow,
    ThreadEnded,
)
from av_tagger.runner.profiler import Profiler
from av_tagger.runner.window_queue import Window, WindowQueue, cost_of, usual_cost
from av_tagger.runner.worker import InferenceThread, Worker
from av_tagger.stages import watched

MOST_EVENTS = 64  # events handled before finished clips are looked for again
LOOK_AHEAD = 4  # jobs per engine from which the largest files go to the engines
GATHERED = 4  # batches of clips that may be started, or threads do not wait for a full one
MOST_DEFECTS = 20  # clips in a row that fail with a bug: more end the run with the traceback


class Flow:
    """Jobs in, records out in the same order, in bounded memory.

    Decoder threads (each with a decoding process) -> window queue -> inference threads -> the
    caller's thread, which merges the windows of a clip and yields its record. No clip is started
    more than `ahead` after the oldest unfinished one. That and the queue bound what waits.
    """

    def __init__(
        self, worker: Worker, concurrency: Concurrency, profiler: Profiler | None = None
    ) -> None:
        self.worker = worker if concurrency.detail else worker.without_details()
        self.concurrency = concurrency
        self.profiler = profiler or Profiler()
        self.queue = WindowQueue(
            concurrency.memory_bytes,
            2 * concurrency.batch * concurrency.inference_threads + concurrency.decoders,
            concurrency.batch,
            concurrency.inference_threads,
            usual_cost(worker.tagger.parts.request),
        )
        if concurrency.ahead >= GATHERED * concurrency.batch > GATHERED:
            self.queue.gather_seconds = concurrency.gather_seconds
        self._events: queue.SimpleQueue[ScoredWindow | Decoded | ThreadEnded] = queue.SimpleQueue()
        self._turn, self._source = threading.Condition(), threading.Lock()
        self._groups = GroupTimer(concurrency.ahead)
        self._finished = 0  # clips whose records have been yielded
        self._pending: dict[int, PendingClip] = {}
        self._stopping = False
        self._decoders: list[Decoder] = []
        self._defects = 0

    def records(self, jobs: Iterator[Job]) -> Iterator[list[Record]]:
        """Records in groups, as they become known. Closing the iterator ends all threads."""
        engines = self.worker.engines
        self._decoding = self.concurrency.decoders + len(engines)
        self._jobs = JobShelf(jobs, 1 + LOOK_AHEAD * len(engines))
        self._engines = deque(engines)
        threads = [
            *self._start("decoder", self.concurrency.decoders, self._decode),
            *self._start("engine", len(engines), self._decode_on_engine),
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
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                self._events.put(ThreadEnded(error))

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
            for decoder in self._decoders:  # repeated: one may start to wait after an interrupt
                decoder.interrupt()
            alive[0].join(0.05)

    # In the decoder threads.

    def _decode_on_engine(self) -> None:
        with watched(self.profiler.of):
            self._decode(self._engines.popleft(), large=True)

    def _decode(self, make: Callable[[], Decoder] | None = None, *, large: bool = False) -> None:
        decoder = (make or self.worker.decoder)()
        self._decoders.append(decoder)
        try:
            while (claimed := self._next_job(large=large)) is not None:
                self._decode_one(decoder, *claimed)
            self._decoders.remove(decoder)  # idle: no need to interrupt it
            self._end_decoding()
        finally:
            decoder.close()

    def _end_decoding(self) -> None:
        """With details the process lives until the end of the run: it makes the pictures, too."""
        with self._source:
            self._decoding -= 1
            if not self._decoding:
                self.queue.complete()
        self._events.put(ThreadEnded())
        if self.concurrency.detail:
            with self._turn:
                self._turn.wait_for(lambda: self._stopping)

    def _next_job(self, *, large: bool) -> tuple[int, Job] | None:
        """The next clip, once it is within `ahead` of the oldest unfinished one."""
        with self.profiler.of("clips"), self._source:
            with self._turn:
                self._turn.wait_for(
                    lambda: self._stopping or len(self._pending) < self.concurrency.ahead
                )
            # Not under the lock of `_turn`: the source may wait itself while clips are finished.
            found = None if self._stopping else self._jobs.next(large=large)
            if found is None:
                return None
            sequence, job = found
            self._pending[sequence] = PendingClip(job)
            return sequence, job

    def _decode_one(self, decoder: Decoder, sequence: int, job: Job) -> None:
        number, seconds, problem = 0, 0.0, None
        limit = min(self.concurrency.window_limit, self.concurrency.clip_limit)
        try:
            windows = decoder.windows(job.clip, self.worker.tagger.parts.request, limit)
            while True:
                with self.profiler.of("decode", None if decoder.in_process else "transport") as lap:
                    media = next(windows, None)
                # No window takes longer than its limit: more is a clock that jumped.
                seconds += lap.seconds if decoder.in_process else min(lap.seconds, limit)
                if media is None:
                    break
                self._check_limit(decoder, job, seconds)
                if media.is_last:
                    next(windows, None)  # the decoder ends with the clip
                    self._enqueue(Window(sequence, number, media, seconds))
                    return
                if not self._enqueue(Window(sequence, number, media)):
                    return
                number += 1
                del media
        except AvTaggerError as error:
            check_disk(job)
            trace = getattr(error, "traceback", "")  # of a bug in the decoding process
            problem = ClipProblem(error.kind, str(error), traceback=trace)
        if not self._stopping:
            self._events.put(Decoded(sequence, number, problem, seconds))

    def _enqueue(self, window: Window) -> bool:
        with self.profiler.of("queue"):
            return self.queue.put(window)

    def _check_limit(self, decoder: Decoder, job: Job, seconds: float) -> None:
        limit = self.concurrency.clip_limit
        if seconds > limit:
            decoder.interrupt()
            reason = f"took longer than {limit:g} s to decode and was given up"
            raise TimedOut(job.clip.path, reason, "raise --time-limit if the file is sound")

    # In the inference threads.

    def _score(self) -> None:
        inference = InferenceThread(self.worker, self.profiler, self.concurrency.threads)
        try:
            while batch := self._take():
                begin, size = time.perf_counter(), sum(window.size for window in batch)
                results = self._score_all(inference, [window.media for window in batch])
                each = (time.perf_counter() - begin) / len(batch)
                scored = [
                    ScoredWindow(window.sequence, window.number, result, each, window.clip_seconds)
                    for window, result in zip(batch, results, strict=True)
                ]
                del batch
                self.queue.leave(len(scored), size)
                for event in scored:
                    self._events.put(event)
        finally:
            inference.close()

    def _score_all(
        self, inference: InferenceThread, batch: list[Media]
    ) -> list[WindowResult | ClipProblem]:
        """If a batch fails, score its windows one by one, so that only the failing clip is lost.

        If memory is short, score it in halves, and if these fit, take smaller batches from now on.
        """
        try:
            return list(inference.score(batch))
        except Exception as error:  # noqa: BLE001 - costs one clip; many in a row end the run
            if len(batch) == 1:
                return [problem_of(batch[0], error)]
            short_of_memory = is_out_of_memory(error)
        # Out here the error is gone, and with it the memory of the failed batch.
        size = -(-len(batch) // 2) if short_of_memory else 1
        parts = (batch[i : i + size] for i in range(0, len(batch), size))
        results = [result for part in parts for result in self._score_all(inference, part)]
        if short_of_memory and not any(isinstance(result, ClipProblem) for result in results):
            self.queue.shrink(sum(map(cost_of, batch)) / 2)
        return results

    def _take(self) -> list[Window]:
        with self.profiler.of("windows"):
            return self.queue.take()

    # In the caller's thread.

    def _collect(self) -> Iterator[list[Record]]:
        decoding = self.concurrency.decoders + len(self.worker.engines)
        while decoding or self._pending:
            for event in self._next_events():
                if isinstance(event, ThreadEnded):
                    decoding -= _ended(event)
                else:
                    self._note(event)
            if ready := list(self._finished_records()):
                yield ready
                self._groups.restart()

    def _next_events(self) -> list[ScoredWindow | Decoded | ThreadEnded]:
        """Wait for the next event, and for others soon after the last group of records."""
        events = [self._events.get()]
        self._groups.wait()
        with suppress(queue.Empty):
            while len(events) < MOST_EVENTS:
                events.append(self._events.get_nowait())
        return events

    def _note(self, event: ScoredWindow | Decoded) -> None:
        pending = self._pending[event.sequence]
        pending.seconds += event.seconds
        if isinstance(event, Decoded):
            pending.windows = event.windows
            pending.problem = pending.problem or event.problem
            return
        pending.scored += 1
        if event.clip_seconds is not None:
            pending.windows = event.number + 1
            pending.seconds += event.clip_seconds
        if isinstance(event.result, ClipProblem):
            pending.problem = event.result
        else:
            pending.window_results[event.number] = event.result

    def _finished_records(self) -> Iterator[Record]:
        """Of finished clips, up to the first unfinished one."""
        while (first := self._pending.get(self._finished)) is not None and first.complete:
            made = self._merge(first)
            with self._turn:
                del self._pending[self._finished]
                self._finished += 1
                self._turn.notify_all()
            yield made

    def _merge(self, pending: PendingClip) -> Record:
        job, problem = pending.job, pending.problem
        self._count_defects(problem)
        if problem is not None:
            if problem.kind == CRASH and not job.attempts:
                return suspect(job)
            return failure(job, problem.kind, problem.message, problem.traceback)
        window_results = [pending.window_results[n] for n in range(len(pending.window_results))]
        with self.profiler.of("merge"):
            try:
                tagged = self.worker.tagger.merge_windows(job.clip, window_results, pending.seconds)
            except AvTaggerError as error:
                return failure(job, error.kind, str(error))
            return record(job, tagged, pending.seconds, detail=self.concurrency.detail)

    def _count_defects(self, problem: ClipProblem | None) -> None:
        if problem is None or problem.defect is None:
            self._defects = 0
            return
        self._defects += 1
        if self._defects >= MOST_DEFECTS:
            raise problem.defect


def _ended(event: ThreadEnded) -> int:
    if event.error is not None:
        raise event.error
    return 1

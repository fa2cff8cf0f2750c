"""The bounded queue of decoded windows between decoders and inference threads."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from functools import cached_property

from av_tagger.clip import Media
from av_tagger.protocols import DecodeRequest

# What a window costs the networks, in frames of the frame features (1.3 GFLOP). Estimates: batches
# of equal cost need no exact ones.
SECOND = 1.0  # of audio
RECOGNISED = 75.0  # four key frames in Inception-v4
MEGABYTE = 1.0  # of pictures that are copied and resized
USUAL_RATE, USUAL_BYTES = 24.0, 640 * 360 * 3 // 2  # frames per second, bytes per frame
FULL = 0.95  # of its budget; a part of a window more would not fit
MOST_SHARE = 4  # a batch has at most this many times `batch` windows, however short they are


@dataclass(frozen=True)
class Window:
    """A decoded window of a clip on its way to the networks."""

    sequence: int  # of the clip in this run
    number: int  # of the window in the clip
    media: Media
    clip_seconds: float | None = None  # with the last window: to decode the clip

    @property
    def size(self) -> int:
        """Bytes of pictures and audio."""
        frames, waveform = self.media.frames, self.media.waveform
        pictures = 0 if frames is None else frames.images.nbytes
        return pictures + (0 if waveform is None else waveform.samples.nbytes)

    @cached_property
    def cost(self) -> float:
        return cost_of(self.media)


def cost_of(media: Media) -> float:
    """What the networks have to do for a window; repeated frames cost only their copy."""
    frames, waveform = media.frames, media.waveform
    audio = 0.0 if waveform is None else SECOND * waveform.duration_seconds
    if frames is None or not len(frames):
        return audio
    distinct = len(frames) if frames.first_equal is None else len(set(frames.first_equal.tolist()))
    return audio + RECOGNISED + distinct + MEGABYTE * frames.images.nbytes / 1e6


def usual_cost(request: DecodeRequest) -> float:
    """The cost of a full window of an ordinary file, 360p at 24 frames per second."""
    seconds = request.window_seconds
    audio = 0.0 if request.audio_rate is None else SECOND * seconds
    if request.short_side is None:
        return audio
    frames = seconds * min(request.frame_rate or USUAL_RATE, USUAL_RATE)
    return audio + RECOGNISED + frames * (1 + MEGABYTE * USUAL_BYTES / 1e6)


class WindowQueue:
    """Bounded by count and bytes, so that decoders sleep while the networks are busy.

    Windows count until they are scored, not only while they wait. One window of any size fits.
    With `usual`, the cost of a usual window, a batch costs as much as `batch` of these: more
    windows if they are short, fewer if they are long. Without it windows are counted.
    """

    def __init__(
        self,
        most_bytes: int,
        most_windows: int,
        batch: int,
        inference_threads: int = 1,
        usual: float | None = None,
    ) -> None:
        self.most_bytes, self.most_windows = most_bytes, most_windows
        self.batch, self.inference_threads, self.usual = batch, inference_threads, usual
        self.budget = batch * (usual or 1.0)  # cost of a batch
        self.gather_seconds = 0.0  # that a thread waits for a full batch
        self.count = self.bytes = self.peak = 0
        self._waiting: deque[Window] = deque()
        self._spent = 0.0  # cost of what waits
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)  # for inference threads
        self._room = threading.Condition(self._lock)  # for decoders
        self._blocked = 0  # decoders that wait for room
        self._complete = self._closed = False

    def put(self, window: Window) -> bool:
        """Wait until the window fits; False if the queue was closed."""
        self._cost(window)  # computed once, and not under the lock
        with self._lock:
            if not self._fits(window.size):
                self._wait_for_room(window.size)
            if self._closed:
                return False
            self._waiting.append(window)
            self._spent += self._cost(window)
            self.count += 1
            self.bytes += window.size
            self.peak = max(self.peak, self.count)
            if not self.gather_seconds or len(self._waiting) == 1 or self._is_enough():
                self._news.notify()
            return True

    def take(self) -> list[Window]:
        """Up to a batch of windows, at most a thread's share; empty if the queue was closed.

        It waits for the first window, and `gather_seconds` for a full batch while decoders go on.
        Where it does not gather, it leaves work to other threads.
        """
        with self._lock:
            while True:  # another thread may have taken all in the meantime
                self._news.wait_for(lambda: self._closed or self._waiting)
                if self.gather_seconds:
                    self._news.wait_for(self._is_enough, self.gather_seconds)
                if self._closed:
                    return []
                if self._waiting:
                    return self._batch()

    def _batch(self) -> list[Window]:
        share = self._spent / (1 if self.gather_seconds else self.inference_threads)
        taken, spent = [self._waiting.popleft()], 0.0
        while self._waiting and len(taken) < MOST_SHARE * self.batch:
            spent += self._cost(taken[-1])
            if spent >= share or spent + self._cost(self._waiting[0]) > self.budget:
                break
            taken.append(self._waiting.popleft())
        self._spent = sum(map(self._cost, self._waiting))
        return taken

    def shrink(self, cost: float) -> None:
        """Later batches cost at most this much: a larger one did not fit into memory."""
        with self._lock:
            self.budget = min(self.budget, cost)

    def leave(self, count: int, size: int) -> None:
        """Windows that were scored no longer count."""
        with self._lock:
            self.count -= count
            self.bytes -= size
            self._room.notify_all()

    def complete(self) -> None:
        """No more windows come: nothing is worth waiting for."""
        with self._lock:
            self._complete = True
            self._news.notify_all()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self._news.notify_all()
            self._room.notify_all()

    def _wait_for_room(self, size: int) -> None:
        self._blocked += 1
        self._news.notify_all()
        self._room.wait_for(lambda: self._closed or self._fits(size))
        self._blocked -= 1

    def _is_enough(self) -> bool:
        """A full batch; or all there is, where decoders wait for room or have ended."""
        if self._closed or self._complete or self._blocked:
            return True
        full = len(self._waiting) >= MOST_SHARE * self.batch
        return full or self._spent >= FULL * self.budget

    def _cost(self, window: Window) -> float:
        return 1.0 if self.usual is None else window.cost

    def _fits(self, size: int) -> bool:
        return self.count == 0 or (
            self.count < self.most_windows and self.bytes + size <= self.most_bytes
        )

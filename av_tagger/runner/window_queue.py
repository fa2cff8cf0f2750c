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
MOST_SHARE = 4  # a batch has at most this many times `batch` windows, however short they are


@dataclass(frozen=True)
class Window:
    """A decoded window of a clip on its way to the networks."""

    sequence: int  # of the clip in this run
    number: int  # of the window in the clip
    media: Media

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
        self.count = self.bytes = self.peak = 0
        self._waiting: deque[Window] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, window: Window) -> bool:
        """Wait until the window fits; False if the queue was closed."""
        self._cost(window)  # computed once, and not under the lock
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._fits(window.size))
            if self._closed:
                return False
            self._waiting.append(window)
            self.count += 1
            self.bytes += window.size
            self.peak = max(self.peak, self.count)
            self._changed.notify_all()
            return True

    def take(self) -> list[Window]:
        """Up to a batch of windows, at most a thread's share; empty if the queue was closed.

        It waits for the first window but not for a full batch, and leaves work to other threads.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting)
            if self._closed:
                return []
            share = sum(map(self._cost, self._waiting)) / self.inference_threads
            taken, spent = [self._waiting.popleft()], 0.0
            while self._waiting and len(taken) < MOST_SHARE * self.batch:
                spent += self._cost(taken[-1])
                if spent >= share or spent + self._cost(self._waiting[0]) > self.budget:
                    break
                taken.append(self._waiting.popleft())
            return taken

    def shrink(self, cost: float) -> None:
        """Later batches cost at most this much: a larger one did not fit into memory."""
        with self._changed:
            self.budget = min(self.budget, cost)

    def leave(self, count: int, size: int) -> None:
        """Windows that were scored no longer count."""
        with self._changed:
            self.count -= count
            self.bytes -= size
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _cost(self, window: Window) -> float:
        return 1.0 if self.usual is None else window.cost

    def _fits(self, size: int) -> bool:
        return self.count == 0 or (
            self.count < self.most_windows and self.bytes + size <= self.most_bytes
        )

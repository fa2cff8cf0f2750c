"""The bounded queue of decoded windows between decoders and inference threads."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from av_tagger.clip import Media


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


class WindowQueue:
    """Bounded by count and bytes, so that decoders sleep while the networks are busy.

    Windows count until they are scored, not only while they wait. One window of any size fits.
    """

    def __init__(
        self, most_bytes: int, most_windows: int, batch: int, inference_threads: int = 1
    ) -> None:
        self.most_bytes, self.most_windows = most_bytes, most_windows
        self.batch, self.inference_threads = batch, inference_threads
        self.count = self.bytes = self.peak = 0
        self._waiting: deque[Window] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, window: Window) -> bool:
        """Wait until the window fits; False if the queue was closed."""
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
            share = -(-len(self._waiting) // self.inference_threads)
            return [self._waiting.popleft() for _ in range(min(self.batch, share))]

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

    def _fits(self, size: int) -> bool:
        return self.count == 0 or (
            self.count < self.most_windows and self.bytes + size <= self.most_bytes
        )

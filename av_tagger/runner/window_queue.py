"""Where decoded windows wait: bounded by count and bytes, so that decoders sleep while nobody takes what they made."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from av_tagger.clip import Media


@dataclass(frozen=True)
class Window:
    """The nth window of a clip, on its way from a decoder to a judge."""

    sequence: int  # of the clip in this run
    number: int
    media: Media

    @property
    def size(self) -> int:
        frames, sound = self.media.frames, self.media.waveform
        return (frames.images.nbytes if frames is not None else 0) + (
            sound.samples.nbytes if sound is not None else 0
        )


class WindowQueue:
    """Holds windows until they are judged: what is being judged still takes its place. One window always fits."""

    def __init__(
        self, most_bytes: int, most_windows: int, batch: int, inference_threads: int = 1
    ) -> None:
        self.most_bytes, self.most_windows, self.batch, self.inference_threads = (
            most_bytes,
            most_windows,
            batch,
            inference_threads,
        )
        self.count = self.bytes = self.peak = 0
        self._waiting: deque[Window] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, window: Window) -> bool:
        """Waits for room; False when the run is over and nobody wants it any more."""
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
        """A judge's share of what waits, up to a batch: nobody idles for a fuller one, nor takes what another could begin with.

        Empty when the run is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting)
            share = -(-len(self._waiting) // self.inference_threads)
            return (
                []
                if self._closed
                else [self._waiting.popleft() for _ in range(min(self.batch, share))]
            )

    def leave(self, count: int, size: int) -> None:
        """Windows that were judged make room for others."""
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

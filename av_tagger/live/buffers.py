"""Bounded memory of a stream: the last samples and the last frames (numpy only)."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from av_tagger.clip import ColourMatrix, Frames, Images, Samples, Waveform

EPSILON = 1e-6  # seconds


class SampleBuffer:
    """The samples of a stream since a time that moves on; sample n is at origin + n / rate."""

    def __init__(self, rate: int, origin: float = 0.0) -> None:
        self.rate, self.origin = rate, origin
        self.count = 0  # samples so far
        self._first = 0  # the sample that the memory starts with
        self._memory = np.zeros(4 * rate, np.float32)

    @property
    def end(self) -> float:
        return self.origin + self.count / self.rate

    @property
    def kept(self) -> int:
        return self.count - self._first

    def add(self, samples: Samples) -> None:
        used = self.kept
        if used + len(samples) > len(self._memory):
            larger = np.zeros(max(len(self._memory), 2 * (used + len(samples))), np.float32)
            larger[:used] = self._memory[:used]
            self._memory = larger
        self._memory[used : used + len(samples)] = samples
        self.count += len(samples)

    def drop_before(self, seconds: float) -> None:
        """Forget what is older; memory is moved only when half of it can be freed."""
        old = min(self._index(seconds) - self._first, self.kept)
        if old * 2 >= len(self._memory):
            left = self.kept - old
            self._memory[:left] = self._memory[old : old + left]
            self._first += old

    def waveform(self, start: float, end: float) -> Waveform | None:
        """A copy of the samples in [start, end); None if there are none."""
        first = max(self._index(start), self._first)
        last = min(self._index(end), self.count)
        if last <= first:
            return None
        samples = self._memory[first - self._first : last - self._first].copy()
        return Waveform(samples, self.rate, self.origin + first / self.rate)

    def _index(self, seconds: float) -> int:
        """The first sample at or after a time."""
        return max(0, math.ceil((seconds - self.origin) * self.rate - 1e-3))


@dataclass(frozen=True)
class TimedImage:
    """One frame: RGB, or planes if there is `luma`."""

    seconds: float
    image: Images
    luma: ColourMatrix | None = None


class FrameBuffer:
    """The frames of a stream since a time that moves on."""

    def __init__(self) -> None:
        self._frames: deque[TimedImage] = deque()
        self._last: TimedImage | None = None  # before all of these
        self.end = -math.inf

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: TimedImage) -> None:
        """A frame of another size replaces all frames before it."""
        newest = self._frames[-1] if self._frames else self._last
        if newest is not None and _kind(newest) != _kind(frame):
            self._frames.clear()
            self._last = None
        self._frames.append(frame)
        self.end = max(self.end, frame.seconds)

    def drop_before(self, seconds: float) -> None:
        while self._frames and self._frames[0].seconds < seconds - EPSILON:
            self._last = self._frames.popleft()

    def frames(self, start: float, end: float) -> Frames | None:
        """The frames in [start, end); without any, the last one before, which is still shown."""
        found = [f for f in self._frames if start - EPSILON <= f.seconds < end - EPSILON]
        times = [f.seconds for f in found]
        if not found:
            before = [f for f in self._frames if f.seconds < start]
            last = before[-1] if before else self._last
            if last is None:
                return None
            found, times = [last], [start]
        return Frames(np.stack([f.image for f in found]), np.array(times), 0, found[0].luma)


def _kind(frame: TimedImage) -> tuple[tuple[int, ...], ColourMatrix | None]:
    return frame.image.shape, frame.luma

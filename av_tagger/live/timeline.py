"""The timeline of a stream, stitched window by window; frames are decided once and handed on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from av_tagger.scores import Activity


class GrowingTimeline:
    """Frame n is at origin + n / rate; as `av_tagger.tagger.stitch`, without keeping the past."""

    def __init__(self, origin: float, rate: float, classes: int) -> None:
        self.origin, self.rate, self.classes = origin, rate, classes
        self.decided = 0  # frames

    def decide(self, piece: Activity | None, until: float) -> NDArray[np.float32]:
        """(frames, classes) up to a time; NaN where the piece has no frames."""
        first, last = self.decided, max(self.decided, round((until - self.origin) * self.rate))
        values = np.full((last - first, self.classes), np.nan, np.float32)
        if piece is not None:
            offset = round((piece.start_seconds - self.origin) * self.rate)
            rows = piece.values[max(first - offset, 0) : max(last - offset, 0)]
            begin = max(offset - first, 0)
            rows = rows[: max(0, len(values) - begin)]
            values[begin : begin + len(rows)] = rows
        self.decided = last
        return values

    def seconds(self, frame: int) -> float:
        return self.origin + frame / self.rate

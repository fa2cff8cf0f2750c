"""Frames that are equal byte for byte, found in the order in which they arrive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Rows = NDArray[np.int64]

BLOCK = 1024  # bytes
SAMPLED = 8  # a part of a frame is each so many-th block of it
SEVERAL = -1  # instead of a row


class RepeatFinder:
    """For each frame added, the first frame that equals it.

    Most frames are told apart by the checksum of a part of their bytes. Where that is not enough,
    a checksum of all bytes finds the candidates and a comparison decides.
    """

    def __init__(self) -> None:
        self.first: list[int] = []
        self._parts: dict[int, int] = {}  # by checksum of a part: a row, until there is a second
        self._rows: dict[int, list[int]] = {}  # by checksum of all bytes: rows that differ

    def add(self, images: Images) -> None:
        """The next row of `images` is complete; the rows before it were added earlier."""
        row = len(self.first)
        key = checksum(images[row], SAMPLED)
        alone = self._parts.get(key)
        if alone is None:
            self._parts[key] = row
            self.first.append(row)
            return
        if alone != SEVERAL:
            self._parts[key] = SEVERAL
            self._rows.setdefault(checksum(images[alone]), []).append(alone)
        alike = self._rows.setdefault(checksum(images[row]), [])
        first = next((r for r in alike if np.array_equal(images[r], images[row])), row)
        if first == row:
            alike.append(row)
        self.first.append(first)


def first_equal(images: Images) -> Rows:
    """For each frame the row of the first frame that equals it."""
    found = RepeatFinder()
    for _ in images:
        found.add(images)
    return np.array(found.first, dtype=np.int64)


def checksum(image: Images, every: int = 1) -> int:
    """The sum of the bytes of a frame, eight at a time; of each `every`-th block of it."""
    flat = np.ascontiguousarray(image).reshape(-1)
    whole = len(flat) // BLOCK * BLOCK
    blocks = flat[:whole].view(np.uint64).reshape(-1, BLOCK // 8)
    tail = flat[whole:]
    words = tail[: len(tail) // 8 * 8].view(np.uint64)
    rest = int(words.sum()) + int(tail[len(words) * 8 :].sum())
    return int(blocks[::every].sum()) + rest

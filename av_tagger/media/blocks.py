"""Reusable memory for pictures: allocating it anew takes as long as decoding into it."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from av_tagger.clip import Images

SPARE = 2  # free blocks kept for the next window, or as many as were just in use together
RECENT = 64  # windows in which they were; other free blocks are returned to the system
LARGEST = 2.0  # a free block more than this many times too large is kept for a larger need
ROUND = 1 << 20  # bytes; sizes are rounded up to this, so that similar clips share blocks

Shape = tuple[int, ...]


@dataclass(eq=False)
class Block:
    """A memory buffer and its number of users: the array handed out, and the receiving process."""

    memory: Any  # anything with the buffer protocol
    size: int
    users: int = 0


class Blocks:
    """Allocates arrays; the memory of a deleted array is used for the next one that fits."""

    def __init__(self, make: Callable[[int], Block] | None = None) -> None:
        self._make = make or (lambda size: Block(np.empty(size, np.uint8), size))
        self._spare: list[Block] = []
        self._freed: deque[Block] = deque()  # by finalizers, which run in any thread at any time
        self._used = 0
        self._recent: deque[int] = deque(maxlen=RECENT)  # blocks in use with each of the last ones
        self._lock = threading.Lock()

    def allocate(self, shape: Shape) -> Images:
        return self._lend(shape)[0]

    def _lend(self, shape: Shape) -> tuple[Images, Block]:
        size = max(1, int(np.prod(shape, dtype=np.int64)))
        with self._lock:
            block = self._find(size)
            block.users = 1
        # Via a memoryview: views of a plain array would keep the buffer alive but not the array.
        array = np.frombuffer(memoryview(block.memory), np.uint8, count=size)
        weakref.finalize(array, self.done, block).atexit = False
        images: Images = array[: int(np.prod(shape, dtype=np.int64))].reshape(shape)
        return images, block

    def done(self, block: Block) -> None:
        """One user fewer; without users the block is free."""
        block.users -= 1
        if block.users == 0:
            self._freed.append(block)

    def _find(self, size: int) -> Block:
        while self._freed:
            self._spare.append(self._freed.popleft())
            self._used -= 1
        fitting = [
            block for block in self._spare if size <= block.size <= max(LARGEST * size, ROUND)
        ]
        if fitting:
            best = min(reversed(fitting), key=lambda block: block.size)  # the warmest
            self._spare.remove(best)
        self._used += 1
        self._recent.append(self._used)
        del self._spare[: -max(SPARE, max(self._recent) - self._used)]
        return best if fitting else self._make(-(-size // ROUND) * ROUND)

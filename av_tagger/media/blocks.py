"""Memory for pictures that is used again: to get it anew from the system takes as long as to decode what goes into it."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from av_tagger.clip import Images

SPARE = 2  # blocks that wait for the next window; what is freed beyond that goes back to the system
LARGEST = 2.0  # times what is needed: a larger block is kept for a larger need
ROUND = 1 << 20  # bytes: clips of nearly the same size share blocks

Shape = tuple[int, ...]


@dataclass(eq=False)
class Block:
    """A run of bytes, and how many still need it: the array that was handed out, and whoever it was sent to."""

    memory: Any  # anything with the buffer protocol
    size: int
    users: int = 0


class Blocks:
    """Hands out arrays; the memory of one that is gone serves the next one that fits."""

    def __init__(self, make: Callable[[int], Block] | None = None) -> None:
        self._make = make or (lambda size: Block(np.empty(size, np.uint8), size))
        self._spare: list[Block] = []
        self._freed: deque[Block] = (
            deque()
        )  # by finalizers, which may run in any thread at any point
        self._lock = threading.Lock()

    def allocate(self, shape: Shape) -> Images:
        return self._lend(shape)[0]

    def _lend(self, shape: Shape) -> tuple[Images, Block]:
        size = max(1, int(np.prod(shape, dtype=np.int64)))
        with self._lock:
            block = self._find(size)
            block.users = 1
        # Through a memoryview: an array upon an array would pass its base on to its own views, and be gone before them.
        array = np.frombuffer(memoryview(block.memory), np.uint8, count=size)
        weakref.finalize(array, self.done, block).atexit = False
        images: Images = array[: int(np.prod(shape, dtype=np.int64))].reshape(
            shape
        )  # a view of a view keeps `array` alive, too
        return images, block

    def done(self, block: Block) -> None:
        """One user fewer; the last one sets it free."""
        block.users -= 1
        if block.users == 0:
            self._freed.append(block)

    def _find(self, size: int) -> Block:
        while self._freed:
            self._spare.append(self._freed.popleft())
        fitting = [
            block for block in self._spare if size <= block.size <= max(LARGEST * size, ROUND)
        ]
        if fitting:
            best = min(fitting, key=lambda block: block.size)
            self._spare.remove(best)
        del self._spare[:-SPARE]
        return best if fitting else self._make(-(-size // ROUND) * ROUND)

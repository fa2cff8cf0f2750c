"""Requests for small JPEGs of frames in shared memory, beside the requests for windows."""

from __future__ import annotations

import math
import pickle
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from av_tagger.clip import ColourMatrix, Frames, Images, Rows
from av_tagger.media.transport import PackedFrames, SharedBlocks
from av_tagger.small_pictures import small_jpegs

LIMIT_SECONDS = 10.0  # without an answer: the process hangs, or is stopped
COUNT, LENGTH = struct.Struct("<H"), struct.Struct("<I")
LARGEST = 1 << 20  # bytes of a small JPEG; a damaged process may send anything


@dataclass(eq=False)
class _Answer:
    """What came for a request; until then the memory must not be used again."""

    memory: Images
    jpegs: list[bytes] | None = None
    received: bool = False


class PictureChannel:
    """The client of one `serve_pictures`, for any number of threads.

    Answers come in the order of the requests; the thread that waits for one receives those before
    it, too. A process that fails or takes too long is not asked again.
    """

    def __init__(self, channel: socket.socket) -> None:
        channel.settimeout(LIMIT_SECONDS)
        self.channel, self.closed = channel, False
        self._lock = threading.Lock()
        self._asked: deque[_Answer] = deque()

    def ask(
        self, memory: Images, name: int, packed: PackedFrames, rows: Rows
    ) -> Callable[[], list[bytes] | None]:
        """Request rows of frames in the block of that name, which `memory` keeps from being reused.

        The function that is returned waits for the JPEGs; None if none come.
        """
        answer = _Answer(memory)
        with self._exclusive():
            if not self.closed:
                self._asked.append(answer)
                request = pickle.dumps((name, packed.shape, packed.luma, rows.tolist()))
                self.channel.sendall(LENGTH.pack(len(request)) + request)
        return lambda: self._wait(answer)

    def close(self) -> None:
        """End all waiting; called from any thread."""
        self.closed = True
        with suppress(OSError):
            self.channel.shutdown(socket.SHUT_RDWR)  # wakes up a thread that reads
        with self._lock:
            self._give_up()

    def _wait(self, answer: _Answer) -> list[bytes] | None:
        with self._exclusive():
            while not answer.received and self._asked and not self.closed:
                first = self._asked[0]
                first.jpegs, first.received = self._receive(), True
                self._asked.popleft()
        return answer.jpegs

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One thread at a time. After a failure no answer can be told from that of another."""
        with self._lock:
            try:
                yield
            except (OSError, EOFError):
                self._give_up()
            except BaseException:
                self._give_up()
                raise

    def _give_up(self) -> None:
        self.closed = True
        self.channel.close()
        self._asked.clear()

    def _receive(self) -> list[bytes]:
        (count,) = COUNT.unpack(_receive(self.channel, COUNT.size))
        found = []
        for _ in range(count):
            (size,) = LENGTH.unpack(_receive(self.channel, LENGTH.size))
            if size > LARGEST:
                raise EOFError
            found.append(_receive(self.channel, size))
        return found


def _receive(channel: socket.socket, count: int) -> bytes:
    """Exactly so many bytes: the next request or answer may lie behind them."""
    found = bytearray()
    while len(found) < count:
        step = channel.recv(count - len(found))
        if not step:
            raise EOFError
        found += step
    return bytes(found)


def serve_pictures(channel: socket.socket, memory: SharedBlocks) -> None:
    """Answer requests until the client is gone."""
    with suppress(EOFError, OSError):
        while True:
            (size,) = LENGTH.unpack(_receive(channel, LENGTH.size))
            request = pickle.loads(_receive(channel, size))  # noqa: S301 - our own process
            jpegs = _encoded(memory, *request)
            parts = (LENGTH.pack(len(jpeg)) + jpeg for jpeg in jpegs)
            channel.sendall(COUNT.pack(len(jpegs)) + b"".join(parts))


def _encoded(
    memory: SharedBlocks, name: int, shape: tuple[int, ...], luma: Any, rows: list[int]
) -> list[bytes]:
    """The JPEGs; none after an error, which the client meets when it encodes them itself."""
    try:
        block = memory.shared[name]
        images = np.frombuffer(block.memory, np.uint8, math.prod(shape)).reshape(shape)
        colours = None if luma is None else ColourMatrix(*luma)
        return small_jpegs(Frames(images, np.zeros(shape[0]), luma=colours), np.array(rows))
    except Exception:  # noqa: BLE001 - the client encodes them itself
        return []

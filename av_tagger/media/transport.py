"""How decoded windows travel from a worker process to its owner: pictures by shared memory, the rest by pickle."""

from __future__ import annotations

import itertools
import mmap
import os
import pickle
import socket
import struct
import tempfile
import weakref
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from av_tagger.clip import Frames, Images, Media
from av_tagger.media.blocks import Block, Blocks, Shape

HEADER = struct.Struct("<QB")  # bytes of pickle that follow, and how many file descriptors come with them
POPULATE = getattr(mmap, "MAP_POPULATE", 0)  # Linux: all pages at once instead of a fault for every few


def anonymous_file() -> int:
    """Memory behind a file descriptor: it has no name, so nothing is left behind when a process dies."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("av_tagger")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


@dataclass(eq=False)
class SharedBlock(Block):
    """A block that another process can map by its descriptor."""

    descriptor: int = -1
    name: int = 0  # what the other process calls it when it needs it no longer


class SharedMemory(Blocks):
    """Hands out arrays that another process can map; a block is used again when both processes are done with it."""

    def __init__(self) -> None:
        super().__init__(self._new)
        self._names = itertools.count(1)
        self._here: weakref.WeakValueDictionary[int, Block] = weakref.WeakValueDictionary()  # by address
        self.away: dict[int, Block] = {}  # by name: what the other process still needs

    def _new(self, size: int) -> SharedBlock:
        descriptor = anonymous_file()
        os.ftruncate(descriptor, size)
        memory = mmap.mmap(descriptor, size)
        weakref.finalize(memory, os.close, descriptor).atexit = False
        return SharedBlock(memory, size, 0, descriptor, next(self._names))

    def allocate(self, shape: Shape) -> Images:
        images, block = self._lend(shape)
        self._here[_address(images)] = block
        return images

    def send_out(self, images: Images) -> SharedBlock:
        """The block of these pictures, from now on used by the other process, too; they are copied into one when they lie elsewhere."""
        block = self._here.get(_address(images)) if images.flags.c_contiguous else None
        copy = None
        if block is None:
            copy = self.allocate(images.shape)
            copy[...] = images
            block = self._here[_address(copy)]
        assert isinstance(block, SharedBlock)
        block.users += 1
        self.away[block.name] = block
        return block

    def take_back(self, names: Iterable[int]) -> None:
        for name in names:
            self.done(self.away.pop(name))


def map_images(descriptor: int, shape: Shape, name: int, released: deque[int]) -> Images:
    """The pictures behind a descriptor; when the last array that uses them goes, the block's name is put among the released."""
    size = int(np.prod(shape, dtype=np.int64))
    array = np.frombuffer(memoryview(mmap.mmap(descriptor, max(1, size), mmap.MAP_SHARED | POPULATE)), np.uint8)
    weakref.finalize(array, released.append, name).atexit = False
    return array[:size].reshape(shape)


def _address(images: Images) -> int:
    return int(images.__array_interface__["data"][0])


def send(channel: socket.socket, message: Any, memory: SharedMemory | None = None) -> None:
    descriptors: list[int] = []
    if isinstance(message, Media) and message.frames is not None and memory is not None:
        frames = message.frames
        block = memory.send_out(frames.images)
        descriptors.append(block.descriptor)
        message = (replace(message, frames=None), block.name, frames.images.shape, frames.times, frames.damaged)
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    socket.send_fds(channel, [HEADER.pack(len(body), len(descriptors))], descriptors)
    channel.sendall(body)


def receive(channel: socket.socket, released: deque[int] | None = None) -> Any:
    """The next message; EOFError when the other side is gone. `released` gets the names of blocks whose pictures are no longer used."""
    head, descriptors, _, _ = socket.recv_fds(channel, HEADER.size, 1)
    try:
        head += _exactly(channel, HEADER.size - len(head)) if head else b""
        if len(head) < HEADER.size:
            raise EOFError
        length, count = HEADER.unpack(head)
        message = pickle.loads(_exactly(channel, length))  # noqa: S301 - from our own worker, over a private socket
        if not count:
            return message
        media, name, shape, times, damaged = message
        images = map_images(descriptors[0], shape, name, deque() if released is None else released)
        return replace(media, frames=Frames(images, times, damaged))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _exactly(channel: socket.socket, count: int) -> bytes:
    parts = bytearray(count)
    view, got = memoryview(parts), 0
    while got < count:
        step = channel.recv_into(view[got:])
        if not step:
            raise EOFError
        got += step
    return bytes(parts)

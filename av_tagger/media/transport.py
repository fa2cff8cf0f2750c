"""How decoded windows travel from a worker process to its owner: pictures by shared memory that is mapped once, the rest by pickle."""

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

HEADER = struct.Struct(
    "<QB"
)  # bytes of pickle that follow, and how many file descriptors come with them


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
        self._here: weakref.WeakValueDictionary[int, Block] = (
            weakref.WeakValueDictionary()
        )  # by address
        self.away: dict[int, Block] = {}  # by name: what the other process still needs
        self.known: set[int] = set()  # names of the blocks that the other process has mapped
        self._gone: deque[int] = deque()  # by finalizers

    def _new(self, size: int) -> SharedBlock:
        descriptor, name = anonymous_file(), next(self._names)
        os.ftruncate(descriptor, size)
        memory = mmap.mmap(descriptor, size)
        weakref.finalize(memory, _give_up, descriptor, name, self._gone).atexit = False
        return SharedBlock(memory, size, 0, descriptor, name)

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

    def introduce(self, block: SharedBlock) -> list[int]:
        """The descriptor that the other process needs to map a block; none when it has mapped it."""
        new = block.name not in self.known
        self.known.add(block.name)
        return [block.descriptor] if new else []

    def farewell(self) -> list[int]:
        """Names of blocks that the other process has mapped, and that there are no more."""
        gone = [self._gone.popleft() for _ in range(len(self._gone))]
        mapped = [name for name in gone if name in self.known]
        self.known.difference_update(mapped)
        return mapped


def _give_up(descriptor: int, name: int, gone: deque[int]) -> None:
    os.close(descriptor)
    gone.append(name)


@dataclass(frozen=True)
class _Parcel:
    """A window whose pictures lie in a block."""

    media: Media  # without its frames
    name: int  # of the block
    shape: Shape
    rest: tuple[Any, ...]  # of the frames
    gone: list[int]


class Arrivals:
    """The blocks of one other process, mapped when they first come: to map the same memory for each window costs as much as to copy it."""

    def __init__(self) -> None:
        self.released: deque[int] = (
            deque()
        )  # names of blocks whose pictures nobody here uses any more: the other process may
        self._mapped: dict[int, mmap.mmap] = {}

    def unpack(self, parcel: _Parcel, descriptors: list[int]) -> Media:
        for name in parcel.gone:
            self._mapped.pop(name, None)  # pictures that somebody kept keep their own hold on it
        if descriptors:
            self._mapped[parcel.name] = mmap.mmap(descriptors[0], 0, mmap.MAP_SHARED)
        size = int(np.prod(parcel.shape, dtype=np.int64))
        array = np.frombuffer(memoryview(self._mapped[parcel.name]), np.uint8)
        weakref.finalize(array, self.released.append, parcel.name).atexit = False
        return replace(
            parcel.media, frames=Frames(array[:size].reshape(parcel.shape), *parcel.rest)
        )


def _address(images: Images) -> int:
    return int(images.__array_interface__["data"][0])


def send(channel: socket.socket, message: Any, memory: SharedMemory | None = None) -> None:
    descriptors: list[int] = []
    if isinstance(message, Media) and message.frames is not None and memory is not None:
        frames = message.frames
        block = memory.send_out(frames.images)
        descriptors = memory.introduce(block)
        rest = (frames.times, frames.damaged, frames.luma)
        message = _Parcel(
            replace(message, frames=None), block.name, frames.images.shape, rest, memory.farewell()
        )
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    socket.send_fds(channel, [HEADER.pack(len(body), len(descriptors))], descriptors)
    channel.sendall(body)


def receive(channel: socket.socket, arrivals: Arrivals | None = None) -> Any:
    """The next message; EOFError when the other side is gone."""
    head, descriptors, _, _ = socket.recv_fds(channel, HEADER.size, 1)
    try:
        head += _exactly(channel, HEADER.size - len(head)) if head else b""
        if len(head) < HEADER.size:
            raise EOFError
        message = pickle.loads(_exactly(channel, HEADER.unpack(head)[0]))  # noqa: S301 - from our own worker, over a private socket
        return (
            (arrivals or Arrivals()).unpack(message, descriptors)
            if isinstance(message, _Parcel)
            else message
        )
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

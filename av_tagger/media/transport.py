"""How decoded windows travel from a worker process to its owner: pictures by shared memory, the rest by pickle."""

from __future__ import annotations

import mmap
import os
import pickle
import socket
import struct
import tempfile
import weakref
from dataclasses import replace
from typing import Any

import numpy as np

from av_tagger.clip import Frames, Images, Media

HEADER = struct.Struct("<QB")  # bytes of pickle that follow, and how many file descriptors come with them
Shape = tuple[int, ...]


def anonymous_file() -> int:
    """Memory behind a file descriptor: it has no name, so nothing is left behind when a process dies."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("av_tagger")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def map_images(descriptor: int, shape: Shape) -> Images:
    """The pictures behind a descriptor; the memory goes when the last array that uses it goes."""
    size = int(np.prod(shape, dtype=np.int64))
    block = mmap.mmap(descriptor, max(1, size))
    return np.frombuffer(block, np.uint8, count=size).reshape(shape)


class SharedMemory:
    """Hands out arrays that another process can map, and knows the descriptor of each while it lives."""

    def __init__(self) -> None:
        self.descriptors: dict[int, int] = {}

    def allocate(self, shape: Shape) -> Images:
        descriptor = anonymous_file()
        os.ftruncate(descriptor, max(1, int(np.prod(shape, dtype=np.int64))))
        images = map_images(descriptor, shape)
        address = _address(images)
        self.descriptors[address] = descriptor
        weakref.finalize(_owner(images), self._forget, address)
        return images

    def _forget(self, address: int) -> None:
        os.close(self.descriptors.pop(address))

    def descriptor_of(self, images: Images) -> tuple[int, Images]:
        """The descriptor of these pictures, copied into shared memory first when they lie elsewhere."""
        known = self.descriptors.get(_address(images))
        if known is not None:
            return known, images
        copy = self.allocate(images.shape)
        copy[...] = images
        return self.descriptors[_address(copy)], copy


def _address(images: Images) -> int:
    return int(images.__array_interface__["data"][0])


def _owner(array: Any) -> Any:
    """The map at the bottom of a pile of views."""
    while not isinstance(array, mmap.mmap):
        array = array.obj if isinstance(array, memoryview) else array.base
    return array


def send(channel: socket.socket, message: Any, memory: SharedMemory | None = None) -> None:
    descriptors: list[int] = []
    keep: Any = None  # a copy made for the journey must live until it is sent
    if isinstance(message, Media) and message.frames is not None and memory is not None:
        descriptor, keep = memory.descriptor_of(message.frames.images)
        descriptors.append(descriptor)
        shape = message.frames.images.shape
        message = (replace(message, frames=None), shape, message.frames.times, message.frames.damaged)
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    socket.send_fds(channel, [HEADER.pack(len(body), len(descriptors))], descriptors)
    channel.sendall(body)
    del keep


def receive(channel: socket.socket) -> Any:
    """The next message; EOFError when the other side is gone."""
    head, descriptors, _, _ = socket.recv_fds(channel, HEADER.size, 1)
    try:
        head += _exactly(channel, HEADER.size - len(head)) if head else b""
        if len(head) < HEADER.size:
            raise EOFError
        length, count = HEADER.unpack(head)
        message = pickle.loads(_exactly(channel, length))  # noqa: S301 - from our own worker, over a private socket
        if not count:
            return message
        media, shape, times, damaged = message
        return replace(media, frames=Frames(map_images(descriptors[0], shape), times, damaged))
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

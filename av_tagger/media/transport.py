"""Windows between processes: pictures and sound in shared memory, mapped once."""

from __future__ import annotations

import itertools
import math
import mmap
import os
import pickle
import socket
import struct
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from av_tagger.clip import Clip, ColourMatrix, Encode, Frames, Images, Media, Rows, Waveform
from av_tagger.media.blocks import Block, Blocks, Shape
from av_tagger.systems import anonymous_file, receive_with_files, send_with_files

LARGE, MOST_ARRAYS = 1 << 16, 255  # bytes of an array that is worth a message of its own
FIRST = 1 << 13  # bytes that are received at once: a window whose arrays are in a block
SAMPLE, ALIGNED = 4, 64  # bytes of a sample, and where samples in a block begin
PageLock = Callable[[int, int], Callable[[], object] | None]  # address, bytes -> its undo
HEADER = struct.Struct("<QBB")  # bytes of pickle that follow, file descriptors, arrays
LENGTH = struct.Struct("<Q")  # bytes of an array that follows the pickle


@dataclass(eq=False)
class SharedBlock(Block):
    """A block that the receiver maps by its file descriptor."""

    descriptor: int = -1
    name: int = 0  # sent back by the receiver when it is done with the block


class SharedBlocks(Blocks):
    """The sender's blocks: each is reused when both processes are done with it."""

    def __init__(self) -> None:
        super().__init__(self._new)
        self._names = itertools.count(1)
        # Blocks by the address of their memory.
        self._here: weakref.WeakValueDictionary[int, Block] = weakref.WeakValueDictionary()
        self.shared: dict[int, Block] = {}  # by name: used by the receiver
        self.known: set[int] = set()  # names of the blocks that the receiver has mapped
        self._gone: deque[int] = deque()  # names of freed blocks, filled by finalizers

    def _new(self, size: int) -> SharedBlock:
        descriptor, name = anonymous_file(), next(self._names)
        os.ftruncate(descriptor, size)
        memory = mmap.mmap(descriptor, size)
        weakref.finalize(memory, _close_block, descriptor, name, self._gone).atexit = False
        return SharedBlock(memory, size, 0, descriptor, name)

    def allocate(self, shape: Shape) -> Images:
        images, block = self._lend(shape)
        self._here[_address(images)] = block
        return images

    def share(self, images: Images) -> SharedBlock:
        """The block of these pictures, now also used by the receiver; copied into one if needed."""
        block = self._here.get(_address(images)) if images.flags.c_contiguous else None
        copy = None
        if block is None:
            copy = self.allocate(images.shape)
            copy[...] = images
            block = self._here[_address(copy)]
        assert isinstance(block, SharedBlock)
        block.users += 1
        self.shared[block.name] = block
        return block

    def take_back(self, names: Iterable[int]) -> None:
        for name in names:
            self.done(self.shared.pop(name))

    def descriptors_for(self, block: SharedBlock) -> list[int]:
        """The descriptor that the receiver needs to map a block; none if it has mapped it."""
        new = block.name not in self.known
        self.known.add(block.name)
        return [block.descriptor] if new else []

    def names_to_unmap(self) -> list[int]:
        """Names of freed blocks that the receiver still has mapped."""
        gone = [self._gone.popleft() for _ in range(len(self._gone))]
        mapped = [name for name in gone if name in self.known]
        self.known.difference_update(mapped)
        return mapped


def _close_block(descriptor: int, name: int, gone: deque[int]) -> None:
    os.close(descriptor)
    gone.append(name)


class _PackedSound(NamedTuple):
    """Samples in the block of a window."""

    offset: int  # bytes from the start of the block
    length: int  # samples
    rate: int
    start_seconds: float
    finite: bool


class PackedFrames(NamedTuple):
    """Pictures at the start of the block of a window; small arrays as bytes."""

    shape: Shape
    times: bytearray
    damaged: int
    luma: tuple[float, float, bool] | None
    first_equal: bytearray | None


# The memory of a window, the name of its block, its frames, rows of them -> see `Encode`.
AskJpegs = Callable[[Images, int, PackedFrames, Rows], Callable[[], list[bytes] | None]]


class _PackedWindow(NamedTuple):
    """A window whose arrays are in a block; numbers and bytes only, which pickle quickly."""

    name: int  # of the block
    gone: list[int]  # names of blocks to unmap
    clip: tuple[str, float, float | None, str]
    span: tuple[float, float]
    sound: _PackedSound | Waveform | None
    frames: PackedFrames | None
    rest: tuple[Any, ...]  # the other fields of the window


class LockedMap(mmap.mmap):
    """A mapping whose page lock, if it has one, ends before its memory is unmapped."""

    unlock: Callable[[], object] | None = None

    def __del__(self) -> None:
        if self.unlock is not None:
            self.unlock()


class MappedBlocks:
    """The receiver's blocks, each mapped once: mapping per window costs as much as copying.

    With `page_lock` each is also page-locked once, so that a GPU reads pictures where they are.
    With `ask` frames can be encoded by the sender (see `Frames.encode`).
    """

    def __init__(self, page_lock: PageLock | None = None, ask: AskJpegs | None = None) -> None:
        self.page_lock, self.ask = page_lock, ask
        self.released: deque[int] = deque()  # names of blocks that the sender may reuse
        self._mapped: dict[int, LockedMap] = {}

    def unpack(self, packed: _PackedWindow, descriptors: list[int], clip: Clip | None) -> Media:
        """The window; `clip` is the one that was asked for: it need not be made again."""
        for name in packed.gone:
            self._mapped.pop(name, None)  # arrays that still exist keep the mapping alive
        if descriptors:
            self._mapped[packed.name] = self._map(descriptors[0])
        memory = np.frombuffer(memoryview(self._mapped[packed.name]), np.uint8)
        weakref.finalize(memory, self.released.append, packed.name).atexit = False
        path, start, end, source = packed.clip
        return Media(
            clip or Clip(Path(path), start, end, source),
            *packed.span,
            _waveform(packed.sound, memory),
            self._frames(packed, memory),
            *packed.rest,
        )

    def _frames(self, packed: _PackedWindow, memory: Images) -> Frames | None:
        frames = packed.frames
        if frames is None:
            return None
        encode = None if self.ask is None else partial(self.ask, memory, packed.name, frames)
        return _frames(frames, memory, encode)

    def _map(self, descriptor: int) -> LockedMap:
        mapped = LockedMap(descriptor, 0)
        if self.page_lock is not None:
            address = _address(np.frombuffer(mapped, np.uint8))
            mapped.unlock = self.page_lock(address, len(mapped))
        return mapped


def _waveform(sound: _PackedSound | Waveform | None, memory: Images) -> Waveform | None:
    if not isinstance(sound, _PackedSound):
        return sound
    end = sound.offset + SAMPLE * sound.length
    samples = memory[sound.offset : end].view(np.float32)
    return Waveform(samples, sound.rate, sound.start_seconds, sound.finite)


def _frames(packed: PackedFrames, memory: Images, encode: Encode | None) -> Frames:
    return Frames(
        memory[: math.prod(packed.shape)].reshape(packed.shape),
        np.frombuffer(packed.times, np.float64),
        packed.damaged,
        None if packed.luma is None else ColourMatrix(*packed.luma),
        None if packed.first_equal is None else np.frombuffer(packed.first_equal, np.int64),
        encode,
    )


def _address(images: Images) -> int:
    return int(images.__array_interface__["data"][0])


def _pack(media: Media, memory: SharedBlocks) -> tuple[_PackedWindow, SharedBlock] | None:
    """The window with its arrays in one block: samples lie behind the pictures.

    None for a window without pictures whose samples are so few that they are simply pickled.
    """
    frames, waveform = media.frames, media.waveform
    if frames is None and (waveform is None or waveform.samples.nbytes < LARGE):
        return None
    if frames is not None:
        block = memory.share(frames.images)
    elif waveform is not None:
        block = memory.share(memory.allocate((waveform.samples.nbytes,)))
    offset = 0 if frames is None else -(-frames.images.nbytes // ALIGNED) * ALIGNED
    clip = media.clip
    rest = (media.notes, media.remarks, media.total_seconds, media.is_last)
    packed = _PackedWindow(
        block.name,
        memory.names_to_unmap(),
        (str(clip.path), clip.start_seconds, clip.end_seconds, clip.source),
        (media.start_seconds, media.end_seconds),
        None if waveform is None else _put_sound(waveform, block, offset),
        None if frames is None else _pack_frames(frames),
        rest,
    )
    return packed, block


def _put_sound(waveform: Waveform, block: Block, offset: int) -> _PackedSound | Waveform:
    """Copy the samples into the block; where they do not fit they are sent as they are."""
    samples = waveform.samples
    if offset + samples.nbytes > block.size:
        return waveform
    np.frombuffer(block.memory, np.float32, len(samples), offset)[:] = samples
    rest = waveform.rate, waveform.start_seconds, waveform.finite
    return _PackedSound(offset, len(samples), *rest)


def _pack_frames(frames: Frames) -> PackedFrames:
    luma, first = frames.luma, frames.first_equal
    return PackedFrames(
        frames.images.shape,
        bytearray(frames.times.tobytes()),
        frames.damaged,
        None if luma is None else (luma.red, luma.blue, luma.full),
        None if first is None else bytearray(first.tobytes()),
    )


def send(channel: socket.socket, message: Any, memory: SharedBlocks | None = None) -> None:
    descriptors: list[int] = []
    if isinstance(message, Media) and memory is not None:
        packed = _pack(message, memory)
        if packed is not None:
            message, block = packed
            descriptors = memory.descriptors_for(block)
    arrays: list[pickle.PickleBuffer] = []  # sent from where they are, not through the pickle

    def keep_in_band(buffer: pickle.PickleBuffer) -> bool:
        large = buffer.raw().nbytes >= LARGE and len(arrays) < MOST_ARRAYS
        if large:
            arrays.append(buffer)
        return not large

    body = pickle.dumps(message, protocol=5, buffer_callback=keep_in_band)
    head = HEADER.pack(len(body), len(descriptors), len(arrays))
    # At once: the receiver wakes up only once, and finds the whole message.
    send_with_files(channel, head + body, descriptors)
    for array in arrays:
        channel.sendall(LENGTH.pack(array.raw().nbytes))
        channel.sendall(array.raw())


def receive(
    channel: socket.socket, mapped: MappedBlocks | None = None, clip: Clip | None = None
) -> Any:
    """The next message; EOFError when the other process is gone.

    `clip` is what was asked for, if anything: a window gets it instead of a copy.
    """
    first, descriptors = receive_with_files(channel, FIRST)  # of one message: they take turns
    try:
        if not first:
            raise EOFError
        rest = _Incoming(channel, memoryview(first))
        size, _, count = HEADER.unpack(rest.take(HEADER.size))
        body = rest.take(size)
        arrays = [rest.take(*LENGTH.unpack(rest.take(LENGTH.size))) for _ in range(count)]
        message = pickle.loads(body, buffers=arrays)  # noqa: S301 - our own process
        return (
            (mapped or MappedBlocks()).unpack(message, descriptors, clip)
            if isinstance(message, _PackedWindow)
            else message
        )
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


class _Incoming:
    """The bytes of a message: those that have been received, then those of the channel."""

    def __init__(self, channel: socket.socket, received: memoryview) -> None:
        self.channel, self.received = channel, received

    def take(self, count: int) -> memoryview | bytearray:
        """Exactly so many bytes; writable if they are more than the first part of a message."""
        found, self.received = self.received[:count], self.received[count:]
        if len(found) == count:
            return found
        parts = bytearray(count)
        view, got = memoryview(parts), len(found)
        view[:got] = found
        while got < count:
            step = self.channel.recv_into(view[got:])
            if not step:
                raise EOFError
            got += step
        return parts

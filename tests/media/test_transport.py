"""Windows between processes: pictures in shared memory, mapped once; everything else pickled."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip, ColourMatrix, Frames, Media, Waveform
from av_tagger.media import transport
from av_tagger.media.transport import MappedBlocks, SharedBlocks, receive, send

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    server, client = socket.socketpair()
    with server, client:
        yield server, client


def address(images: np.ndarray) -> int:
    return int(images.__array_interface__["data"][0])


def media_with(images: np.ndarray, luma: ColourMatrix | None = None) -> Media:
    frames = Frames(images, np.arange(len(images), dtype=np.float64), damaged=1, luma=luma)
    waveform = Waveform(np.full(5, 0.5, np.float32), 5)
    return Media(Clip(Path("a.mp4")), 0.0, 1.0, waveform, frames, ("a note",), ("a remark",))


def test_plain_messages_pass_unchanged(pair: Pair) -> None:
    server, client = pair
    for message in (("open", 1.5, []), None, {"a": b"x" * 100_000}):
        send(server, message)
        assert receive(client) == message


def test_a_window_arrives_whole(pair: Pair) -> None:
    server, client = pair
    memory, mapped = SharedBlocks(), MappedBlocks()
    images = memory.allocate((2, 6, 4))
    images[...] = np.arange(48).reshape(2, 6, 4)
    luma = ColourMatrix(0.2126, 0.0722, full=True)
    send(server, media_with(images, luma), memory)
    found = receive(client, mapped)
    assert found.frames is not None
    np.testing.assert_array_equal(found.frames.images, images)
    np.testing.assert_array_equal(found.frames.times, [0.0, 1.0])
    assert (found.frames.damaged, found.frames.luma) == (1, luma)
    assert (found.notes, found.remarks) == (("a note",), ("a remark",))
    images[...] = 9
    assert (found.frames.images == 9).all(), "the same memory, not a copy"


def test_pictures_from_elsewhere_are_copied_into_shared_memory(pair: Pair) -> None:
    server, client = pair
    memory, mapped = SharedBlocks(), MappedBlocks()
    for images in (np.full((2, 4, 4, 3), 3, np.uint8), memory.allocate((4, 4, 4, 3))[::2]):
        images[...] = 5
        send(server, media_with(images), memory)
        found = receive(client, mapped)
        assert found.frames is not None
        assert (found.frames.images == 5).all()
        assert found.frames.images.shape == (2, 4, 4, 3)


def test_a_window_without_pictures_needs_no_memory(pair: Pair) -> None:
    server, client = pair
    memory = SharedBlocks()
    plain = Media(Clip(Path("a.wav")), 0.0, 1.0, Waveform(np.zeros(5, np.float32), 5), None)
    send(server, plain, memory)
    assert receive(client).frames is None
    assert memory.shared == {}


def test_the_receiver_says_when_it_is_done_with_a_block(pair: Pair) -> None:
    server, client = pair
    memory, mapped = SharedBlocks(), MappedBlocks()
    send(server, media_with(memory.allocate((2, 4, 4, 3))), memory)
    found = receive(client, mapped)
    (name,) = memory.shared
    assert list(mapped.released) == []
    view = found.frames.images[1:]
    del found
    gc.collect()
    assert list(mapped.released) == [], "a view keeps the block"
    del view
    gc.collect()
    assert list(mapped.released) == [name]


def test_a_block_is_mapped_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    server, client = pair
    memory, mapped = SharedBlocks(), MappedBlocks()
    calls: list[int] = []
    real = transport.mmap.mmap

    def counted(descriptor: int, *rest: int) -> object:
        calls.append(descriptor)
        return real(descriptor, *rest)

    images = memory.allocate((2, 4, 4, 3))
    monkeypatch.setattr(transport.mmap, "mmap", counted)
    for _ in range(3):
        send(server, media_with(images), memory)
        receive(client, mapped)
        gc.collect()
        memory.take_back(mapped.released)
        mapped.released.clear()
    assert len(calls) == 1


def test_sent_memory_waits_for_both_processes() -> None:
    memory = SharedBlocks()
    images = memory.allocate((2, 300, 400, 3))
    first = address(images)
    block = memory.share(images)
    del images
    other = memory.allocate((2, 300, 400, 3))
    assert address(other) != first, "the other process still looks at it"
    memory.take_back([block.name])
    del block
    assert address(memory.allocate((2, 300, 400, 3))) == first
    assert memory.shared == {}


def test_a_descriptor_is_sent_once_per_block() -> None:
    memory = SharedBlocks()
    block = memory.share(memory.allocate((2, 300, 400, 3)))
    assert memory.descriptors_for(block) == [block.descriptor]
    assert memory.descriptors_for(block) == []
    assert memory.names_to_unmap() == []
    memory.take_back([block.name])
    name = block.name
    unsent = memory.allocate((2, 300, 400, 3))
    del block, unsent
    kept = [memory.allocate((n, 1000, 1000, 3)) for n in (9, 19, 39, 79)]  # push out what waits
    del kept
    memory.allocate((200, 1000, 1000, 3))
    assert memory.names_to_unmap() == [name], "a block that was never sent is not unmapped"


def test_the_end_of_the_other_side_is_an_end_of_file(pair: Pair) -> None:
    server, client = pair
    server.close()
    with pytest.raises(EOFError):
        receive(client)


def test_half_a_message_is_an_end_of_file(pair: Pair) -> None:
    server, client = pair
    server.sendall(transport.HEADER.pack(100, 0) + b"only ten b")
    server.close()
    with pytest.raises(EOFError):
        receive(client)


def test_descriptors_do_not_pile_up(pair: Pair) -> None:
    server, client = pair
    memory, mapped = SharedBlocks(), MappedBlocks()
    images = memory.allocate((2, 4, 4, 3))

    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counts the descriptors of this very call, too

    before = open_files()
    for _ in range(5):
        send(server, media_with(images), memory)
        receive(client, mapped)
    assert open_files() <= before + 1, "mmap keeps one of its own"

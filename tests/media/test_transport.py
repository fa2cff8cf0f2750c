"""Windows between processes: pictures in shared memory, mapped once; everything else pickled."""

from __future__ import annotations

import gc
import os
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip, ColourMatrix, Frames, Media, Waveform
from av_tagger.media import transport
from av_tagger.media.blocks import ROUND
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
    times, first = np.arange(len(images), dtype=np.float64), np.zeros(len(images), np.int64)
    frames = Frames(images, times, damaged=1, luma=luma, first_equal=first)
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
    np.testing.assert_array_equal(found.frames.first_equal, [0, 0])  # type: ignore[arg-type]
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
    real = transport.LockedMap

    def counted(descriptor: int, *rest: int) -> object:
        calls.append(descriptor)
        return real(descriptor, *rest)

    images = memory.allocate((2, 4, 4, 3))
    monkeypatch.setattr(transport, "LockedMap", counted)
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
    server.sendall(transport.HEADER.pack(100, 0, 0) + b"only ten b")
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


class Locks:
    """Stands in for the page locks of a GPU's driver."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.held: dict[int, int] = {}  # bytes by address
        self.refuse, self.calls = refuse, 0

    def lock(self, where: int, size: int) -> Callable[[], object] | None:
        self.calls += 1
        if self.refuse:
            return None
        assert where not in self.held
        self.held[where] = size
        return lambda: self.held.pop(where)


def pass_on(pair: Pair, memory: SharedBlocks, mapped: MappedBlocks, size: int) -> Media:
    """A window of that many bytes, as the receiver gets it."""
    images = memory.allocate((1, size // 3, 1, 3))
    send(pair[0], media_with(images), memory)
    del images
    found: Media = receive(pair[1], mapped)
    return found


def test_memory_is_page_locked_once_and_only_while_it_is_mapped(pair: Pair) -> None:
    locks, memory = Locks(), SharedBlocks()
    mapped = MappedBlocks(locks.lock)
    for _ in range(5):
        found = pass_on(pair, memory, mapped, 3000)
        assert found.frames is not None
        assert list(locks.held) == [address(found.frames.images)]
        del found
        gc.collect()
        memory.take_back([mapped.released.popleft()])
    assert locks.calls == 1, "the same block every time"
    del mapped
    gc.collect()
    assert locks.held == {}


def test_pictures_outlive_the_channel_and_stay_locked(pair: Pair) -> None:
    """A decoder that was replaced: its last window is still with the networks."""
    locks, memory = Locks(), SharedBlocks()
    mapped = MappedBlocks(locks.lock)
    found = pass_on(pair, memory, mapped, 3000)
    del mapped
    gc.collect()
    assert len(locks.held) == 1
    assert found.frames is not None
    assert found.frames.images.shape == (1, 1000, 1, 3)
    del found
    gc.collect()
    assert locks.held == {}


def test_memory_that_cannot_be_locked_works_as_well(pair: Pair) -> None:
    locks = Locks(refuse=True)
    found = pass_on(pair, SharedBlocks(), MappedBlocks(locks.lock), 3000)
    assert found.frames is not None
    assert locks.calls == 1


def test_large_arrays_arrive_whole_and_writable(pair: Pair) -> None:
    """They are larger than what the socket holds, so both ends work at once."""
    server, client = pair
    samples = np.arange(500_000, dtype=np.float32)
    media = Media(Clip(Path("a.mp4")), 0.0, 1.0, Waveform(samples, 5), None)
    for message in (media, {"two": [samples, samples[::2], "text"]}):
        sender = threading.Thread(target=send, args=(server, message, SharedBlocks()))
        sender.start()
        found = receive(client)
        sender.join()
        arrays = [found.waveform.samples] if isinstance(found, Media) else found["two"][:2]
        for array, sent in zip(arrays, [samples, samples[::2]], strict=False):
            np.testing.assert_array_equal(array, sent)
            assert array.flags.writeable


def test_an_end_within_an_array_is_an_end_of_file(pair: Pair) -> None:
    server, client = pair
    body = pickle.dumps(1)
    head = transport.HEADER.pack(len(body), 0, 1) + body
    server.sendall(head + transport.LENGTH.pack(100) + b"only ten b")
    server.close()
    with pytest.raises(EOFError):
        receive(client)


def test_sound_lies_behind_the_pictures_in_the_same_block(pair: Pair) -> None:
    server, client = pair
    memory, mapped = SharedBlocks(), MappedBlocks()
    images = memory.allocate((3, 10, 7, 3))  # an odd number of bytes
    images[...] = 7
    samples = np.arange(100_000, dtype=np.float32)
    waveform = Waveform(samples, 8000, 2.5, finite=True)
    media = replace(media_with(images), waveform=waveform, is_last=True)
    send(server, media, memory)
    found = receive(client, mapped)
    (block,) = memory.shared.values()
    assert isinstance(found, Media)
    assert found.is_last
    assert found.frames is not None
    assert found.waveform is not None
    rest = (found.waveform.rate, found.waveform.start_seconds, found.waveform.finite)
    assert rest == (8000, 2.5, True)
    np.testing.assert_array_equal(found.waveform.samples, samples)
    np.testing.assert_array_equal(found.frames.images, images)
    own = np.frombuffer(block.memory, np.uint8)  # type: ignore[call-overload]
    own[:] = 0
    assert not found.waveform.samples.any(), "the same memory, not a copy"
    sound = found.waveform
    del found, own
    gc.collect()
    assert list(mapped.released) == [], "the sound still lies there"
    assert not sound.samples.any()


def test_sound_alone_comes_in_a_block_too(pair: Pair) -> None:
    server, client = pair
    memory, mapped = SharedBlocks(), MappedBlocks()
    samples = np.linspace(-1, 1, 160_000).astype(np.float32)
    send(server, replace(media_with(np.zeros((1, 2, 2, 3), np.uint8)), frames=None), memory)
    assert receive(client, mapped).waveform.samples.tolist() == [0.5] * 5
    assert memory.shared == {}, "a few samples are simply sent"
    plain = Media(Clip(Path("a.wav")), 0.0, 10.0, Waveform(samples[::2], 8000), None)
    send(server, plain, memory)
    found = receive(client, mapped)
    np.testing.assert_array_equal(found.waveform.samples, samples[::2])
    assert len(memory.shared) == 1
    del found
    gc.collect()
    assert len(mapped.released) == 1


def test_sound_that_does_not_fit_behind_the_pictures_is_sent(pair: Pair) -> None:
    server, client = pair
    memory, mapped = SharedBlocks(), MappedBlocks()
    images = memory.allocate((1, ROUND // 3, 1, 3))  # nearly the whole block
    samples = np.ones(1000, np.float32)
    send(server, replace(media_with(images), waveform=Waveform(samples, 100)), memory)
    found = receive(client, mapped)
    np.testing.assert_array_equal(found.waveform.samples, samples)


def test_a_window_gets_the_clip_that_was_asked_for(pair: Pair) -> None:
    server, client = pair
    memory, mapped = SharedBlocks(), MappedBlocks()
    clip = Clip(Path("b.mp4"), 1.0, 3.0, "https://example.org/b.mp4")
    media = replace(media_with(memory.allocate((1, 4, 4, 3))), clip=clip)
    for asked in (None, clip):
        send(server, media, memory)
        assert receive(client, mapped, asked).clip == clip
    send(server, media, memory)
    assert receive(client, mapped, clip).clip is clip

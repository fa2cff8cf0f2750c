"""A decoder that hangs or dies costs its file, and nothing else."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.errors import MediaError, TimedOut, UsageError
from av_tagger.media import (
    GuardedWorker,
    close_workers,
    make_backend,
    open_backend,
    open_media,
    probe,
    warm_up,
)
from av_tagger.media.blocks import SPARE, Blocks
from av_tagger.media.transport import SharedMemory
from av_tagger.protocols import DecodeRequest, MediaBackend
from tests import ROOT
from tests.assets import make_audio, make_video

CLIP = Clip(Path("some clip.mp4"))


@pytest.fixture(autouse=True)
def no_workers_left() -> Iterator[None]:
    yield
    close_workers()


def fake(name: str) -> GuardedWorker:
    return GuardedWorker(name, factory="tests.fakes:make_backend", search=[ROOT])


@pytest.mark.parametrize("name", ["good", "copied"])
def test_windows_arrive_as_they_were_made(name: str) -> None:
    with fake(name) as worker:
        found = list(worker.windows(CLIP, DecodeRequest(), 20))
    assert [m.start_seconds for m in found] == [0.0, 1.0, 2.0]
    for number, media in enumerate(found):
        assert media.frames is not None
        assert media.waveform is not None
        assert media.frames.images.shape == (2, 4, 6, 3)
        assert (media.frames.images == number + 1).all()
        assert (media.waveform.samples == number).all()
        assert int(media.notes[0]) != os.getpid()


@pytest.mark.parametrize("name", ["hang", "hang with lock"])
def test_a_hang_ends_at_the_limit(name: str) -> None:
    with fake(name) as worker:
        worker.call("tests.fakes:add", 2, 3, path=CLIP.path)  # a slow start is no hang
        windows = worker.windows(CLIP, DecodeRequest(), 1.0)
        next(windows)
        begin = time.monotonic()
        with pytest.raises(TimedOut, match=r"some clip\.mp4: took longer than 1 s"):
            next(windows)
        assert time.monotonic() - begin < 20
        worker.backend = "good"
        assert len(list(worker.windows(CLIP, DecodeRequest(), 20))) == 3, "the worker was replaced"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("crash", "its decoder crashed .signal SIGSEGV."),
        ("exit", "its decoder crashed .exit status 3."),
        ("memory", "needs more memory"),
        ("error", "is broken; repair it"),
    ],
)
def test_a_death_costs_one_file(name: str, words: str) -> None:
    with fake(name) as worker:
        with pytest.raises(MediaError, match=rf"some clip\.mp4: {words}"):
            list(worker.windows(CLIP, DecodeRequest(), 20))
        worker.backend = "good"
        assert len(list(worker.windows(CLIP, DecodeRequest(), 20))) == 3


def test_an_abandoned_file_does_not_answer_for_the_next() -> None:
    with fake("good") as worker:
        next(worker.windows(CLIP, DecodeRequest(), 20))
        other = Clip(Path("other.mp4"))
        assert [m.clip.name for m in worker.windows(other, DecodeRequest(), 20)] == [
            "other.mp4"
        ] * 3


def test_any_function_can_be_guarded() -> None:
    with fake("good") as worker:
        assert worker.call("tests.fakes:add", 2, 3, path=CLIP.path, limit_seconds=20) == 5


def address(images: np.ndarray) -> int:
    return int(images.__array_interface__["data"][0])


@pytest.mark.parametrize("make", [Blocks, SharedMemory])
def test_memory_is_used_again_when_nobody_looks_at_it(make: type[Blocks]) -> None:
    memory = make()
    images = memory.allocate((2, 300, 400, 3))
    images[...] = 7
    first, view = address(images), images[1:]
    del images
    gc.collect()
    other = memory.allocate((2, 300, 400, 3))
    other[...] = 8
    assert address(other) != first, "a view of a part keeps the whole"
    assert (view == 7).all()
    del view
    assert address(memory.allocate((2, 299, 400, 3))) == first
    assert (other == 8).all()


def test_a_much_larger_block_is_kept_for_a_larger_need() -> None:
    memory = Blocks()
    large = address(memory.allocate((30, 600, 400, 3)))
    small = memory.allocate((3, 600, 400, 3))
    assert address(small) != large
    assert address(memory.allocate((29, 600, 400, 3))) == large


def test_few_blocks_wait() -> None:
    memory = Blocks()
    kept = [memory.allocate((1, 1000, 1000, 3)) for _ in range(5)]
    addresses = {address(images) for images in kept}
    del kept
    again = [memory.allocate((1, 1000, 1000, 3)) for _ in range(2)]
    assert {address(images) for images in again} <= addresses
    assert len(memory._spare) == SPARE - 1, "one more than waited was taken"


def test_sent_memory_waits_for_both_processes() -> None:
    memory = SharedMemory()
    images = memory.allocate((2, 300, 400, 3))
    first = address(images)
    block = memory.send_out(images)
    del images
    other = memory.allocate((2, 300, 400, 3))
    assert address(other) != first, "its new owner still looks at it"
    memory.take_back([block.name])
    del block
    assert address(memory.allocate((2, 300, 400, 3))) == first
    assert memory.away == {}


def test_a_block_is_mapped_once_until_it_is_gone() -> None:
    memory = SharedMemory()
    block = memory.send_out(memory.allocate((2, 300, 400, 3)))
    assert memory.introduce(block) == [block.descriptor]
    assert memory.introduce(block) == []
    assert memory.farewell() == []
    memory.take_back([block.name])
    name = block.name
    unsent = memory.allocate((2, 300, 400, 3))
    del block, unsent
    kept = [
        memory.allocate((n, 1000, 1000, 3)) for n in (9, 19, 39, 79)
    ]  # too large for the blocks that wait
    del kept
    memory.allocate((200, 1000, 1000, 3))
    assert memory.farewell() == [name], "what was never sent needs no farewell"


def test_windows_that_are_kept_keep_their_pictures(tmp_path: Path) -> None:
    """Many windows of many files, some kept: no block is written to while somebody looks at it."""
    path = make_video(tmp_path / "a.mp4", seconds=3.0)
    request = DecodeRequest(short_side=32, window_seconds=0.5, overlap_seconds=0.1)
    plain = [
        m.frames.images.copy()
        for m in make_backend("pyav").windows(Clip(path), request)
        if m.frames is not None
    ]
    with GuardedWorker() as worker:
        kept = [m for _ in range(2) for m in worker.windows(Clip(path), request)]
        for number, media in enumerate(worker.windows(Clip(path), request)):
            assert media.frames is not None
            np.testing.assert_array_equal(media.frames.images, plain[number])
    assert len(kept) == 2 * len(plain) > 6
    for media, expected in zip(kept, plain * 2, strict=True):
        assert media.frames is not None
        np.testing.assert_array_equal(media.frames.images, expected)


def test_blocks_that_are_gone_are_unmapped(tmp_path: Path) -> None:
    """Larger and larger pictures: what no longer fits is given up by both processes."""
    with GuardedWorker() as worker:
        for side in range(64, 1024, 96):
            path = make_video(tmp_path / f"{side}.mp4", 0.2, size=(side, side), audio=None)
            for media in worker.windows(Clip(path), DecodeRequest(short_side=2000)):
                assert media.frames is not None
                assert media.frames.size == (side, side)
        assert len(worker.arrivals._mapped) <= SPARE + 2


def test_the_guarded_decoder_gives_what_the_plain_one_gives(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=1.0)
    (plain,) = make_backend("pyav").windows(Clip(path), DecodeRequest())
    (guarded,) = open_media(Clip(path), DecodeRequest())
    (unguarded,) = open_media(Clip(path), DecodeRequest(), guarded=False)
    for media in (guarded, unguarded):
        assert media.frames is not None
        assert plain.frames is not None
        assert media.waveform is not None
        assert plain.waveform is not None
        assert media.frames.luma == plain.frames.luma is not None
        np.testing.assert_array_equal(media.frames.images, plain.frames.images)
        np.testing.assert_array_equal(media.frames.times, plain.frames.times)
        np.testing.assert_array_equal(media.waveform.samples, plain.waveform.samples)


def test_two_files_can_be_open_at_once(tmp_path: Path) -> None:
    a, b = make_audio(tmp_path / "a.wav", 3.0), make_audio(tmp_path / "b.wav", 3.0)
    request = DecodeRequest(window_seconds=1.0, overlap_seconds=0.0)
    pairs = list(zip(open_media(Clip(a), request), open_media(Clip(b), request), strict=True))
    assert [(x.clip.path.name, y.clip.path.name) for x, y in pairs] == [("a.wav", "b.wav")] * len(
        pairs
    )
    assert len(pairs) >= 2


def test_backends_are_media_backends() -> None:
    for name in ("pyav", "decord"):
        assert isinstance(open_backend(name), MediaBackend)
        assert open_backend(name).name == name


def test_an_unknown_backend_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="did you mean 'pyav'"):
        open_media(CLIP, DecodeRequest(), backend="pyaw")
    with pytest.raises(UsageError, match="no decoder 'ffmpeg'"):
        open_backend("ffmpeg")


def test_probe_goes_through_the_worker(tmp_path: Path) -> None:
    warm_up()
    info = probe(make_video(tmp_path / "a.mp4"))
    assert info.video is not None
    assert (info.video.width, info.video.height) == (96, 64)

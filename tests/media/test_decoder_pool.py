"""The pool lends decoders, reuses their processes, and decodes in this process where it has to."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.errors import MediaError, UsageError
from av_tagger.media import (
    BACKENDS,
    DecoderPool,
    close_decoders,
    decoder_pool,
    make_backend,
    open_media,
    probe,
    warm_up,
)
from av_tagger.media.sandbox import SWITCH
from av_tagger.protocols import DecodeRequest, MediaBackend
from tests import ROOT
from tests.assets import make_audio, make_video
from tests.media.test_decode_process import interrupted
from tests.waiting import LIMIT

REQUEST = DecodeRequest()


@pytest.fixture(autouse=True)
def no_processes_left() -> Iterator[None]:
    yield
    close_decoders()


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    """A file that the fake backends accept unseen."""
    path = tmp_path / "some clip.mp4"
    path.write_bytes(b"x")
    return Clip(path)


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    made = fake_pool()
    yield made
    made.close()


def fake_pool(name: str = "good", **settings: object) -> DecoderPool:
    return DecoderPool(name, factory="tests.fakes:make_backend", search=[ROOT], **settings)  # type: ignore[arg-type]


def pids_of(pool: DecoderPool, clip: Clip) -> set[int]:
    """The fake backend notes its process id in every window."""
    return {int(media.notes[0]) for media in pool.windows(clip, REQUEST)}


def test_an_idle_process_decodes_the_next_file(pool: DecoderPool, clip: Clip) -> None:
    first = pids_of(pool, clip)
    assert pids_of(pool, clip) == first == set(pool.pids())
    decoder = pool.decoder()
    assert {int(m.notes[0]) for m in decoder.windows(clip, REQUEST, LIMIT)} == first
    decoder.close()
    assert pids_of(pool, clip) == first


def test_lent_decoders_are_processes_of_their_own(pool: DecoderPool, clip: Clip) -> None:
    one, other = pool.decoder(), pool.decoder()
    pids = [int(next(d.windows(clip, REQUEST, LIMIT)).notes[0]) for d in (one, other)]
    assert sorted(pids) == sorted(pool.pids())
    assert len(set(pids)) == 2
    assert not one.in_process
    one.close()
    other.close()


def test_only_so_many_idle_processes_are_kept(clip: Clip) -> None:
    for keep in (0, 1):
        pool = fake_pool(keep=keep)
        decoders = [pool.decoder() for _ in range(3)]
        for decoder in decoders:
            next(decoder.windows(clip, REQUEST, LIMIT))
        assert len(pool.pids()) == 3
        for decoder in decoders:
            decoder.close()
        assert len(pool.pids()) == keep
        pool.close()
        assert pool.pids() == []


def test_close_leaves_lent_decoders_alone(pool: DecoderPool, clip: Clip) -> None:
    decoder = pool.decoder()
    windows = decoder.windows(clip, REQUEST, LIMIT)
    next(windows)
    pool.close()
    assert len(list(windows)) == 2
    decoder.close()


def test_a_closed_decoder_cannot_interrupt_the_next_user(pool: DecoderPool, clip: Clip) -> None:
    first = pool.decoder()
    pid = int(next(first.windows(clip, REQUEST, LIMIT)).notes[0])
    first.close()
    second = pool.decoder()
    windows = second.windows(clip, REQUEST, LIMIT)
    assert int(next(windows).notes[0]) == pid
    first.interrupt()
    first.close()
    assert len(list(windows)) == 2
    second.close()
    assert pool.pids() == [pid]


def test_an_interrupted_decoder_can_be_lent_again(clip: Clip) -> None:
    pool = fake_pool("hang")
    decoder = pool.decoder()
    windows = decoder.windows(clip, REQUEST, LIMIT)
    next(windows)
    with interrupted(decoder), pytest.raises(MediaError, match="SIGKILL"):
        next(windows)
    decoder.close()
    assert int(next(pool.windows(clip, REQUEST)).notes[0]) in pool.pids()
    pool.close()


def test_a_crash_costs_one_file_only(clip: Clip) -> None:
    pool = fake_pool("crash")
    for _ in range(2):
        with pytest.raises(MediaError, match="SIGSEGV"):
            list(pool.windows(clip, REQUEST))
    assert pool.pids() == []


def test_a_killed_decoder_is_tried_once_more(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")  # the backend marks a file as tried
    pool = fake_pool("killed once")
    found = list(pool.windows(clip, REQUEST))
    assert [media.start_seconds for media in found] == [0.0, 1.0, 2.0]
    assert len({media.notes[0] for media in found}) == 2, "the rest is of another process"
    pool.close()
    with pytest.raises(MediaError, match=r"killed from outside .signal SIGKILL") as caught:
        list(fake_pool("killed").windows(clip, REQUEST))
    assert caught.value.kind == "crash"


def test_a_missing_file_starts_no_process(pool: DecoderPool, tmp_path: Path) -> None:
    clip = Clip(tmp_path / "nope.mp4")
    for attempt in (
        lambda: pool.windows(clip, REQUEST),
        lambda: pool.probe(clip.path),
        lambda: pool.decoder().windows(clip, REQUEST, LIMIT),
    ):
        with pytest.raises(MediaError, match=r"nope\.mp4: there is no such file; check the name"):
            attempt()
    assert pool.pids() == []


def test_a_fork_does_not_use_its_parents_processes(pool: DecoderPool, clip: Clip) -> None:
    before = pids_of(pool, clip)
    child = os.fork()
    if child == 0:
        pool.close()  # must not end the parent's process
        pids = pids_of(pool, clip)
        os._exit(0 if len(pids) == 1 and not pids & before else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pids_of(pool, clip) == before


def test_without_isolation_files_are_decoded_here(clip: Clip) -> None:
    pool = fake_pool(isolated=False)
    decoder = pool.decoder()
    assert decoder.in_process
    found = [*decoder.windows(clip, REQUEST, LIMIT), *pool.windows(clip, REQUEST)]
    assert {int(media.notes[0]) for media in found} == {os.getpid()}
    assert [media.frames.images[0, 0, 0, 0] for media in found if media.frames] == [1, 2, 3] * 2
    assert pool.probe(clip.path).container == "fake"
    decoder.interrupt()
    decoder.close()
    pool.warm_up()
    pool.close()
    assert pool.pids() == []


def test_isolated_or_not_the_windows_are_the_same(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=1.0)
    (plain,) = make_backend("pyav").windows(Clip(path), REQUEST)
    (isolated,) = open_media(Clip(path), REQUEST)
    (here,) = DecoderPool(isolated=False).windows(Clip(path), REQUEST)
    for media in (isolated, here):
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
    names = [(x.clip.path.name, y.clip.path.name) for x, y in pairs]
    assert names == [("a.wav", "b.wav")] * len(pairs)
    assert len(pairs) >= 2
    assert len(decoder_pool().pids()) == 2


def test_a_pool_is_a_media_backend() -> None:
    for name in BACKENDS:
        assert isinstance(decoder_pool(name), MediaBackend)
        assert decoder_pool(name).name == name
        assert decoder_pool(name) is decoder_pool(name)


def test_an_unknown_backend_is_a_usage_error(clip: Clip) -> None:
    with pytest.raises(UsageError, match="there is no decoder 'pyaw'; did you mean 'pyav'"):
        open_media(clip, REQUEST, backend="pyaw")
    with pytest.raises(UsageError, match="no decoder 'ffmpeg'"):
        DecoderPool("ffmpeg")


def test_warm_up_starts_the_process_that_the_first_file_uses(tmp_path: Path) -> None:
    warm_up()
    (pid,) = decoder_pool().pids()
    info = probe(make_video(tmp_path / "a.mp4"))
    assert info.video is not None
    assert (info.video.width, info.video.height) == (96, 64)
    assert decoder_pool().pids() == [pid]
    close_decoders()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIG_DFL)

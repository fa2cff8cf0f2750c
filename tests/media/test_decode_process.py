"""A decoding process that hangs or dies costs its file and nothing else."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.errors import MediaError, MissingExtra, TimedOut
from av_tagger.media import close_decoders, make_backend
from av_tagger.media import decode_process as module
from av_tagger.media.blocks import SPARE
from av_tagger.media.decode_process import DecodeProcess
from av_tagger.media.decode_server import GRACE_SECONDS, import_target
from av_tagger.media.transport import receive, send
from av_tagger.protocols import DecodeRequest
from tests import ROOT
from tests.assets import make_video
from tests.waiting import LIMIT

CLIP = Clip(Path("some clip.mp4"))
REQUEST = DecodeRequest()


@pytest.fixture(autouse=True)
def no_processes_left() -> Iterator[None]:
    yield
    close_decoders()


class Interruptible(Protocol):
    """A decoder, lent or not."""

    def interrupt(self) -> None: ...


def fake(name: str) -> DecodeProcess:
    return DecodeProcess(name, factory="tests.fakes:make_backend", search=[ROOT])


@contextmanager
def interrupted(decoder: Interruptible) -> Iterator[None]:
    """A request of the decoder is interrupted once it has been sent."""

    def interrupting(*given: Any) -> Any:
        threading.Thread(target=decoder.interrupt).start()
        return receive(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "receive", interrupting)
        yield


@pytest.mark.parametrize("name", ["good", "copied"])
def test_windows_arrive_as_they_were_made(name: str) -> None:
    with fake(name) as decoder:
        found = list(decoder.windows(CLIP, REQUEST))
    assert [m.start_seconds for m in found] == [0.0, 1.0, 2.0]
    for number, media in enumerate(found):
        assert media.frames is not None
        assert media.waveform is not None
        assert media.frames.images.shape == (2, 4, 6, 3)
        assert (media.frames.images == number + 1).all()
        assert (media.waveform.samples == number).all()
        assert int(media.notes[0]) != os.getpid()


@pytest.mark.parametrize("name", ["hang", "hang with lock"])
def test_a_hang_ends_at_the_time_limit(name: str) -> None:
    with fake(name) as decoder:
        decoder.call("tests.fakes:add", 2, 3, path=CLIP.path)  # waits for the slow start
        windows = decoder.windows(CLIP, REQUEST, 2.0)
        next(windows)
        with pytest.raises(TimedOut, match=r"some clip\.mp4: took longer than 2 s"):
            next(windows)
        assert decoder.process is None
        decoder.backend = "good"
        assert len(list(decoder.windows(CLIP, REQUEST))) == 3


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("crash", "its decoder crashed .signal SIGSEGV."),
        ("exit", "its decoder crashed .exit status 3."),
        ("memory", "needs more memory"),
        ("error", "is broken; repair it"),
        ("defect", "ZeroDivisionError: a defect of the decoder; this is a bug: please report it"),
    ],
)
def test_a_failure_costs_one_file(name: str, words: str) -> None:
    with fake(name) as decoder:
        with pytest.raises(MediaError, match=rf"some clip\.mp4: {words}"):
            list(decoder.windows(CLIP, REQUEST))
        decoder.backend = "good"
        assert len(list(decoder.windows(CLIP, REQUEST))) == 3


def test_a_refusal_keeps_its_type() -> None:
    decoder = DecodeProcess("pyav", factory="tests.fakes:make_no_backend", search=[ROOT])
    with decoder, pytest.raises(MissingExtra, match="no such library"):
        list(decoder.windows(CLIP, REQUEST))


def test_an_abandoned_file_does_not_answer_for_the_next() -> None:
    with fake("good") as decoder:
        next(decoder.windows(CLIP, REQUEST))
        other = Clip(Path("other.mp4"))
        names = [m.clip.name for m in decoder.windows(other, REQUEST)]
        assert names == ["other.mp4"] * 3


def test_an_interrupt_ends_a_wait_and_the_next_clip_is_decoded() -> None:
    with fake("hang") as decoder:
        windows = decoder.windows(CLIP, REQUEST)
        next(windows)
        with interrupted(decoder), pytest.raises(MediaError, match="SIGKILL"):
            next(windows)
        decoder.interrupt()  # while it is idle
        decoder.backend = "good"
        assert len(list(decoder.windows(CLIP, REQUEST))) == 3


def test_ctrl_c_while_waiting_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer would otherwise be taken for that of the next request."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with fake("good") as decoder:
        decoder.start()
        with monkeypatch.context() as patch:
            patch.setattr(module, "receive", interrupted)
            with pytest.raises(KeyboardInterrupt):
                next(decoder.windows(CLIP, REQUEST))
        assert decoder.process is None
        assert len(list(decoder.windows(CLIP, REQUEST))) == 3


def test_a_process_is_replaced_after_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECYCLE_AFTER", 2)
    pids = []
    with fake("good") as decoder:
        for _ in range(4):
            pids += [media.notes[0] for media in decoder.windows(CLIP, REQUEST)][:1]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_any_function_can_run_in_the_process() -> None:
    with fake("good") as decoder:
        assert decoder.call("tests.fakes:add", 2, 3, path=CLIP.path) == 5


def test_targets_name_a_module_and_a_function() -> None:
    assert import_target("tests.fakes:add")(2, 3) == 5


def test_windows_that_are_kept_keep_their_pictures(tmp_path: Path) -> None:
    """Many windows of many files, some of them kept: no block in use is overwritten."""
    path = make_video(tmp_path / "a.mp4", seconds=3.0)
    request = DecodeRequest(short_side=32, window_seconds=0.5, overlap_seconds=0.1)
    plain = [
        m.frames.images.copy()
        for m in make_backend("pyav").windows(Clip(path), request)
        if m.frames is not None
    ]
    with DecodeProcess() as decoder:
        kept = [m for _ in range(2) for m in decoder.windows(Clip(path), request)]
        for number, media in enumerate(decoder.windows(Clip(path), request)):
            assert media.frames is not None
            np.testing.assert_array_equal(media.frames.images, plain[number])
    assert len(kept) == 2 * len(plain) > 6
    for media, expected in zip(kept, plain * 2, strict=True):
        assert media.frames is not None
        np.testing.assert_array_equal(media.frames.images, expected)


def test_blocks_that_are_too_small_are_unmapped(tmp_path: Path) -> None:
    """Larger and larger pictures: blocks that no longer fit are given up by both processes."""
    with DecodeProcess() as decoder:
        for side in range(64, 1024, 96):
            path = make_video(tmp_path / f"{side}.mp4", 0.2, size=(side, side), audio=None)
            for media in decoder.windows(Clip(path), DecodeRequest(short_side=2000)):
                assert media.frames is not None
                assert media.frames.size == (side, side)
        assert len(decoder.mapped._mapped) <= SPARE + 2


def serve() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A decode server without the client class."""
    ours, theirs = socket.socketpair()
    pictures, their_pictures = socket.socketpair()
    with theirs, pictures, their_pictures:
        number = their_pictures.fileno()
        command = [sys.executable, "-m", module.SERVER, str(number), str(ROOT)]
        process = subprocess.Popen(command, stdin=theirs.fileno(), cwd=ROOT, pass_fds=[number])
        return process, ours


def test_the_server_ends_with_its_client() -> None:
    process, channel = serve()
    with channel:
        send(channel, ("call", LIMIT, [], "tests.fakes:add", (1, 2)))
        assert receive(channel) == ("value", 3)
    assert process.wait(LIMIT) == 0


def test_the_server_ends_itself_when_it_hangs_without_a_client() -> None:
    """The kernel's timer, which also works while a decoder holds the GIL."""
    process, channel = serve()
    with channel:
        send(channel, ("call", 0.1 - GRACE_SECONDS, [], "time:sleep", (60,)))
    assert process.wait(LIMIT) == -signal.SIGALRM


def test_the_server_ignores_ctrl_c() -> None:
    process, channel = serve()
    with channel:
        send(channel, ("call", LIMIT, [], "tests.fakes:add", (1, 2)))
        assert receive(channel) == ("value", 3)
        process.send_signal(signal.SIGINT)
        send(channel, ("call", LIMIT, [], "tests.fakes:add", (2, 2)))
        assert receive(channel) == ("value", 4)
    assert process.wait(LIMIT) == 0

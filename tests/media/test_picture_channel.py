"""Small JPEGs from the decoding process; whatever happens to it, none is missing."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from av_tagger.clip import Clip, Frames, Media
from av_tagger.media import picture_channel as module
from av_tagger.media.decode_process import DecodeProcess
from av_tagger.media.picture_channel import COUNT, LARGEST, LENGTH, PictureChannel, serve_pictures
from av_tagger.media.transport import PackedFrames, SharedBlocks
from av_tagger.protocols import DecodeRequest
from av_tagger.small_pictures import request_jpegs, small_jpegs
from av_tagger.systems import KILL
from tests.assets import make_video

SHAPE = (2, 6, 4)
PACKED = PackedFrames(SHAPE, bytearray(16), 0, (0.299, 0.114, False), None)
ROWS = np.array([0, 1])


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("films")
    return [
        make_video(folder / "a.mp4", seconds=2.0),
        make_video(folder / "b.mp4", seconds=1.0, size=(96, 128)),
    ]


@pytest.fixture
def decoder() -> Iterator[DecodeProcess]:
    with DecodeProcess() as found:
        yield found


def frames_of(decoder: DecodeProcess, path: Path, **request: Any) -> list[Frames]:
    windows = decoder.windows(Clip(path), DecodeRequest(audio_rate=None, **request), 60)
    found = [media.frames for media in windows]
    assert found
    return [one for one in found if one is not None]


def test_pictures_of_the_process_are_those_made_here(
    decoder: DecodeProcess, films: list[Path]
) -> None:
    """Of several windows that are all still here, in another order than they were decoded in."""
    found = [
        *frames_of(decoder, films[0], window_seconds=0.5, overlap_seconds=0.0),
        *frames_of(decoder, films[1]),
    ]
    assert len(found) > 3
    waits = [(one, request_jpegs(one, np.arange(0, len(one), 5))) for one in found]
    for one, wait in reversed(waits):
        jpegs = wait()
        assert jpegs == small_jpegs(one, np.arange(0, len(one), 5))
        assert one.encode is not None
        answer = one.encode(np.array([0]))()
        assert answer == jpegs[:1], "from there, not made here"


def test_many_threads_ask_one_process(decoder: DecodeProcess, films: list[Path]) -> None:
    (one,) = frames_of(decoder, films[0])
    encode = one.encode
    assert encode is not None

    def ask(row: int) -> list[bytes] | None:
        return encode(np.array([row]))()

    with ThreadPoolExecutor(8) as executor:
        found = list(executor.map(ask, range(len(one))))
    assert found == [small_jpegs(one, np.array([row])) for row in range(len(one))]


@pytest.mark.parametrize("when", ["before", "between"])
def test_a_killed_process_gives_none_and_the_pictures_are_made_here(
    decoder: DecodeProcess, films: list[Path], when: str
) -> None:
    (one,) = frames_of(decoder, films[0])
    assert one.encode is not None
    process = decoder.process
    assert process is not None
    if when == "before":
        process.kill()
        process.wait()
        assert one.encode(ROWS)() is None
    wait = request_jpegs(one, ROWS)
    process.kill()
    process.wait()
    assert wait() == small_jpegs(one, ROWS), "it may have answered before it was killed"
    assert one.encode(ROWS)() is None
    assert decoder.pictures is not None
    assert decoder.pictures.closed


def test_after_a_kill_the_next_process_makes_pictures_again(
    decoder: DecodeProcess, films: list[Path]
) -> None:
    (old,) = frames_of(decoder, films[0])
    decoder.close()
    (new,) = frames_of(decoder, films[1])
    assert old.encode is not None
    assert new.encode is not None
    assert old.encode(ROWS)() is None
    assert new.encode(ROWS)() == small_jpegs(new, ROWS)


def test_closing_the_decoder_ends_a_wait(decoder: DecodeProcess, films: list[Path]) -> None:
    """As when a run is ended: the process is stopped, so only the closing can end the wait."""
    (one,) = frames_of(decoder, films[0])
    assert decoder.process is not None
    os.kill(decoder.process.pid, signal.SIGSTOP)
    os.waitpid(decoder.process.pid, os.WUNTRACED)  # until it has stopped
    assert one.encode is not None
    wait = one.encode(ROWS)
    closing = threading.Timer(0.05, decoder.close)
    closing.start()
    assert wait() is None
    closing.join()


def test_memory_is_kept_until_its_pictures_are_made(
    decoder: DecodeProcess, films: list[Path]
) -> None:
    """Frames may be gone before the answer is there."""
    media: list[Media] = list(decoder.windows(Clip(films[0]), DecodeRequest(), 60))
    frames = media.pop().frames
    assert frames is not None
    assert frames.encode is not None
    expected = small_jpegs(frames, ROWS)
    gone = weakref.ref(frames)
    wait = frames.encode(ROWS)
    del frames
    gc.collect()
    assert gone() is None
    assert not decoder.mapped.released
    assert wait() == expected
    del wait
    gc.collect()
    assert len(decoder.mapped.released) == 1


Pair = tuple[socket.socket, PictureChannel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The other end of a channel, and the channel."""
    theirs, ours = socket.socketpair()
    channel = PictureChannel(ours)
    with theirs:
        yield theirs, channel
    channel.close()


def ask(channel: PictureChannel) -> list[bytes] | None:
    return channel.ask(np.zeros(36, np.uint8), 1, PACKED, ROWS)()


def reply(*jpegs: bytes) -> bytes:
    return COUNT.pack(len(jpegs)) + b"".join(LENGTH.pack(len(j)) + j for j in jpegs)


def test_a_late_process_is_not_asked_again(pair: Pair) -> None:
    """Its late answer would be taken for that of the next request."""
    theirs, channel = pair
    channel.channel.settimeout(0.01)
    assert ask(channel) is None
    with pytest.raises(OSError, match=r".*"):
        theirs.send(b"late")
    assert ask(channel) is None


def test_answers_that_cannot_be_meant_close_the_channel(pair: Pair) -> None:
    theirs, channel = pair
    theirs.sendall(COUNT.pack(1) + LENGTH.pack(LARGEST + 1))
    assert ask(channel) is None
    assert channel.closed


def test_half_an_answer_is_none(pair: Pair) -> None:
    theirs, channel = pair
    theirs.sendall(reply(b"\xff\xd8 whole", b"\xff\xd8 half")[:-2])
    theirs.shutdown(socket.SHUT_WR)
    assert ask(channel) is None


def test_ctrl_c_while_waiting_closes_the_channel(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, channel = pair

    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ask(channel)
    assert channel.closed
    assert ask(channel) is None


def test_an_answer_that_is_not_fetched_does_not_disturb_the_next(pair: Pair) -> None:
    """A batch that failed after its pictures were asked for."""
    theirs, channel = pair
    memory = np.zeros(36, np.uint8)
    kept = weakref.ref(memory)
    channel.ask(memory, 1, PACKED, ROWS)
    del memory
    assert kept() is not None, "the process may still read it"
    theirs.sendall(reply(b"old") + reply(b"new"))
    assert ask(channel) == [b"new"]
    gc.collect()
    assert kept() is None


def test_the_server_answers_what_it_cannot_do_with_nothing(pair: Pair) -> None:
    """An unknown block, and frames that do not fit into theirs."""
    theirs, channel = pair
    memory = SharedBlocks()
    images = memory.allocate(SHAPE)
    images[...] = np.arange(images.size).reshape(SHAPE)
    name = memory.share(images).name
    thread = threading.Thread(target=serve_pictures, args=(theirs, memory))
    thread.start()
    here, far = np.zeros(36, np.uint8), PACKED._replace(shape=(1 << 20, 6, 4))
    assert channel.ask(here, name + 1, PACKED, ROWS)() == []
    assert channel.ask(here, name, far, ROWS)() == []
    assert channel.ask(here, name, PACKED, np.array([7]))() == []
    found = channel.ask(here, name, PACKED, ROWS)()
    assert found is not None
    assert [jpeg[:2] for jpeg in found] == [b"\xff\xd8"] * 2
    channel.close()
    thread.join(20)
    assert not thread.is_alive(), "it ends with its client"


def test_killing_is_what_interrupting_does(decoder: DecodeProcess, films: list[Path]) -> None:
    (one,) = frames_of(decoder, films[0])
    process = decoder.process
    assert process is not None
    decoder.interrupt()
    assert process.wait(20) == -KILL
    assert request_jpegs(one, ROWS)() == small_jpegs(one, ROWS)

"""Sound of one source and pictures of another, by stand-ins that send what a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import pytest

from av_tagger.errors import MediaError
from av_tagger.live.buffers import TimedImage
from av_tagger.live.sources import paired
from av_tagger.live.sources.base import (
    PicturesPassed,
    SoundBlock,
    StreamItem,
    StreamLost,
    StreamNote,
    StreamOpened,
)
from av_tagger.live.sources.paired import LEAST_STEP, PairedSource
from av_tagger.protocols import DecodeRequest
from tests.waiting import LIMIT

RATE = 100
BOTH = DecodeRequest(audio_rate=RATE, short_side=8)


class Sound:
    """Sends its items in the thread that asks, an error where one stands among them."""

    name, live = "mic", True

    def __init__(self, *items: StreamItem | Exception) -> None:
        self.script: Iterable[StreamItem | Exception] = items
        self.asked: list[DecodeRequest] = []

    def items(self, request: DecodeRequest) -> Iterator[StreamItem]:
        self.asked.append(request)
        yield StreamOpened(sound=True, pictures=False)
        for item in self.script:
            if isinstance(item, Exception):
                raise item
            yield item


class Camera(Sound):
    """The same, read ahead by a thread: `sent` once all items are, then open or at its end."""

    name = "eye"

    def __init__(self, *items: StreamItem | Exception, ends: bool = False) -> None:
        super().__init__(*items)
        self.ends = ends
        self.sent, self.leave, self.gone = (threading.Event() for _ in range(3))

    def items(self, request: DecodeRequest) -> Iterator[StreamItem]:
        try:
            yield from super().items(request)
            self.sent.set()
            if not self.ends:
                self.leave.wait(LIMIT)
                while True:  # until its reader takes no more
                    yield picture(99.0)
        finally:
            self.gone.set()


def picture(seconds: float) -> TimedImage:
    return TimedImage(seconds, np.zeros((8, 8, 3), np.uint8))


def block(seconds: float, length: int = RATE) -> SoundBlock:
    return SoundBlock(np.zeros(length, np.float32), seconds)


def noted(items: Iterator[StreamItem], seen: list[StreamItem]) -> Iterator[StreamItem]:
    for item in items:
        seen.append(item)
        yield item


def opened(source: PairedSource, camera: Camera) -> Iterator[StreamItem]:
    """The items behind the first one, once the camera has sent everything."""
    items = source.items(BOTH)
    assert next(items) == StreamOpened(sound=True, pictures=True)
    assert camera.sent.wait(LIMIT)
    return items


def test_each_source_is_asked_for_its_own_half_only() -> None:
    sound, camera = Sound(block(0.0)), Camera()
    source = PairedSource(sound, camera)
    assert (source.name, source.live) == ("mic + eye", True)
    list(opened(source, camera))
    assert sound.asked == [DecodeRequest(audio_rate=RATE, short_side=None)]
    assert camera.asked == [DecodeRequest(audio_rate=None, short_side=8)]


def test_pictures_follow_the_sound_whatever_their_own_clock_says() -> None:
    sound = Sound(block(0.0), block(1.0), block(2.0))
    camera = Camera(picture(500.0), picture(499.0), picture(500.0))
    items = list(opened(PairedSource(sound, camera), camera))
    times = [i.seconds for i in items if isinstance(i, TimedImage)]
    assert times == [1.0, pytest.approx(1.0 + LEAST_STEP), pytest.approx(1.0 + 2 * LEAST_STEP)]
    passed = [i.seconds for i in items if isinstance(i, PicturesPassed)]
    assert passed == [pytest.approx(1.0 + 3 * LEAST_STEP), 2.0, 3.0]
    assert all(a <= b for a, b in pairwise(passed))
    assert [i.seconds for i in items if isinstance(i, SoundBlock)] == [0.0, 1.0, 2.0]
    assert len(items) == 9, "the camera's own start is not told twice"


def test_notes_of_both_and_lost_sound_are_passed_on() -> None:
    lost, torn = StreamLost(0.5, "mic: too slow"), StreamNote("eye: a torn picture")
    sound, camera = Sound(lost, StreamNote("mic: noise"), block(0.5)), Camera(torn)
    items = list(opened(PairedSource(sound, camera), camera))
    assert items[:2] == [lost, StreamNote("mic: noise")]
    assert items[3:] == [torn, PicturesPassed(1.5)]


def test_a_camera_that_ends_is_an_error_of_the_camera() -> None:
    """The sound goes on until its thread has said so; blocks of no samples let no time pass."""

    def blocks() -> Iterator[StreamItem]:
        for _ in range(int(100 * LIMIT)):
            yield block(0.0, 0)
            time.sleep(0.01)

    sound = Sound()
    sound.script = blocks()
    items = PairedSource(sound, Camera(picture(0.0), ends=True)).items(BOTH)
    with pytest.raises(MediaError, match="eye: has ended"):
        list(items)


def test_no_pictures_for_too_long_is_counted_in_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired, "READ_SECONDS", 2.0)
    sound, camera = Sound(*(block(float(n)) for n in range(9))), Camera(picture(0.0))
    seen: list[StreamItem] = []
    with pytest.raises(MediaError, match="eye: sends no pictures; check the device"):
        list(noted(opened(PairedSource(sound, camera), camera), seen))
    blocks = [item.seconds for item in seen if isinstance(item, SoundBlock)]
    assert blocks == [0.0, 1.0, 2.0, 3.0], "a picture at 1 s, then more than 2 s without"


@pytest.mark.parametrize("error", [None, MediaError("mic", "is unplugged")])
def test_the_camera_is_let_go_when_the_sound_ends(error: MediaError | None) -> None:
    sound = Sound(block(0.0), *([] if error is None else [error]))
    camera = Camera(picture(0.0))
    items = opened(PairedSource(sound, camera), camera)
    if error is None:
        assert isinstance(list(items)[-1], PicturesPassed)
    else:
        with pytest.raises(MediaError, match="mic: is unplugged"):
            list(items)
    camera.leave.set()
    assert camera.gone.wait(LIMIT), "its thread has left"

"""The first clip is decoded before it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from av_tagger.clip import Clip, Media
from av_tagger.media.early import EarlyStart
from av_tagger.protocols import DecodeRequest

FIRST, SECOND = Clip(Path("a.mp4")), Clip(Path("b.mp4"))
REQUEST = DecodeRequest(short_side=64)


class Opened:
    """Opens clips of one window, and notes which."""

    def __init__(self) -> None:
        self.clips: list[Clip] = []
        self.decoded = threading.Event()

    def __call__(self, clip: Clip, request: DecodeRequest) -> Iterator[Media]:
        self.clips.append(clip)
        return self._windows(clip)

    def _windows(self, clip: Clip) -> Iterator[Media]:
        self.decoded.set()
        yield Media(clip, 0.0, 1.0, None, None)


def names(windows: Iterator[Media]) -> list[str]:
    return [window.clip.name for window in windows]


def test_the_first_clip_is_opened_once_and_decoded_at_once() -> None:
    opened = Opened()
    early = EarlyStart(opened, FIRST, REQUEST)
    assert opened.decoded.wait(60)
    assert names(early(FIRST, REQUEST)) == ["a.mp4"]
    assert opened.clips == [FIRST]
    assert names(early(FIRST, REQUEST)) == ["a.mp4"], "a second time it is opened anew"
    assert opened.clips == [FIRST, FIRST]


def test_another_clip_or_another_request_is_opened_anew() -> None:
    opened = Opened()
    assert names(EarlyStart(opened, FIRST, REQUEST)(SECOND, REQUEST)) == ["b.mp4"]
    other = DecodeRequest(short_side=32)
    assert names(EarlyStart(opened, FIRST, REQUEST)(FIRST, other)) == ["a.mp4"]
    assert opened.clips == [FIRST, SECOND, FIRST, FIRST]

"""Decoding that starts before it is asked for: the first clip, while networks are loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from av_tagger.ahead import begun
from av_tagger.clip import Clip, Media
from av_tagger.protocols import DecodeRequest

Open = Callable[[Clip, DecodeRequest], Iterator[Media]]


class EarlyStart:
    """Opens clips as `open_clip` does; the first window of one of them is decoded from now on.

    Its windows are used if that very clip is the first to be opened, with the same request.
    """

    def __init__(self, open_clip: Open, clip: Clip, request: DecodeRequest) -> None:
        self._open, self._expected = open_clip, (clip, request)
        self._begun: Iterator[Media] | None = begun(open_clip(clip, request))

    def __call__(self, clip: Clip, request: DecodeRequest) -> Iterator[Media]:
        windows, self._begun = self._begun, None
        if windows is not None and (clip, request) == self._expected:
            return windows
        return self._open(clip, request)

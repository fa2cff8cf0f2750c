"""Times and numbers of a track's frames without decoding it: for pictures decoded elsewhere."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import ColourMatrix, Images
from av_tagger.errors import MediaError
from av_tagger.media.opening import codec_name
from av_tagger.media.paths import CHECK
from av_tagger.media.picture import UPRIGHT, pixel_stretch, shown_size, turn_of
from av_tagger.media.planes import PLAIN, colour_matrix_of, halvings
from av_tagger.media.tracks import PictureTrack
from av_tagger.media.windows import Event, LazyPicture

CODECS = ("h264", "hevc")  # that the engines of a card decode into the same 8-bit planes
REORDERED = 32  # packets between the order of decoding and that of showing: twice what h264 allows
SHAPE = (3, 2)  # planes of a picture of 2 x 2 pixels: six bytes, which hold the number


@dataclass(frozen=True)
class PacketStamp:
    """What a packet says about its frame."""

    pts: int
    number: int
    is_corrupt: bool = False


@dataclass(frozen=True)
class NumberPainter:
    """A picture of six bytes that hold the number of the frame, counted in order of showing."""

    luma: ColourMatrix

    def paint(self, frame: PacketStamp) -> LazyPicture:
        return LazyPicture(SHAPE, partial(_put, frame.number), self.luma)


def _put(number: int, row: Images) -> None:
    row.reshape(-1)[:] = np.frombuffer(number.to_bytes(6, "little"), np.uint8)


def numbers_of(images: Images) -> NDArray[np.int64]:
    """The numbers that such pictures hold."""
    return images.reshape(len(images), 6).astype(np.int64) @ (1 << (8 * np.arange(6)))


class NumberedTrack(PictureTrack):
    """The frames of a track as its packets announce them; their pictures hold numbers only."""

    def begin(self, first: Any, path: Any) -> None:
        """Take form and colours from the first frame; MediaError if only the cores can show it."""
        reason = _why_not(first, self.stream, self.painter.short_side)
        if reason:
            raise MediaError(path, f"is decoded by the cores: {reason}", CHECK)
        self.numbers = NumberPainter(colour_matrix_of(first))
        self.painter = self.numbers  # type: ignore[assignment]
        self._waiting: list[tuple[int, bool]] = []
        self._number = 0

    def take(self, packet: Any) -> Iterator[Event]:
        if packet.size and packet.pts is None:
            raise MediaError(self.clip.path, "has packets without time stamps", CHECK)
        if not packet.size:
            return
        self.damaged += bool(packet.is_corrupt)
        heapq.heappush(self._waiting, (packet.pts, bool(packet.is_discard)))
        while len(self._waiting) > REORDERED:
            yield from self._next()

    def finish(self) -> Iterator[Event]:
        while self._waiting:
            yield from self._next()
        yield from super().finish()

    def _next(self) -> Iterator[Event]:
        pts, discarded = heapq.heappop(self._waiting)
        stamp = PacketStamp(pts, self._number)
        self._number += 1
        if not discarded:  # such as what an edit list cuts off: decoded and not shown
            yield from self.show(stamp)


def _why_not(first: Any, stream: Any, short_side: int | None) -> str:
    """Why the engines of a card cannot give the same pictures; empty if they can."""
    if first is None or codec_name(stream) not in CODECS:
        return f"no engine for {codec_name(stream)}"
    if first.format.name not in PLAIN or first.interlaced_frame:
        return f"{first.format.name} pictures need the scaler"
    turn, stretch = turn_of(first), pixel_stretch(stream.codec_context)
    if turn != UPRIGHT or stretch != 1:
        return "its pictures are turned or stretched"
    shown = shown_size(first.width, first.height, stretch, turn)
    if halvings(min(shown), short_side or max(shown)) is None:
        return "its pictures need the scaler"
    return ""

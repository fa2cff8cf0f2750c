"""Decoded frames to upright RGB of the requested size: scaled by swscale, rotated once."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from av_tagger.clip import Images

# One thread per decoder: swscale would start one per core (PyAV has the setting since 17).
SCALING: dict[str, Any] = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}
NEAR = 1.1  # times the requested size: scaling by less costs more time than it saves
MAX_STRETCH = 4.0  # a larger pixel aspect ratio is a broken header


@dataclass(frozen=True)
class Turn:
    """A display matrix as array operations: transpose, then mirror rows and columns."""

    transposed: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @property
    def degrees(self) -> int:
        """Clockwise rotation without mirroring: 0, 90, 180 or 270."""
        if self.transposed:
            return 90 if self.mirror_x else 270
        return 180 if self.mirror_x and self.mirror_y else 0

    def apply(self, image: Images) -> Images:
        turned = image.swapaxes(0, 1) if self.transposed else image
        return turned[:: -1 if self.mirror_y else 1, :: -1 if self.mirror_x else 1]


UPRIGHT = Turn()


def turn_of(frame: av.VideoFrame) -> Turn:
    """From the display matrix: (x, y) is shown at (a x + c y, b x + d y), y pointing down."""
    raw = frame.side_data.get("DISPLAYMATRIX")
    if raw is None or raw.buffer_size < 36:
        return UPRIGHT
    a, b, _, c, d = struct.unpack_from("=5i", bytes(raw))
    if abs(b) > abs(a):
        return Turn(True, c < 0, b < 0)
    return Turn(False, a < 0, d < 0)


class Turning:
    """The turn of a track's frames, looked up only when it changes.

    Reading side data puts a frame into a reference cycle that only the garbage collector frees.
    """

    def __init__(self) -> None:
        self.turn, self.rotation = UPRIGHT, math.nan

    def turn_for(self, frame: av.VideoFrame) -> Turn:
        if frame.rotation != self.rotation:
            turn = turn_of(frame)
            self.turn, self.rotation = UPRIGHT if turn == UPRIGHT else turn, frame.rotation
        return self.turn


def pixel_stretch(codec: Any) -> float:
    """Pixel aspect ratio: width over height of one pixel."""
    ratio = getattr(codec, "sample_aspect_ratio", None)
    stretch = float(ratio) if ratio else 1.0
    seen = abs(stretch - 1) > 0.02  # less is rounding in the header
    return stretch if seen and 1 / MAX_STRETCH <= stretch <= MAX_STRETCH else 1.0


def shown_size(width: int, height: int, stretch: float, turn: Turn) -> tuple[int, int]:
    """Width and height as displayed."""
    wide = max(1, round(width * stretch))
    return (height, wide) if turn.transposed else (wide, height)


def target_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Scale the shorter side down to `short_side`; never up, and not if it is near already."""
    short = min(width, height)
    scale = 1.0 if short <= NEAR * short_side else short_side / short
    return max(1, round(width * scale)), max(1, round(height * scale))


class Painter:
    """Converts the frames of one track to upright RGB; the first frame fixes the size."""

    def __init__(self, codec: Any, short_side: int | None) -> None:
        self.codec = codec
        self.short_side = short_side  # None: full size
        self.size: tuple[int, int] | None = None
        self.scaler, self.colours = VideoReformatter(), VideoReformatter()
        self.turning = Turning()

    def paint(self, frame: av.VideoFrame) -> Images:
        """(height, width, 3): a view of the decoder's memory, valid until the next call."""
        turn = self.turning.turn_for(frame)
        if self.size is None:
            shown = shown_size(frame.width, frame.height, pixel_stretch(self.codec), turn)
            self.size = target_size(*shown, self.short_side or max(shown))
        width, height = self.size[::-1] if turn.transposed else self.size
        return turn.apply(self._rgb(frame, width, height))

    def _rgb(self, frame: av.VideoFrame, width: int, height: int) -> Images:
        # Scale as YUV, then convert at equal size: two fast paths of swscale, a third of the cost.
        if (frame.width, frame.height) != (width, height) and min(width, height) >= 2:
            frame = self.scaler.reformat(
                frame, width, height, "yuv420p", interpolation="AREA", **SCALING
            )
        rgb = self.colours.reformat(frame, width, height, "rgb24", interpolation="AREA", **SCALING)
        plane = rgb.planes[0]
        rows: Images = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        return rows[:height, : width * 3].reshape(height, width, 3)

"""Frames with chroma subsampling stay YUV planes: copied, halved while too large, rotated once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import numpy as np
from av.video.reformatter import VideoReformatter

from av_tagger.clip import ColourMatrix, Images, planar_shape, yuv_planes
from av_tagger.media.picture import (
    SCALING,
    UPRIGHT,
    Painter,
    Turn,
    Turning,
    pixel_stretch,
    shown_size,
    target_size,
)
from av_tagger.media.windows import LazyPicture, lazy_picture_of

PLAIN = ("yuv420p", "yuvj420p")  # copied without conversion
ROOMY = 1.7  # times the requested size: scaling by less costs more than the eye saves
MOST_HALVINGS = 5
BAND_PIXELS = 3 << 15  # OpenCV starts threads for more than 1.5 x 2^16 pixels
LIMITED, FULL = 1, 2  # AVColorRange
# ITU-T H.273, table 4: matrix coefficients -> (swscale's number, red and blue shares of luma).
# Others, such as "unspecified", count as BT.601, as in swscale.
MATRICES = {
    1: (1, 0.2126, 0.0722),
    4: (4, 0.30, 0.11),
    7: (7, 0.212, 0.087),
    9: (9, 0.2627, 0.0593),
    10: (9, 0.2627, 0.0593),
}
BT601 = (5, ColourMatrix.red, ColourMatrix.blue)

Planes = tuple[Images, Images, Images]


def colour_matrix_of(frame: Any) -> ColourMatrix:
    """From the colour tags of the frame or its stream."""
    full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
    _, red, blue = MATRICES.get(int(frame.colorspace), BT601)
    return ColourMatrix(red, blue, full)


def matrix_of(frame: Any) -> int:
    return MATRICES.get(int(frame.colorspace), BT601)[0]


def shares_colours(pixels: Any) -> bool:
    """Whether chroma is subsampled: such pictures become 4:2:0 without visible loss."""
    return (
        not (pixels.is_rgb or pixels.has_palette)
        and pixels.chroma_width(64) * pixels.chroma_height(64) < 64 * 64
    )


def halvings(short: int, wanted: int) -> int | None:
    """How often to halve the short side to come near the requested size; None: never near."""
    count = 0
    while count < MOST_HALVINGS and (short >> (count + 1)) & ~1 >= wanted:
        count += 1
    return count if short >> count <= ROOMY * wanted else None


@cache
def area_resize() -> Callable[..., Any] | None:
    """OpenCV's 2 x 2 mean, five times as fast as swscale; imported for the first large frame."""
    try:
        import cv2
    except (ImportError, OSError):
        return None
    return partial(cv2.resize, interpolation=cv2.INTER_AREA)


def halve(source: Images, target: Images) -> None:
    """The mean of every 2 x 2 pixels, band by band, in this thread."""
    resize, (height, width) = area_resize(), target.shape
    assert resize is not None
    rows = max(1, BAND_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        resize(
            source[2 * top : 2 * bottom, : 2 * width], (width, bottom - top), dst=target[top:bottom]
        )


def is_packed(planes: Any, width: int, height: int) -> bool:
    """Whether a frame's planes have neither padding nor rows to cut off."""
    y, u, v = planes
    return bool(y.line_size == width == 2 * u.line_size == 2 * v.line_size and y.height == height)


def put_packed(planes: Any, row: Images) -> None:
    """The usual case: three copies."""
    flat, at = row.reshape(-1), 0
    for plane in planes:
        source = np.frombuffer(plane, np.uint8)
        flat[at : at + len(source)] = source
        at += len(source)


def planes_of(planes: Any, width: int, height: int) -> Planes:
    """Views of a frame's memory, cropped to even sides."""
    y, u, v = (np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size) for plane in planes)
    return y[:height, :width], u[: height // 2, : width // 2], v[: height // 2, : width // 2]


def put(planes: Planes, count: int, turn: Turn, row: Images) -> None:
    """Write planes, halved `count` times and rotated, into the memory of one picture."""
    for plane, target in zip(planes, yuv_planes(row), strict=True):
        source = plane
        for left in range(count, 0, -1):
            last = left == 1 and turn == UPRIGHT
            smaller = (
                target if last else np.empty((source.shape[0] // 2, source.shape[1] // 2), np.uint8)
            )
            halve(source, smaller)
            source = smaller
        if source is not target:
            target[...] = turn.apply(source)


@dataclass(frozen=True)
class _Form:
    """Size and colours of a track, fixed by its first frame."""

    width: int  # upright, even
    height: int
    luma: ColourMatrix
    matrix: int

    @cached_property
    def shape(self) -> tuple[int, int]:
        return planar_shape(self.height, self.width)


class PlanePainter:
    """Frames of one track to planes, or to RGB if the chroma of the first is not subsampled."""

    def __init__(self, codec: Any, short_side: int | None) -> None:
        self.codec, self.short_side = codec, short_side
        self.coloured = Painter(codec, short_side)
        self.scaler, self.turning = VideoReformatter(), Turning()
        self.form: _Form | None = None
        self.settled = False
        self.kind: tuple[Any, ...] = ()  # size, format and colours of the last frame
        self.count: int | None = None  # halvings for frames of that kind; None: use the scaler

    def paint(self, frame: Any) -> LazyPicture:
        turn = self.turning.turn_for(frame)
        if not self.settled:
            self.form, self.settled = self._first_form(frame, turn), True
        form = self.form
        if form is None:
            return lazy_picture_of(self.coloured.paint(frame))
        width, height = (form.height, form.width) if turn.transposed else (form.width, form.height)
        kind = (
            frame.width,
            frame.height,
            frame.format.name,
            frame.colorspace,
            frame.color_range,
            turn,
        )
        if kind != self.kind:
            self.kind, self.count = kind, _halvings_to(frame, form.luma, width, height)
        count = self.count
        if count is None:
            frame, count = self._conform(frame, form, width, height), 0
        planes = frame.planes
        if count == 0 and turn is UPRIGHT and is_packed(planes, width, height):
            return LazyPicture(form.shape, partial(put_packed, planes), form.luma)
        views = planes_of(planes, width << count, height << count)
        return LazyPicture(form.shape, partial(put, views, count, turn), form.luma)

    def _first_form(self, frame: Any, turn: Turn) -> _Form | None:
        stretch = pixel_stretch(self.codec)
        shown = shown_size(frame.width, frame.height, stretch, turn)
        upside_down = any(p.line_size < 0 for p in frame.planes)  # only the scaler reads these
        if min(shown) < 2 or upside_down or not shares_colours(frame.format):
            return None
        wanted = self.short_side or max(shown)
        count = (
            halvings(min(shown), wanted) if frame.format.name in PLAIN and stretch == 1 else None
        )
        if count == 0 or (count is not None and area_resize() is not None):
            width, height = shown[0] >> count, shown[1] >> count
        else:
            width, height = target_size(*shown, wanted + wanted % 2)
            if (width, height) != shown:  # scaled anyway, so round; otherwise the odd row is cut
                width, height = 2 * round(width / 2), 2 * round(height / 2)
        return _Form(width & ~1, height & ~1, colour_matrix_of(frame), matrix_of(frame))

    def _conform(self, frame: Any, form: _Form, width: int, height: int) -> Any:
        """Scale a frame that differs to the size, matrix and range of the track."""
        luma = colour_matrix_of(frame)
        if (frame.width & ~1, frame.height & ~1) == (width, height):
            width, height = frame.width, frame.height  # the odd row is cut off later
        # FFmpeg before 8 follows the name of the format, not the range that it is given.
        full = form.luma.full and (frame.format.name.startswith("yuvj") or not luma.full)
        return self.scaler.reformat(
            frame,
            width,
            height,
            "yuvj420p" if full else "yuv420p",
            src_colorspace=matrix_of(frame),
            dst_colorspace=form.matrix,
            src_color_range=FULL if luma.full else LIMITED,
            dst_color_range=FULL if form.luma.full else LIMITED,
            interpolation="AREA",
            **SCALING,
        )


def _halvings_to(frame: Any, luma: ColourMatrix, width: int, height: int) -> int | None:
    """How often to halve this frame to that size; None: it needs the scaler."""
    if frame.format.name not in PLAIN or colour_matrix_of(frame) != luma:
        return None
    fits = (
        n
        for n in range(MOST_HALVINGS + 1)
        if ((frame.width >> n) & ~1, (frame.height >> n) & ~1) == (width, height)
    )
    count = next(fits, None)
    return count if count == 0 or area_resize() is not None else None

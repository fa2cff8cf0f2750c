"""Draws a result into its video: current events, activity over time, and key frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from av_tagger.errors import missing_library

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from PIL import Image

    from av_tagger.clip import Images
    from av_tagger.scores import KeyFrame, Tag, Tagged

Rgb = tuple[int, int, int]
Cell = tuple[int, int, int, int]  # left, top, right, bottom in pixels

COLOURS: tuple[Rgb, ...] = (
    (116, 165, 255),
    (255, 154, 87),
    (79, 207, 174),
    (240, 139, 198),
    (226, 192, 68),
    (177, 157, 255),
    (86, 203, 224),
    (244, 139, 134),
)
_WHITE, _GREY, _NIGHT = (255, 255, 255), (190, 192, 200), (14, 15, 20)
_KEYFRAME_SECONDS = 0.5  # a key frame is named this long before and after its time
_MOST_ROWS = 6
_SMALLEST = 9  # pixels; smaller letters cannot be read


@dataclass(frozen=True)
class Layout:
    """Sizes and positions for one picture size."""

    width: int
    height: int
    letters: int  # height in pixels
    rows: int

    @classmethod
    def of(cls, width: int, height: int, tags: int) -> Layout:
        letters = max(_SMALLEST, round(min(height / 32, width / 40)))
        fits = int(0.4 * height / (1.7 * letters))
        return cls(width, height, letters, max(0, min(tags, fits - 1, _MOST_ROWS)))

    @property
    def row(self) -> int:
        return round(1.7 * self.letters)

    @property
    def panel(self) -> int:
        """Height of the panel at the bottom: the rows and a lower one for the key frames."""
        return self.rows * self.row + round(self.row * 0.8) if self.rows else 0

    @property
    def track(self) -> tuple[int, int]:
        """First and last column of the time axis."""
        return round(0.28 * self.width), self.width - self.letters


class Annotator:
    """Draws into each picture at its time; what does not move is drawn once per picture size."""

    def __init__(self, tagged: Tagged) -> None:
        self.tagged = tagged
        self.start = tagged.clip.start_seconds
        self.length = max(tagged.duration_seconds, 1e-3)
        self._still = lru_cache(maxsize=2)(self._draw_still)
        self._badge = lru_cache(maxsize=64)(self._draw_badge)

    def __call__(self, image: Images, seconds: float) -> Images:
        drawn = image.copy()
        layout = Layout.of(image.shape[1], image.shape[0], len(self.tagged.tags))
        if layout.rows:
            _blend(drawn, self._still(layout), 0, layout.height - layout.panel)
            self._draw_playhead(drawn, layout, seconds)
        top = layout.letters
        for badge in self._badges(layout, seconds):
            _blend(drawn, badge, layout.letters, top)
            top += badge.shape[0] + layout.letters // 3
        return drawn

    def _badges(self, layout: Layout, seconds: float) -> list[NDArray[np.uint8]]:
        """The current events with their peaks, and a key frame that is near in time."""
        now = [
            (number, tag, e.peak)
            for number, tag in enumerate(self.tagged.tags)
            for e in tag.events
            if e.start <= seconds <= e.end
        ]
        badges = [
            self._badge(
                f"{tag.label}  peak {peak:.2f}", COLOURS[number % len(COLOURS)], layout.letters
            )
            for number, tag, peak in now
        ]
        near = [k for k in self.tagged.keyframes if abs(k.seconds - seconds) <= _KEYFRAME_SECONDS]
        return badges + [
            self._badge(_named(keyframe), _GREY, layout.letters) for keyframe in near[:1]
        ]

    def _draw_badge(self, text: str, colour: Rgb, letters: int) -> NDArray[np.uint8]:
        font = _font(round(letters * 1.15))
        left, _, right, _ = font.getbbox(text)
        pad = letters // 2
        picture, pen = _canvas(int(right - left) + 4 * pad, int(letters * 1.15) + 2 * pad)
        pen.rounded_rectangle(
            (0, 0, picture.width - 1, picture.height - 1), pad, fill=(*_NIGHT, 200)
        )
        pen.rounded_rectangle((0, 0, max(2, pad // 2), picture.height - 1), 1, fill=(*colour, 255))
        pen.text((2 * pad, picture.height / 2), text, font=font, fill=(*_WHITE, 255), anchor="lm")
        return np.asarray(picture)

    def _draw_still(self, layout: Layout) -> NDArray[np.uint8]:
        picture, pen = _canvas(layout.width, layout.panel)
        pen.rectangle((0, 0, layout.width, layout.panel), fill=(*_NIGHT, 185))
        left, right = layout.track
        for number, tag in enumerate(self.tagged.tags[: layout.rows]):
            top = number * layout.row
            cell = (left, top + round(0.18 * layout.row), right, top + layout.row - 2)
            self._draw_lane(pen, layout, tag, COLOURS[number % len(COLOURS)], cell)
        self._draw_marks(pen, layout)
        return np.asarray(picture)

    def _draw_lane(self, pen: Any, layout: Layout, tag: Tag, colour: Rgb, cell: Cell) -> None:
        left, top, right, bottom = cell
        font = _font(layout.letters)
        name = _shortened(tag.label, font, left - 2.5 * layout.letters)
        pen.text(
            (layout.letters, (top + bottom) / 2), name, font=font, fill=(*_WHITE, 255), anchor="lm"
        )
        if not tag.events:  # seen, not heard: holds for the whole clip
            pen.rectangle(cell, outline=(*colour, 150))
        for event in tag.events:
            pen.rectangle(
                (self._column(layout, event.start), top, self._column(layout, event.end), bottom),
                fill=(*colour, 90),
            )
        heights = self._curve(tag.label, right - left)
        for x in np.flatnonzero(np.isfinite(heights)):
            pen.line(
                (
                    left + int(x),
                    bottom,
                    left + int(x),
                    bottom - round(float(heights[x]) * (bottom - top)),
                ),
                fill=(*colour, 210),
            )

    def _draw_marks(self, pen: Any, layout: Layout) -> None:
        """Diamonds below the lanes, one per key frame."""
        middle = layout.panel - round(0.4 * layout.row)
        radius = max(2, layout.letters // 3)
        pen.text(
            (layout.letters, middle),
            "key frames",
            font=_font(round(layout.letters * 0.8)),
            fill=(*_GREY, 255),
            anchor="lm",
        )
        for keyframe in self.tagged.keyframes:
            x = self._column(layout, keyframe.seconds)
            pen.polygon(
                [
                    (x - radius, middle),
                    (x, middle - radius),
                    (x + radius, middle),
                    (x, middle + radius),
                ],
                fill=(*_WHITE, 255),
            )

    def _draw_playhead(self, drawn: Images, layout: Layout, seconds: float) -> None:
        x = self._column(layout, seconds)
        drawn[layout.height - layout.panel :, max(0, x - 1) : x + 1] = _WHITE

    def _column(self, layout: Layout, seconds: float) -> int:
        left, right = layout.track
        share = min(max((seconds - self.start) / self.length, 0.0), 1.0)
        return round(left + share * (right - left))

    def _curve(self, label: str, columns: int) -> NDArray[np.float64]:
        """The activity at each column of the time axis; NaN where it is unknown."""
        activity = self.tagged.activity
        if activity is None or not len(activity.values):
            return np.full(columns, np.nan)
        times = self.start + (np.arange(columns) + 0.5) / columns * self.length
        places = np.floor((times - activity.start_seconds) * activity.rate).astype(int)
        values = activity.values[:, tuple(self.tagged.scores).index(label)].astype(np.float64)
        return np.where(
            (places >= 0) & (places < len(values)),
            values[np.clip(places, 0, len(values) - 1)],
            np.nan,
        )


def draw(image: Images, seconds: float, tagged: Tagged) -> Images:
    """One picture with the result at this time drawn into it."""
    return Annotator(tagged)(image, seconds)


def annotate(tagged: Tagged, target: Path) -> Path:
    """A copy of the video with the result drawn into it; the sound is copied unchanged."""
    from av_tagger.media.write import copy_with_pictures

    drawing: Callable[[Images, float], Images] = Annotator(tagged)
    return copy_with_pictures(tagged.clip.path, target, drawing)


def _named(keyframe: KeyFrame) -> str:
    return "key frame" + (
        f": {keyframe.objects[0][0]}  {keyframe.objects[0][1]:.2f}" if keyframe.objects else ""
    )


def _shortened(text: str, font: Any, width: float) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _blend(image: Images, layer: NDArray[np.uint8], x: int, y: int) -> None:
    """Blend an RGBA picture into an RGB one, in place; parts beyond the edge are cut off."""
    part = image[y : y + layer.shape[0], x : x + layer.shape[1]]
    layer = layer[: part.shape[0], : part.shape[1]]
    alpha = layer[..., 3:].astype(np.uint16)
    part[...] = ((part * (255 - alpha) + layer[..., :3] * alpha + 127) // 255).astype(np.uint8)


def _canvas(width: int, height: int) -> tuple[Image.Image, Any]:
    image, image_draw, _ = _pillow()
    picture = image.new("RGBA", (max(1, width), max(1, height)), (0, 0, 0, 0))
    return picture, image_draw.Draw(picture, "RGBA")


@lru_cache(maxsize=16)
def _font(size: int) -> Any:
    """DejaVu Sans of Matplotlib, which has most alphabets; else the default of Pillow."""
    _, _, image_font = _pillow()
    try:
        import matplotlib as mpl

        return image_font.truetype(
            str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size
        )
    except (ImportError, OSError):
        return image_font.load_default(size)


def _pillow() -> tuple[Any, Any, Any]:
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise missing_library("annotated videos need", "pillow", error) from error
    return Image, ImageDraw, ImageFont

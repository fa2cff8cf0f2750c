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

    from av_tagger.clip import Images
    from av_tagger.scores import KeyFrame, Tag, Tagged

    Layer = tuple[NDArray[np.uint8], NDArray[np.float32]]  # RGB, and how opaque it is (0 to 1)

Rgb = tuple[int, int, int]
Rgba = tuple[int, int, int, int]
Cell = tuple[int, int, int, int]  # left, top, right, bottom in pixels
Text = tuple[str, float, float, Any, Rgb]  # where it starts, its middle line, font, colour

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
            top += badge[0].shape[0] + layout.letters // 3
        return drawn

    def _badges(self, layout: Layout, seconds: float) -> list[Layer]:
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

    def _draw_badge(self, text: str, colour: Rgb, letters: int) -> Layer:
        font = _font(round(letters * 1.15))
        left, _, right, _ = font.getbbox(text)
        pad = letters // 2
        picture = _canvas(int(right - left) + 4 * pad, int(letters * 1.15) + 2 * pad)
        height, width = picture.shape[:2]
        _rounded(picture, width, pad, (*_NIGHT, 200))
        _rounded(picture, max(2, pad // 2), 1, (*colour, 255))
        return _written(picture, [(text, 2 * pad, height / 2, font, _WHITE)])

    def _draw_still(self, layout: Layout) -> Layer:
        picture = _canvas(layout.width, layout.panel)
        picture[:] = (*_NIGHT, 185)
        left, right = layout.track
        texts: list[Text] = []
        for number, tag in enumerate(self.tagged.tags[: layout.rows]):
            top = number * layout.row
            cell = (left, top + round(0.18 * layout.row), right, top + layout.row - 2)
            self._draw_lane(picture, layout, tag, COLOURS[number % len(COLOURS)], cell)
            texts.append(_name_of(tag, layout, cell))
        texts.append(self._draw_marks(picture, layout))
        return _written(picture, texts)

    def _draw_lane(
        self, picture: NDArray[np.uint8], layout: Layout, tag: Tag, colour: Rgb, cell: Cell
    ) -> None:
        cv2 = _opencv()
        left, top, right, bottom = cell
        if not tag.events:  # seen, not heard: holds for the whole clip
            cv2.rectangle(picture, (left, top), (right, bottom), (*colour, 150))
        for event in tag.events:
            begin, end = self._column(layout, event.start), self._column(layout, event.end)
            cv2.rectangle(picture, (begin, top), (end, bottom), (*colour, 90), cv2.FILLED)
        heights = self._curve(tag.label, right - left)
        for x in np.flatnonzero(np.isfinite(heights)):
            peak = bottom - round(float(heights[x]) * (bottom - top))
            column = left + int(x)
            cv2.line(picture, (column, bottom), (column, peak), (*colour, 210))

    def _draw_marks(self, picture: NDArray[np.uint8], layout: Layout) -> Text:
        """Diamonds below the lanes, one per key frame; their caption is returned."""
        middle = layout.panel - round(0.4 * layout.row)
        radius = max(2, layout.letters // 3)
        around = np.array([(-radius, 0), (0, -radius), (radius, 0), (0, radius)], np.int32)
        for keyframe in self.tagged.keyframes:
            x = self._column(layout, keyframe.seconds)
            _opencv().fillConvexPoly(
                picture, np.add(around, (x, middle), dtype=np.int32), (*_WHITE, 255)
            )
        return "key frames", layout.letters, middle, _font(round(layout.letters * 0.8)), _GREY

    def _draw_playhead(self, drawn: Images, layout: Layout, seconds: float) -> None:
        cv2, x = _opencv(), self._column(layout, seconds)
        corners = (max(0, x - 1), layout.height - layout.panel), (x, layout.height - 1)
        cv2.rectangle(drawn, *corners, _WHITE, cv2.FILLED)

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


def _name_of(tag: Tag, layout: Layout, cell: Cell) -> Text:
    """The label of a lane, left of it."""
    left, top, _, bottom = cell
    font = _font(layout.letters)
    name = _shortened(tag.label, font, left - 2.5 * layout.letters)
    return name, layout.letters, (top + bottom) / 2, font, _WHITE


def _blend(image: Images, layer: Layer, x: int, y: int) -> None:
    """Blend a layer into an RGB picture, in place; parts beyond the edge are cut off."""
    colours, alpha = layer
    part = image[y : y + colours.shape[0], x : x + colours.shape[1]]
    if not part.size:
        return
    inside = slice(part.shape[0]), slice(part.shape[1])
    upper, share = (np.ascontiguousarray(a[inside]) for a in (colours, alpha))
    part[...] = _opencv().blendLinear(np.ascontiguousarray(part), upper, 1 - share, share)


def _canvas(width: int, height: int) -> NDArray[np.uint8]:
    """A transparent RGBA picture."""
    return np.zeros((max(1, height), max(1, width), 4), np.uint8)


def _rounded(picture: NDArray[np.uint8], width: int, radius: int, colour: Rgba) -> None:
    """A filled rectangle with round corners, from the left edge, as high as the picture."""
    cv2, height = _opencv(), picture.shape[0]
    radius = max(0, min(radius, (width - 1) // 2, (height - 1) // 2))
    right, bottom = width - 1 - radius, height - 1 - radius
    cv2.rectangle(picture, (radius, 0), (right, height - 1), colour, cv2.FILLED)
    cv2.rectangle(picture, (0, radius), (width - 1, bottom), colour, cv2.FILLED)
    for x in (radius, right):
        for y in (radius, bottom):
            cv2.circle(picture, (x, y), radius, colour, cv2.FILLED)


def _written(picture: NDArray[np.uint8], texts: list[Text]) -> Layer:
    """The picture with texts, by Pillow: OpenCV has no letters but the Latin ones."""
    image, image_draw, _ = _pillow()
    canvas = image.fromarray(picture)
    pen = image_draw.Draw(canvas)
    for text, x, y, font, colour in texts:
        pen.text((x, y), text, font=font, fill=(*colour, 255), anchor="lm")
    drawn = np.asarray(canvas)
    return np.ascontiguousarray(drawn[..., :3]), drawn[..., 3].astype(np.float32) / np.float32(255)


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


def _opencv() -> Any:
    try:
        import cv2
    except (ImportError, OSError) as error:
        cause = ImportError(str(error))
        raise missing_library("annotated videos need", "opencv-python-headless", cause) from error
    return cv2


def _pillow() -> tuple[Any, Any, Any]:
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise missing_library("annotated videos need", "pillow", error) from error
    return Image, ImageDraw, ImageFont

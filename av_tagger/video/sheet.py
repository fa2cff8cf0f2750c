"""A contact sheet: the key frames of a clip side by side, with their times, weights and objects."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.scores import KeyFrame

if TYPE_CHECKING:
    from PIL.Image import Image

TILE = 320  # pixels: the longer side of a kept picture
MARGIN = 8
LINE = 18
OBJECTS = 3
PAPER, INK, SOFT = (250, 250, 248), (30, 30, 30), (110, 110, 110)


def draw_sheet(title: str, keyframes: Sequence[KeyFrame]) -> Image:
    """All key frames in one row under a title; without a picture a tile stays empty."""
    from PIL import Image as Pictures
    from PIL import ImageDraw, ImageFont

    pictures = [_open(frame) for frame in keyframes]
    tall = max(
        (picture.height for picture in pictures if picture is not None), default=TILE * 9 // 16
    )
    top = MARGIN + LINE + MARGIN
    width = MARGIN + max(1, len(keyframes)) * (TILE + MARGIN)
    sheet = Pictures.new("RGB", (width, top + tall + MARGIN + (1 + OBJECTS) * LINE + MARGIN), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=13)
    pen.text((MARGIN, MARGIN), title, INK, font)
    for column, (frame, picture) in enumerate(zip(keyframes, pictures, strict=True)):
        left = MARGIN + column * (TILE + MARGIN)
        pen.rectangle((left, top, left + TILE - 1, top + tall - 1), (235, 235, 232))
        if picture is not None:
            sheet.paste(
                picture, (left + (TILE - picture.width) // 2, top + (tall - picture.height) // 2)
            )
        for row, (text, colour) in enumerate(_lines(frame)):
            pen.text((left, top + tall + MARGIN + row * LINE), text, colour, font)
    return sheet


def save_sheet(path: Path, title: str, keyframes: Sequence[KeyFrame]) -> None:
    draw_sheet(title, keyframes).save(path, "PNG")


def _lines(frame: KeyFrame) -> list[tuple[str, tuple[int, int, int]]]:
    named = [(f"{probability:.2f}  {name}", INK) for name, probability in frame.objects[:OBJECTS]]
    return [(f"{frame.seconds:.2f} s, stands for {frame.weight:.0%} of the frames", SOFT), *named]


def _open(frame: KeyFrame) -> Image | None:
    from PIL import Image as Pictures

    return Pictures.open(io.BytesIO(frame.picture)).convert("RGB") if frame.picture else None

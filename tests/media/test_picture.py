"""Pictures are rotated, stretched and scaled as players show them."""

from __future__ import annotations

import struct
from itertools import product
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from av_tagger.media.picture import (
    MAX_STRETCH,
    UPRIGHT,
    Painter,
    Turn,
    Turning,
    pixel_stretch,
    shown_size,
    target_size,
    turn_of,
)

ORIENTATIONS = [  # a, b, c, d of all display matrices that map the pixel grid to itself
    (sx, 0, 0, sy) for sx, sy in product((1, -1), repeat=2)
] + [(0, b, c, 0) for b, c in product((1, -1), repeat=2)]


class DisplayMatrix:
    """Side data of a frame: nine fixed-point numbers."""

    buffer_size = 36

    def __init__(self, a: int, b: int, c: int, d: int) -> None:
        one = 1 << 16
        self.raw = struct.pack("=9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)

    def __bytes__(self) -> bytes:
        return self.raw


def frame_with(side_data: object, rotation: int = 0) -> Any:
    return SimpleNamespace(side_data={"DISPLAYMATRIX": side_data}, rotation=rotation)


def placed(image: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """Every pixel moved by the equations, one by one."""
    a, b, c, d = matrix
    height, width = image.shape[:2]
    points = {
        (a * x + c * y, b * x + d * y): image[y, x] for y in range(height) for x in range(width)
    }
    left, top = (min(point[axis] for point in points) for axis in (0, 1))
    right, bottom = (max(point[axis] for point in points) for axis in (0, 1))
    out = np.zeros((bottom - top + 1, right - left + 1, *image.shape[2:]), image.dtype)
    for (x, y), value in points.items():
        out[y - top, x - left] = value
    return out


@pytest.mark.parametrize("matrix", ORIENTATIONS)
def test_a_turn_moves_pixels_as_the_matrix_says(matrix: tuple[int, int, int, int]) -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    turn = turn_of(frame_with(DisplayMatrix(*matrix)))
    np.testing.assert_array_equal(turn.apply(image), placed(image, matrix))


@pytest.mark.parametrize(
    ("matrix", "degrees"),
    [((1, 0, 0, 1), 0), ((0, 1, -1, 0), 90), ((-1, 0, 0, -1), 180), ((0, -1, 1, 0), 270)],
)
def test_degrees_are_clockwise(matrix: tuple[int, int, int, int], degrees: int) -> None:
    assert turn_of(frame_with(DisplayMatrix(*matrix))).degrees == degrees


def test_without_a_display_matrix_a_frame_is_upright() -> None:
    assert turn_of(frame_with(None)) is UPRIGHT
    assert turn_of(frame_with(SimpleNamespace(buffer_size=4))) is UPRIGHT


def test_the_matrix_is_read_only_when_the_rotation_changes() -> None:
    turning, quarter = Turning(), DisplayMatrix(0, 1, -1, 0)
    assert turning.turn_for(frame_with(quarter, 90)).degrees == 90
    assert turning.turn_for(frame_with("is not read", 90)).degrees == 90
    assert turning.turn_for(frame_with(DisplayMatrix(1, 0, 0, 1), 0)) is UPRIGHT


@pytest.mark.parametrize(
    ("ratio", "stretch"),
    [
        (None, 1.0),
        (0, 1.0),
        (16 / 15, 16 / 15),
        (1.01, 1.0),
        (MAX_STRETCH * 2, 1.0),
        (1 / MAX_STRETCH / 2, 1.0),
        (MAX_STRETCH, MAX_STRETCH),
    ],
)
def test_pixel_aspect_ratios_are_checked(ratio: float | None, stretch: float) -> None:
    assert pixel_stretch(SimpleNamespace(sample_aspect_ratio=ratio)) == stretch
    assert pixel_stretch(SimpleNamespace()) == 1.0


def test_the_shown_size_is_stretched_then_turned() -> None:
    assert shown_size(720, 576, 16 / 15, UPRIGHT) == (768, 576)
    assert shown_size(720, 576, 16 / 15, Turn(transposed=True)) == (576, 768)
    assert shown_size(1, 1, 0.25, UPRIGHT) == (1, 1)


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((640, 360), 342, (640, 360)),  # near enough
        ((640, 360), 320, (569, 320)),
        ((320, 180), 342, (320, 180)),  # never up
        ((1080, 1920), 342, (342, 608)),
        ((10_000, 4), 2, (5000, 2)),
        ((4, 1), 1, (4, 1)),
    ],
)
def test_target_sizes(size: tuple[int, int], short_side: int, expected: tuple[int, int]) -> None:
    assert target_size(*size, short_side) == expected


def test_a_painter_scales_all_frames_to_the_size_of_the_first() -> None:
    painter = Painter(SimpleNamespace(sample_aspect_ratio=None), 30)
    for width, height in ((80, 60), (40, 30), (160, 90)):
        image = np.full((height, width, 3), (200, 100, 50), np.uint8)
        painted = painter.paint(av.VideoFrame.from_ndarray(image, format="rgb24"))
        assert painted.shape == (30, 40, 3)
        assert np.abs(painted.reshape(-1, 3).mean(axis=0) - (200, 100, 50)).max() < 3


def test_full_size_rgb_is_unchanged() -> None:
    """33 pixels: rows are padded in the decoder's memory."""
    image = np.random.default_rng(0).integers(0, 256, (21, 33, 3), np.uint8)
    painter = Painter(SimpleNamespace(sample_aspect_ratio=None), None)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    np.testing.assert_array_equal(painter.paint(frame), image)

"""Frames that hardly change share their features."""

from __future__ import annotations

import numpy as np
import pytest

from av_tagger.clip import ColourMatrix, Frames
from av_tagger.video.still import merge_still


def film(*levels: float, first_equal: list[int] | None = None, planes: bool = True) -> Frames:
    """One grey picture per level."""
    shape = (48, 32) if planes else (32, 32, 3)
    images = np.stack([np.full(shape, level, np.uint8) for level in levels])
    first = None if first_equal is None else np.array(first_equal)
    luma = ColourMatrix() if planes else None
    return Frames(images, np.arange(len(levels)) / 8, luma=luma, first_equal=first)


@pytest.mark.parametrize("planes", [True, False])
def test_frames_within_the_limit_are_repeats_of_the_first_of_them(planes: bool) -> None:
    found = merge_still(film(100, 101, 101, 110, 111, 100, planes=planes), 1.0)
    assert found.first_equal is not None
    assert found.first_equal.tolist() == [0, 0, 0, 3, 3, 5]


def test_a_slow_change_adds_up() -> None:
    found = merge_still(film(*range(100, 110)), 2.0)
    assert found.first_equal is not None
    assert found.first_equal.tolist() == [0, 0, 0, 3, 3, 3, 6, 6, 6, 9]


def test_equal_frames_that_are_known_stay_so() -> None:
    found = merge_still(film(10, 50, 90, 50, 90.5, first_equal=[0, 1, 2, 1, 4]), 1.0)
    assert found.first_equal is not None
    assert found.first_equal.tolist() == [0, 1, 2, 1, 2]


def test_nothing_else_changes_and_one_frame_is_enough() -> None:
    given = film(7)
    found = merge_still(given, 5.0)
    assert found.images is given.images
    assert found.times is given.times
    rows, places = found.distinct()
    assert (rows.tolist(), places.tolist()) == ([0], [0])


def test_the_limit_itself_is_still() -> None:
    found = merge_still(film(100, 103, 104), 3.0)
    assert found.first_equal is not None
    assert found.first_equal.tolist() == [0, 0, 2]


def test_colour_alone_is_no_change_and_brightness_of_a_part_is() -> None:
    images = np.full((4, 48, 32), 100, np.uint8)
    images[1, 32:] = 200  # the planes of colour, below the luma
    images[2, :16] = 140  # half of the luma, by 40
    images[3, 1:8, 1:8] = 255  # between the pixels that are compared
    given = Frames(images, np.arange(4) / 8, luma=ColourMatrix())
    for most, expected in ((19.0, [0, 0, 2, 3]), (20.0, [0, 0, 0, 0])):
        found = merge_still(given, most)
        assert found.first_equal is not None
        assert found.first_equal.tolist() == expected


def test_dark_after_bright_does_not_wrap_around() -> None:
    found = merge_still(film(255, 0, 1, 254), 5.0)
    assert found.first_equal is not None
    assert found.first_equal.tolist() == [0, 1, 1, 3]


def test_pictures_smaller_than_the_grid_are_compared_by_one_pixel() -> None:
    images = np.zeros((3, 4, 4, 3), np.uint8)
    images[1, 0, 0, 1] = 9
    found = merge_still(Frames(images, np.arange(3) / 8), 8.0)
    assert found.first_equal is not None
    assert found.first_equal.tolist() == [0, 1, 2]

"""Equal frames: found by checksum, decided by comparison."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from av_tagger.clip import Frames
from av_tagger.repeats import BLOCK, SAMPLED, RepeatFinder, checksum, first_equal


def pictures(numbers: list[int], size: tuple[int, ...] = (5, 7, 3)) -> np.ndarray:
    """Equal numbers give equal pictures."""
    made = [np.random.default_rng(n).integers(0, 256, size, dtype=np.uint8) for n in numbers]
    return np.stack(made) if made else np.empty((0, *size), np.uint8)


@given(st.lists(st.integers(0, 4), max_size=12))
def test_the_first_of_equal_frames(numbers: list[int]) -> None:
    assert first_equal(pictures(numbers)).tolist() == [numbers.index(n) for n in numbers]


def test_almost_a_repeat_is_none() -> None:
    images = pictures([0, 1, 0, 0, 2, 1])
    images[3, 2, 3, 0] ^= 255
    assert first_equal(images).tolist() == [0, 1, 0, 3, 4, 1]


def test_equal_sums_are_not_equal_frames() -> None:
    flat = np.zeros((3, 24), dtype=np.uint8)
    flat[0, 0] = flat[1, 8] = flat[2, 0] = 9  # bytes are added eight at a time
    images = flat.reshape(3, 2, 4, 3)
    assert checksum(images[0]) == checksum(images[1])
    assert first_equal(images).tolist() == [0, 1, 0]


@pytest.mark.parametrize("count", [7, 8, 9, 1024, 5000])
def test_every_byte_counts(count: int) -> None:
    for i in {0, 1, count // 2, count - 1}:
        image = np.zeros(count, np.uint8)
        image[i] = 200
        assert checksum(image) > 0


def test_a_part_of_a_frame_is_enough_for_most() -> None:
    image = np.zeros(BLOCK * SAMPLED * 3 + 9, np.uint8)
    image[:: BLOCK // 2] = 1
    assert 0 < checksum(image, SAMPLED) < checksum(image) / 4
    assert checksum(image[-9:], SAMPLED) == checksum(image[-9:])


def test_frames_that_differ_outside_of_the_sample_are_told_apart() -> None:
    """Many frames with the same sampled bytes, as of a talk before a still background."""
    images = np.zeros((6, BLOCK * SAMPLED * 2), np.uint8)
    for row, value in enumerate([1, 2, 1, 3, 2, 1]):
        images[row, 2 * BLOCK] = value
    assert len({checksum(image, SAMPLED) for image in images}) == 1
    assert first_equal(images).tolist() == [0, 1, 0, 3, 1, 0]


def test_rows_can_be_added_while_the_memory_grows() -> None:
    """As windows do, whose block is replaced by a larger one."""
    images, repeats = pictures([3, 1, 3]), RepeatFinder()
    block = np.empty((2, *images.shape[1:]), np.uint8)
    for row, image in enumerate(images):
        if row == len(block):
            block = np.concatenate([block, np.empty_like(block)])
        block[row] = image
        repeats.add(block)
    assert repeats.first == [0, 1, 0]


def test_frames_without_known_repeats_are_looked_through() -> None:
    images = pictures([5, 5, 6])
    rows, places = Frames(images, np.arange(3.0)).distinct()
    assert (rows.tolist(), places.tolist()) == ([0, 2], [0, 0, 1])
    told = Frames(images, np.arange(3.0), first_equal=np.array([0, 1, 1]))
    assert [part.tolist() for part in told.distinct()] == [[0, 1], [0, 1, 1]]
    with pytest.raises(ValueError, match="one row per frame"):
        Frames(images, np.arange(3.0), first_equal=np.array([0]))

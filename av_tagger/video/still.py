"""Frames that hardly differ from the one before, for which no features are computed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Frames, Rows

STEP = 8  # pixels between those that are compared, in both directions


def merge_still(frames: Frames, most: float) -> Frames:
    """The same frames; what is still counts as a repeat, whose features are computed once.

    A frame is still if its luma differs by at most `most` (of 255) on average from the last frame
    that is not. So a slow change adds up until it is seen.
    """
    pixels = _sample(frames)
    known = np.arange(len(frames)) if frames.first_equal is None else frames.first_equal
    return replace(frames, first_equal=_first_alike(pixels, known, most))


def _first_alike(pixels: NDArray[np.int16], known: Rows, most: float) -> Rows:
    first, anchor = known.copy(), 0
    for row in range(1, len(pixels)):
        if known[row] < row:  # equal to an earlier frame, byte for byte
            first[row] = first[known[row]]
        elif np.abs(pixels[row] - pixels[anchor]).mean() <= most:
            first[row] = first[anchor]
        else:
            anchor = row
    return first


def _sample(frames: Frames) -> NDArray[np.int16]:
    """(n, pixels) luma, or green, of every `STEP`-th pixel of every `STEP`-th row."""
    pictures: Any = frames.images  # of planes the first is luma, in the first two thirds
    height = frames.size[0]
    grid = pictures[:, :height:STEP, ::STEP]
    grid = grid[..., 1] if frames.luma is None else grid
    grid = grid.cpu().numpy() if hasattr(grid, "cpu") else grid  # decoded on a card
    return np.asarray(grid.reshape(len(frames), -1), np.int16)

"""Clips, waveforms and frames: checks, and colours of planar frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip, ColourMatrix, Frames

# (Y, U, V) and (R, G, B) of the standards: white, black, primaries of BT.601 and BT.709
STANDARD = [
    (ColourMatrix(), (235, 128, 128), (255, 255, 255)),
    (ColourMatrix(), (16, 128, 128), (0, 0, 0)),
    (ColourMatrix(), (81, 90, 240), (254, 0, 0)),
    (ColourMatrix(), (145, 54, 34), (0, 255, 1)),
    (ColourMatrix(), (41, 240, 110), (0, 0, 255)),
    (ColourMatrix(0.2126, 0.0722), (63, 102, 240), (255, 1, 0)),
    (ColourMatrix(0.2126, 0.0722), (173, 42, 26), (0, 255, 1)),
    (ColourMatrix(0.2126, 0.0722), (32, 240, 118), (1, 0, 255)),
    (ColourMatrix(full=True), (76, 85, 255), (254, 0, 0)),
    (ColourMatrix(full=True), (255, 128, 128), (255, 255, 255)),
]


def flat(yuv: tuple[int, int, int], height: int, width: int) -> np.ndarray:
    y, u, v = (
        np.full(n, c, np.uint8)
        for n, c in zip((height * width, *[height * width // 4] * 2), yuv, strict=True)
    )
    return np.concatenate([y, u, v]).reshape(1, height * 3 // 2, width)


@pytest.mark.parametrize(("luma", "yuv", "rgb"), STANDARD)
def test_colours_of_the_standards(
    luma: ColourMatrix, yuv: tuple[int, int, int], rgb: tuple[int, int, int]
) -> None:
    frames = Frames(flat(yuv, 6, 4), np.zeros(1), luma=luma)
    found = frames.rgb()
    assert found.shape == (1, 6, 4, 3)
    assert np.ptp(found.reshape(-1, 3), axis=0).max() == 0
    assert np.abs(found[0, 0, 0].astype(int) - rgb).max() <= 1


@pytest.mark.parametrize("size", [(4, 6), (90, 160), (342, 608)])
def test_planes_become_the_colours_of_the_formula(size: tuple[int, int]) -> None:
    """Against double precision, pixel by pixel; the sides of the planes need not divide by four."""
    height, width = size
    images = np.random.default_rng(0).integers(0, 256, (3, height * 3 // 2, width), dtype=np.uint8)
    frames = Frames(images, np.arange(3.0), luma=ColourMatrix(0.2126, 0.0722))
    assert frames.size == size
    y, u, v = frames.planes()
    assert (y.shape, u.shape, v.shape) == (
        (3, height, width),
        (3, height // 2, width // 2),
        (3, height // 2, width // 2),
    )
    assert np.array_equal(
        np.concatenate([p.reshape(3, -1) for p in (y, u, v)], axis=1), images.reshape(3, -1)
    )
    up = [np.repeat(np.repeat(p.astype(float), 2, axis=1), 2, axis=2) for p in (u, v)]
    r = 255 / 219 * (y - 16.0) + 255 / 224 * 1.5748 * (up[1] - 128)
    g = 255 / 219 * (y - 16.0) - 255 / 224 * (0.18732 * (up[0] - 128) + 0.46812 * (up[1] - 128))
    b = 255 / 219 * (y - 16.0) + 255 / 224 * 1.8556 * (up[0] - 128)
    exact = np.stack([r, g, b], axis=-1).round().clip(0, 255)
    off = np.abs(frames.rgb() - exact)
    assert off.max() <= 1
    assert off.mean() < 0.01
    assert np.array_equal(frames.rgb(np.array([2, 0])), frames.rgb()[[2, 0]])


def test_no_rows_give_no_pictures() -> None:
    frames = Frames(np.zeros((2, 6, 4), np.uint8), np.arange(2.0), luma=ColourMatrix())
    assert frames.rgb(np.array([], dtype=np.int64)).shape == (0, 4, 4, 3)


@pytest.mark.parametrize(
    ("shape", "luma"),
    [
        ((2, 6, 4), None),
        ((2, 6, 4, 3), ColourMatrix()),
        ((2, 5, 4), ColourMatrix()),
        ((2, 6, 5), ColourMatrix()),
        ((2, 6, 4, 4), None),
    ],
)
def test_frames_of_another_shape_are_refused(
    shape: tuple[int, ...], luma: ColourMatrix | None
) -> None:
    with pytest.raises(ValueError, match="frames must be uint8, RGB or planar"):
        Frames(np.zeros(shape, np.uint8), np.zeros(2), luma=luma)


def test_one_time_per_frame() -> None:
    with pytest.raises(ValueError, match="one time per frame"):
        Frames(np.zeros((2, 6, 4), np.uint8), np.zeros(3), luma=ColourMatrix())


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("a.mp4", "a.mp4"),
        (Path("a.mp4"), "a.mp4"),
        ("https://host/a.mp4", "https://host/a.mp4"),
        (Path("https://host/a.mp4"), "https://host/a.mp4"),  # `Path` leaves one slash
        ("https:/host/a.mp4", "https://host/a.mp4"),
    ],
)
def test_an_address_is_never_mangled(given: str | Path, name: str) -> None:
    assert Clip.of(given).name == name

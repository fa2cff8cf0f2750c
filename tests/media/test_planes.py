"""Frames stay the decoder's YUV planes: same bytes, right colours, upright, even sides."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from av_tagger.clip import Clip, ColourMatrix, Frames
from av_tagger.media import make_backend, planes
from av_tagger.media.decode_process import DecodeProcess
from av_tagger.media.planes import PlanePainter, area_resize, halvings
from av_tagger.media.windows import LazyPicture
from av_tagger.protocols import DecodeRequest
from tests import ROOT
from tests.assets import CORNERS, make_video, seen_corners

EYE = DecodeRequest(audio_rate=None)
COLOURS = [(200, 60, 40), (30, 180, 60), (40, 50, 190), (128, 128, 128), (235, 220, 30)]
SHARES = {
    1: (0.2126, 0.0722),
    2: (0.299, 0.114),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
LIMITED, FULL = 1, 2
Array = np.ndarray


def read(path: Path, wanted: DecodeRequest = EYE) -> Frames:
    (media,) = make_backend("pyav").windows(Clip(path), wanted)
    assert media.frames is not None
    return media.frames


def coded(colour: tuple[int, int, int], matrix: int, full: bool) -> tuple[int, int, int]:
    """Y, Cb, Cr of a colour by the equations of ITU-T H.273, section 8.3, for eight bits."""
    red, blue = SHARES[matrix]
    r, g, b = (c / 255 for c in colour)
    y = red * r + (1 - red - blue) * g + blue * b
    differences = ((b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red)))
    values = (
        (255 * y, *(255 * d + 128 for d in differences))
        if full
        else (219 * y + 16, *(224 * d + 128 for d in differences))
    )
    return tuple(round(v) for v in values)  # type: ignore[return-value]


def filled(pixels: str, values: list[Any], size: tuple[int, int] = (64, 48)) -> av.VideoFrame:
    """A frame whose planes hold these values: numbers, or arrays of the plane's size."""
    frame = av.VideoFrame(*size, pixels)
    for plane, value in zip(frame.planes, values, strict=True):
        kind = np.uint16 if "10" in pixels else np.uint8
        rows = np.zeros((plane.height, plane.line_size // kind().itemsize), kind)
        rows[:, : plane.width] = value
        plane.update(rows.tobytes())
    return frame


def store(
    path: Path,
    frames: list[av.VideoFrame],
    codec: str = "ffv1",
    at: Sequence[int] = range(100),
    **settings: Any,
) -> Path:
    """Frames without loss (FFV1 or raw video), shown at these 24ths of a second."""
    first = frames[0]
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, first.format.name
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        for number, frame in zip(at, frames, strict=False):
            frame.pts, frame.time_base = number, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def flat(
    colour: tuple[int, int, int], matrix: int, full: bool, pixels: str = "yuv420p"
) -> av.VideoFrame:
    y, u, v = (value * (4 if "10" in pixels else 1) for value in coded(colour, matrix, full))
    frame = filled(pixels, [y, u, v])
    frame.colorspace, frame.color_range = matrix, FULL if full else LIMITED
    return frame


def decoded(path: Path) -> Array:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)])


def painted(painter: PlanePainter, frame: av.VideoFrame) -> tuple[LazyPicture, Array]:
    lazy_picture = painter.paint(frame)
    memory = np.zeros((1, *lazy_picture.shape), np.uint8)
    lazy_picture.put(memory[0])
    return lazy_picture, Frames(memory, np.zeros(1), luma=lazy_picture.luma).rgb().reshape(
        -1, 3
    ).mean(axis=0)


@pytest.mark.parametrize(
    ("codec", "size"),
    [("h264", (96, 64)), ("h264", (98, 50)), ("vp9", (320, 180)), ("mpeg4", (64, 160))],
)
def test_planes_are_the_decoders_own(tmp_path: Path, codec: str, size: tuple[int, int]) -> None:
    path = make_video(tmp_path / "a.mkv", 0.5, size=size, codec=codec, audio=None)
    frames = read(path)
    assert frames.luma == ColourMatrix()
    assert frames.size == size[::-1]
    assert len(frames) == 12
    np.testing.assert_array_equal(frames.images, decoded(path))


@pytest.mark.parametrize("size", [(65, 97), (64, 97), (65, 96)])
def test_odd_rows_and_columns_are_cut_off(tmp_path: Path, size: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    halves = ((size[1] + 1) // 2, (size[0] + 1) // 2)
    content = [
        generator.integers(0, 256, shape, np.uint8) for shape in (size[::-1], halves, halves)
    ]
    frames = read(store(tmp_path / "a.mkv", [filled("yuv420p", content, size)]))
    assert frames.size == (96, 64)
    for plane, whole in zip(frames.planes(), content, strict=True):
        np.testing.assert_array_equal(plane[0], whole[: plane.shape[1], : plane.shape[2]])


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", SHARES)
def test_colours_follow_the_tags(tmp_path: Path, matrix: int, full: bool) -> None:
    """Within 8-bit rounding; a BT.709 green read as BT.601 would be off by 20 or more."""
    tags = {"colorspace": matrix, "color_range": FULL if full else LIMITED}
    frames = read(
        store(tmp_path / "a.mkv", [flat(colour, matrix, full) for colour in COLOURS], **tags)
    )
    red, blue = SHARES[matrix]
    assert frames.luma == ColourMatrix(red, blue, full)
    for image, colour in zip(frames.rgb(), COLOURS, strict=True):
        np.testing.assert_allclose(image.reshape(-1, 3).mean(axis=0), colour, atol=2)


@pytest.mark.parametrize(("matrix", "full"), [(1, False), (6, False), (2, True)])
def test_colours_follow_the_tags_of_a_coded_stream(tmp_path: Path, matrix: int, full: bool) -> None:
    """H.264 has them in the stream; full range has a pixel format of its own (yuvj420p)."""
    tags = {
        "colorspace": matrix,
        "color_range": FULL if full else LIMITED,
        "options": {"crf": "2", "preset": "ultrafast"},
    }
    path = store(tmp_path / "a.mp4", [flat(COLOURS[0], matrix, full)] * 3, "libx264", **tags)
    frames = read(path)
    assert frames.luma is not None
    assert frames.luma.full == full
    np.testing.assert_allclose(frames.rgb().reshape(-1, 3).mean(axis=0), COLOURS[0], atol=3)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv422p", "yuv422p10le", "yuv411p", "yuv440p"])
def test_deeper_and_wider_formats_become_planes(tmp_path: Path, pixels: str, full: bool) -> None:
    tags = {"colorspace": 9, "color_range": FULL if full else LIMITED}
    frames = read(store(tmp_path / "a.mkv", [flat(COLOURS[1], 9, full, pixels)], **tags))
    assert frames.luma == ColourMatrix(*SHARES[9], full)
    assert frames.size == (48, 64)
    np.testing.assert_allclose(frames.rgb().reshape(-1, 3).mean(axis=0), COLOURS[1], atol=3)


@pytest.mark.parametrize("pixels", ["yuv444p", "gray", "bgr0"])
def test_formats_without_subsampling_stay_rgb(tmp_path: Path, pixels: str) -> None:
    if pixels == "bgr0":
        frame = av.VideoFrame.from_ndarray(
            np.full((48, 64, 3), COLOURS[2], np.uint8), format="rgb24"
        ).reformat(format=pixels)
    else:
        frame = filled(pixels, list(coded(COLOURS[2], 2, False))[: 1 if pixels == "gray" else 3])
    frames = read(store(tmp_path / "a.mkv", [frame]))
    assert frames.luma is None
    assert frames.images.shape == (1, 48, 64, 3)
    found = frames.rgb().reshape(-1, 3).mean(axis=0)
    if pixels == "gray":
        assert np.ptp(found) < 1
    else:
        np.testing.assert_allclose(found, COLOURS[2], atol=3)


def test_pictures_of_one_pixel_stay_rgb() -> None:
    lazy_picture, colour = painted(
        PlanePainter(None, 342), filled("yuv420p", list(coded(COLOURS[2], 2, False)), (1, 40))
    )
    assert lazy_picture.luma is None
    assert lazy_picture.shape == (40, 1, 3)
    np.testing.assert_allclose(colour, COLOURS[2], atol=3)


def test_pictures_that_are_stored_upside_down(tmp_path: Path) -> None:
    rows = np.repeat(np.arange(16, 208, 4, dtype=np.uint8)[:, None], 64, axis=1)
    frames = read(
        store(
            tmp_path / "a.mkv",
            [filled("yuv420p", [rows, 128, 128])],
            "rawvideo",
            extradata=b"BottomUp\0",
        )
    )
    shown = frames.rgb()[0].mean(axis=(1, 2))
    assert (np.diff(shown) < 0).all()


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((96, 64), EYE), ((192, 128), DecodeRequest(audio_rate=None, short_side=64))],
)
@pytest.mark.parametrize(("rotation", "quarters"), [(90, -1), (180, 2), (270, 1)])
def test_every_plane_is_rotated(
    tmp_path: Path, size: tuple[int, int], wanted: DecodeRequest, rotation: int, quarters: int
) -> None:
    """The same bytes as without rotation, also when the planes are halved."""
    plain = read(make_video(tmp_path / "a.mp4", 0.3, size=size, audio=None), wanted)
    turned = read(
        make_video(tmp_path / "b.mp4", 0.3, size=size, audio=None, rotation=rotation), wanted
    )
    assert plain.size == (64, 96)
    for before, after in zip(plain.planes(), turned.planes(), strict=True):
        np.testing.assert_array_equal(after, np.rot90(before, quarters, axes=(1, 2)))


def means(plane: Array, side: int) -> Array:
    height, width = (n // side * side for n in plane.shape)
    return (
        plane[:height, :width].reshape(height // side, side, width // side, side).mean(axis=(1, 3))
    )


@pytest.mark.parametrize(
    ("size", "count"), [((192, 128), 1), ((198, 130), 1), ((386, 258), 2), ((1024, 512), 3)]
)
def test_large_pictures_are_halved_exactly(
    tmp_path: Path, size: tuple[int, int], count: int
) -> None:
    generator = np.random.default_rng(0)
    half = (size[1] // 2, size[0] // 2)
    content = [generator.integers(0, 256, shape, np.uint8) for shape in (size[::-1], half, half)]
    frames = read(
        store(tmp_path / "a.mkv", [filled("yuv420p", content, size)]),
        DecodeRequest(audio_rate=None, short_side=64),
    )
    assert frames.size == tuple((n >> count) & ~1 for n in size[::-1])
    for plane, whole in zip(frames.planes(), content, strict=True):
        exact = means(whole, 1 << count)[: plane.shape[1], : plane.shape[2]]
        assert np.abs(plane[0] - exact).max() <= 0.5 + 0.5 * (count - 1)  # rounded at every step


def test_without_opencv_the_scaler_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path / "a.mp4", 0.1, size=(384, 256), audio=None)
    wanted = DecodeRequest(audio_rate=None, short_side=80)
    halved = read(path, wanted)
    monkeypatch.setattr(planes, "area_resize", lambda: None)
    scaled = read(path, wanted)
    assert halved.size == (128, 192)
    assert scaled.size == (80, 120)
    assert scaled.luma == halved.luma
    assert seen_corners(scaled.rgb()[0]) == seen_corners(halved.rgb()[0]) == list(CORNERS)


@pytest.mark.parametrize(
    ("short", "count"), [(144, 0), (342, 0), (480, 0), (576, 0), (640, None), (683, None)]
)
def test_only_sizes_near_the_request_are_left_unscaled(short: int, count: int | None) -> None:
    assert halvings(short, 342) == count


@pytest.mark.parametrize(
    ("short", "count"), [(684, 1), (720, 1), (1080, 1), (1440, 2), (2160, 2), (4320, 3)]
)
def test_how_often_pictures_are_halved(short: int, count: int) -> None:
    assert halvings(short, 342) == count


@pytest.mark.parametrize(
    "size",
    [
        (640, 360),
        (854, 480),
        (1024, 576),
        (800, 600),
        (1280, 720),
        (1920, 1080),
        (1080, 1920),
        (3840, 2160),
    ],
)
def test_ten_seconds_stay_below_220_megabytes(size: tuple[int, int]) -> None:
    lazy_picture = PlanePainter(None, DecodeRequest().short_side).paint(
        av.VideoFrame(*size, "yuv420p")
    )
    assert min(lazy_picture.shape[1], lazy_picture.shape[0] * 2 // 3) >= 342
    assert 240 * np.prod(lazy_picture.shape) <= 220e6


def test_planes_take_half_the_memory_of_rgb(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 0.5, audio=None)
    asked: list[tuple[int, ...]] = []

    def allocate(shape: tuple[int, ...]) -> Array:
        asked.append(shape)
        return np.empty(shape, np.uint8)

    (media,) = make_backend("pyav", allocate).windows(Clip(path), EYE)
    assert media.frames is not None
    assert [shape[1:] for shape in asked] == [(96, 96)]
    assert 2 * media.frames.images.nbytes == media.frames.rgb().nbytes


@pytest.mark.parametrize("full", [False, True])
def test_the_first_frame_fixes_the_form_of_a_track(full: bool) -> None:
    """Size, depth, matrix, range or RGB change in mid-stream: the form stays, colours stay right.

    PyAV before 17 does not see a range that changes in its tag alone.
    """
    painter = PlanePainter(None, 48)
    first, colour = painted(painter, flat(COLOURS[0], 1, full))
    np.testing.assert_allclose(colour, COLOURS[0], atol=2)
    ranges = (False, True) if int(av.__version__.split(".")[0]) >= 17 else (full,)
    later = [
        flat(COLOURS[1], m, f, p)
        for m in (1, 6, 9)
        for f in ranges
        for p in ("yuv420p", "yuv422p10le", "yuv444p")
    ]
    later += [
        av.VideoFrame.from_ndarray(np.full((n, n, 3), COLOURS[1], np.uint8), format="rgb24")
        for n in (64, 100)
    ]
    y, u, v = coded(COLOURS[1], 2, True)
    later += [filled("yuvj420p", [y, u, v], (200, 120)), filled("yuvj422p", [y, u, v])]
    for frame in later:
        lazy_picture, colour = painted(painter, frame)
        assert (lazy_picture.shape, lazy_picture.luma) == (first.shape, first.luma)
        np.testing.assert_allclose(colour, COLOURS[1], atol=6)
    np.testing.assert_allclose(painted(painter, flat(COLOURS[2], 1, full))[1], COLOURS[2], atol=2)


def test_unknown_matrices_are_read_as_bt601() -> None:
    """Such as YCgCo, which swscale refuses; the brightness is nearly the same."""
    frame = flat((128, 128, 128), 6, False)
    frame.colorspace = 8
    for size in (48, 30):
        lazy_picture, colour = painted(PlanePainter(None, size), frame)
        assert lazy_picture.luma == ColourMatrix()
        np.testing.assert_allclose(colour, 128, atol=2)


def test_oblong_pixels_are_stretched() -> None:
    codec = SimpleNamespace(sample_aspect_ratio=Fraction(16, 11))
    lazy_picture, colour = painted(PlanePainter(codec, 576), flat(COLOURS[3], 6, False))
    assert lazy_picture.shape == (72, 92)  # 64 * 16 / 11 = 93.1, of even sides
    np.testing.assert_allclose(colour, COLOURS[3], atol=2)


def test_a_repeated_picture_keeps_its_form(tmp_path: Path) -> None:
    """A window without a new picture gets the last one before it."""
    shown = [flat(colour, 1, True) for colour in COLOURS[:2]]
    path = store(tmp_path / "a.mkv", shown, at=[0, 96], colorspace=1, color_range=FULL)
    wanted = DecodeRequest(audio_rate=None, window_seconds=1.0, overlap_seconds=0.0)
    found = [media.frames for media in make_backend("pyav").windows(Clip(path), wanted)]
    for frames, colour in zip(
        (*found[:3], found[-1]), [COLOURS[0]] * 3 + [COLOURS[1]], strict=True
    ):
        assert frames is not None
        assert frames.luma == ColourMatrix(*SHARES[1], True)
        np.testing.assert_allclose(frames.rgb()[-1].reshape(-1, 3).mean(axis=0), colour, atol=2)


def test_planes_and_their_colours_arrive_from_the_decoding_process(tmp_path: Path) -> None:
    """OpenCV is only imported there for a large picture."""
    small = store(tmp_path / "a.mkv", [flat(COLOURS[1], 1, True)], colorspace=1, color_range=FULL)
    large = make_video(tmp_path / "b.mp4", 0.1, size=(384, 256), audio=None)
    loaded = []
    with DecodeProcess(search=[ROOT]) as worker:
        for path, wanted in (
            (small, EYE),
            (large, DecodeRequest(audio_rate=None, short_side=100)),
        ):
            (media,) = worker.windows(Clip(path), wanted)
            plain = read(path, wanted)
            assert media.frames is not None
            assert media.frames.luma == plain.luma
            np.testing.assert_array_equal(media.frames.images, plain.images)
            loaded.append(worker.call("tests.fakes:is_loaded", "cv2", path=path))
    assert plain.size == (128, 192)
    assert loaded == [False, area_resize() is not None]

"""Results drawn into pictures and videos: badges, playhead, events, sizes, unchanged sound."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.errors import MediaError
from av_tagger.reports.annotate import COLOURS, Annotator, Layout, _blend, annotate, draw

if TYPE_CHECKING:
    from pathlib import Path

    from av_tagger.scores import Tagged


def grey(width: int = 640, height: int = 360) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def playhead_column(image: np.ndarray, layout: Layout) -> int:
    """The column that is white from the top of the panel to its bottom."""
    panel = image[layout.height - layout.panel :]
    columns = np.flatnonzero((panel == 255).all(axis=(0, 2)))
    assert len(columns) == 2
    return int(columns[-1])


def test_only_panel_and_badges_change_and_the_input_is_not_modified(
    tagged: Tagged,
) -> None:
    image = grey()
    drawn = draw(image, 4.5, tagged)
    assert (image == 90).all()
    assert drawn.shape == image.shape
    layout = Layout.of(640, 360, 2)
    assert (
        drawn[: 360 - layout.panel] == 90
    ).all()  # nothing sounds at 4.5 s and no key frame is near
    assert (drawn[360 - layout.panel :] != 90).mean() > 0.9


@pytest.mark.parametrize(("seconds", "badges"), [(4.5, 0), (2.0, 1), (3.0, 1), (8.0, 1), (6.5, 1)])
def test_badges_show_the_current_events(tagged: Tagged, seconds: float, badges: int) -> None:
    layout = Layout.of(640, 360, 2)
    above = draw(grey(), seconds, tagged)[: 360 - layout.panel]
    assert bool((above != 90).any()) is bool(badges)
    colour = any((above == np.array(COLOURS[0], np.uint8)).all(axis=2).any() for _ in range(1))
    assert colour is (seconds in (2.0, 6.5))  # the horn's colour, only while it sounds


def test_the_playhead_moves_with_time(tagged: Tagged) -> None:
    layout = Layout.of(640, 360, 2)
    left, right = layout.track
    annotator = Annotator(replace(tagged, keyframes=()))
    for seconds, share in ((0.0, 0.0), (5.0, 0.5), (10.0, 1.0), (99.0, 1.0)):
        expected = left + share * (right - left)
        assert playhead_column(annotator(grey(), seconds), layout) == pytest.approx(expected, abs=1)


def test_a_window_begins_at_its_own_start(sample: list[Tagged]) -> None:
    layout = Layout.of(640, 360, 2)
    left, right = layout.track
    assert playhead_column(draw(grey(), 65.0, sample[1]), layout) == pytest.approx(
        (left + right) / 2, abs=1
    )


def test_event_bars_are_at_the_events(tagged: Tagged) -> None:
    """Without activity, the coloured columns of the first lane are those of its events."""
    layout = Layout.of(640, 360, 2)
    drawn = draw(grey(), 0.0, replace(tagged, activity=None, keyframes=()))
    line = drawn[360 - layout.panel + layout.row // 2].astype(int)
    left, right = layout.track
    coloured = (line[:, 2] - line[:, 0] > 15)[left + 1 : right]
    expected = [(1.0, 2.5), (6.0, 7.25)]
    seconds = (np.arange(len(coloured)) + 1) / (right - left) * 10
    inside = np.any([(seconds > a + 0.05) & (seconds < b - 0.05) for a, b in expected], axis=0)
    outside = np.all([(seconds < a - 0.05) | (seconds > b + 0.05) for a, b in expected], axis=0)
    assert coloured[inside].all()
    assert not coloured[outside].any()


@pytest.mark.parametrize(
    ("width", "height"), [(16, 16), (64, 36), (33, 200), (320, 240), (1921, 1081), (400, 30)]
)
def test_every_picture_size_works(tagged: Tagged, width: int, height: int) -> None:
    drawn = draw(grey(width, height), 2.0, tagged)
    assert drawn.shape == (height, width, 3)
    assert drawn.dtype == np.uint8
    assert Layout.of(width, height, 2).panel <= 0.4 * height


def test_results_without_tags_change_nothing(tagged: Tagged) -> None:
    nothing = replace(tagged, tags=(), keyframes=())
    assert (draw(grey(), 1.0, nothing) == 90).all()


def test_blending_by_hand() -> None:
    """Rounded alpha blending, cut off at the edges of the picture."""
    drawn, rng = grey(40, 30), np.random.default_rng(0)
    colours = rng.integers(0, 256, (20, 25, 3), dtype=np.uint8)
    alpha = rng.random((20, 25)).astype(np.float32)
    alpha[0], alpha[1] = 0, 1
    _blend(drawn, (colours, alpha), 30, 15)
    part = alpha[:15, :10, None].astype(np.float64)
    expected = (1 - part) * 90 + part * colours[:15, :10]
    assert np.abs(drawn[15:, 30:].astype(float) - expected).max() <= 0.51
    assert (drawn[15, 30:] == 90).all()
    assert (drawn[16, 30:] == colours[1, :10]).all()
    assert (drawn[:15] == 90).all()
    assert (drawn[:, :30] == 90).all()
    _blend(drawn, (colours, alpha), 40, 30)  # nothing of it is inside


def test_labels_of_any_alphabet_are_written(tagged: Tagged) -> None:
    """OpenCV draws shapes; its fonts would show question marks here."""
    first, *others = tagged.tags
    greek = replace(tagged, tags=(replace(first, label="Σειρήνα"), *others), activity=None)
    marks = replace(tagged, tags=(replace(first, label="???????"), *others), activity=None)
    assert (draw(grey(), 0.0, greek) != draw(grey(), 0.0, marks)).any()


def make_film(path: Path, seconds: float = 2.0, fps: int = 10) -> None:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=fps)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        sound = out.add_stream("aac", rate=16_000, layout="mono")
        for n in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(np.full((120, 160, 3), 90, np.uint8), format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, fps)
            out.mux(video.encode(frame))
        wave = np.sin(np.arange(round(seconds * 16_000)) / 8).astype(np.float32)[None]
        for at in range(0, wave.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(wave[:, at : at + 1024]), "fltp", "mono"
            )
            frame.sample_rate, frame.pts, frame.time_base = 16_000, at, Fraction(1, 16_000)
            out.mux(sound.encode(frame))
        out.mux(video.encode())
        out.mux(sound.encode())


def packets(path: Path) -> list[bytes]:
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(audio=0) if p.size]


def pictures(path: Path) -> list[tuple[float, np.ndarray]]:
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        return [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


def test_a_copy_has_the_same_sound_and_times_and_shows_the_result(
    tagged: Tagged, tmp_path: Path
) -> None:
    source, target = tmp_path / "film.mp4", tmp_path / "annotated.mp4"
    make_film(source)
    film = replace(tagged, clip=Clip(source), duration_seconds=2.0)
    assert annotate(film, target) == target
    assert packets(target) == packets(source)  # the sound is not encoded again
    before, after = pictures(source), pictures(target)
    assert len(before) == len(after)
    assert [t for t, _ in after] == pytest.approx([t for t, _ in before], abs=0.01)
    layout = Layout.of(160, 120, 2)
    assert layout.rows
    for _, image in after:
        assert abs(float(image[: layout.height // 3].mean()) - 90) < 40
        assert image[layout.height - layout.panel :].mean() < 75  # the dark panel
    assert sorted(p.name for p in tmp_path.iterdir()) == ["annotated.mp4", "film.mp4"]


def test_a_missing_file_is_an_error(tagged: Tagged, tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        annotate(replace(tagged, clip=Clip(tmp_path / "gone.mp4")), tmp_path / "annotated.mp4")
    assert list(tmp_path.iterdir()) == []

"""The pictures of the documentation: the frame of the event, the reduced colours, the pages."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from av_tagger.bench import pictures
from av_tagger.bench.clips import film
from av_tagger.clip import Clip
from av_tagger.media import make_backend
from av_tagger.scores import ClassScore, Event, Tag, Tagged
from tests.assets import level_at, make_video
from tests.fakes import tagger, window


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds whose grey level tells the time."""
    return make_video(tmp_path_factory.mktemp("video") / "a.mp4", 2.0, size=(640, 360))


def tagged(path: Path, *events: Event) -> Tagged:
    fake = tagger()
    made = fake.merge_windows(Clip(path), fake.score([window(Clip(path), 0.0, 2.0)]), 0.0)
    tag = Tag("Siren", 0.9, 0.3, 0.9, 0.0, events, ())
    return replace(made, clip=Clip(path), duration_seconds=2.0, tags=(tag,))


@pytest.mark.parametrize(
    ("events", "seconds"), [((Event(0.2, 0.6, 0.9),), 0.4), ((Event(1.4, 1.8, 0.9),), 1.6), ((), 1)]
)
def test_the_frame_in_the_middle_of_the_first_event_is_drawn(
    events: tuple[Event, ...], seconds: float, video: Path, tmp_path: Path
) -> None:
    pictures.draw_frame(tagged(video, *events), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    grey = np.median(pixels[pixels.shape[0] * 2 // 5 : pixels.shape[0] // 2, 280:360])
    assert abs(grey - level_at(seconds)) <= 12, "within one step of 0.1 s"


def test_colours_are_reduced_and_the_picture_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    before = film(1, 90, 160).images[0]
    Image.fromarray(before).save(path)
    pictures.make_small(path)
    with Image.open(path) as picture:
        assert len(picture.getcolors() or []) <= 200
        after = np.asarray(picture.convert("RGB")).astype(int)
    assert np.abs(after - before).mean() < 6


def test_the_demo_is_a_video_with_sound(tmp_path: Path) -> None:
    path = pictures.make_demo(tmp_path / "films" / "demo.mp4")
    info = make_backend("pyav").probe(path)
    assert info.duration_seconds == pytest.approx(10, abs=0.3)
    assert info.audio is not None
    assert info.video is not None


def test_the_page_is_opened_in_the_browser_that_is_found(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(pictures.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(
        pictures.subprocess,
        "run",
        lambda command, **_: commands.append(command) or subprocess.CompletedProcess(command, 0),
    )
    pictures.draw_page(tagged(video, Event(0.2, 0.6, 0.9)), tmp_path, tmp_path)
    (command,) = commands
    assert command[0] == f"/bin/{pictures.BROWSERS[0]}"
    assert f"--screenshot={tmp_path / 'page.png'}" in command
    assert "Siren" in (tmp_path / "page.html").read_text()


def test_a_review_is_served_for_its_picture(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[str] = []

    def shoot(address: str, target: Path, scratch: Path) -> None:
        with urllib.request.urlopen(address + "questions", timeout=30) as answer:
            pages.append(answer.read().decode())

    monkeypatch.setattr(pictures, "shoot", shoot)
    made = tagged(video, Event(0.2, 0.6, 0.9))
    scores = {"Siren": ClassScore(0.9, 0.9, None, 0.3)}
    pictures.draw_review(replace(made, scores=scores, activity=None), tmp_path, tmp_path)
    assert '"label": "Siren"' in pages[0]


def test_the_search_is_written_for_its_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "STREETS", (6, 7))
    monkeypatch.setattr(pictures, "browser", lambda: "/bin/chromium")
    shot: list[tuple[str, Path]] = []
    monkeypatch.setattr(pictures, "shoot", lambda page, target, _: shot.append((page, target)))
    pictures.draw_find(tmp_path, tmp_path)
    assert shot == [((tmp_path / "find.html").as_uri(), tmp_path / "find.png")]
    page = (tmp_path / "find.html").read_text()
    assert "1 found" in page, "street 07 has a siren and a bus"
    (source,) = re.findall(r'src="([^"]+)#t=4"', page)
    assert (tmp_path / unquote(source)).stat().st_size > 1000
    assert 'preload="auto"' in page


def test_fusion_figures_are_drawn(tmp_path: Path) -> None:
    pictures.draw_fusion(tmp_path)
    for name in ("class_f1", "weights"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.width > 300

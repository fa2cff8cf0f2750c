"""The page of hits in Chromium: no errors, no requests, a click on a time plays it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from av_tagger.collection.page import hits_page
from av_tagger.collection.search import Found, FoundEvent, Hit
from tests.reports.conftest import each_browser  # noqa: F401 - a fixture

pytestmark = pytest.mark.browser


@pytest.fixture
def browser(each_browser: Any) -> Any:  # noqa: F811
    return each_browser


EVENTS = tuple(FoundEvent("Dog", n, n + 0.5, 0.75) for n in (1.0, 4.0))


def make_film(path: Path) -> Path:
    """Six seconds in a codec that every browser plays."""
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("libvpx", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for n in range(30):
            picture = np.full((36, 64, 3), 5 * n, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, 5)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return path


@pytest.fixture
def page(tmp_path: Path) -> str:
    """The address of a page with two hits."""
    (tmp_path / "films").mkdir()
    films = [make_film(tmp_path / "films" / name) for name in ("a #1?.webm", "<b>&.webm")]
    head = "run", str(films[0]), 0.0, None, 6.0, None, 0.8, (("Dog", 0.8),), EVENTS
    hits = (Hit(*head), replace(Hit(*head), file=str(films[1]), events=()))
    target = tmp_path / "page.html"
    target.write_text(hits_page("dog <x>", ["why"], Found(2, hits), target), "utf-8")
    return target.as_uri()


@pytest.fixture
def shown(page: str, browser: Any) -> Any:
    browser.open(page)
    return browser


def click(browser: Any, number: int) -> None:
    browser.js(f"document.querySelectorAll('button[data-player]')[{number}].click()")


def time_of(browser: Any, player: str) -> float:
    return float(browser.js(f"document.getElementById('{player}').currentTime"))


def test_nothing_is_wrong_and_nothing_is_asked_for(shown: Any) -> None:
    assert shown.complaints() == []
    assert all(address.startswith(("file:", "data:image/")) for address in shown.requests())
    assert shown.js("document.querySelector('h1').textContent") == "dog <x>"
    assert shown.js("document.querySelectorAll('.card').length") == 2


def test_a_click_on_a_time_goes_there(shown: Any) -> None:
    click(shown, 1)
    shown.wait("document.getElementById('p0-0').currentTime >= 4")
    assert 4 <= time_of(shown, "p0-0") < 6
    click(shown, 0)
    shown.wait("document.getElementById('p0-0').currentTime < 4")
    assert time_of(shown, "p0-0") >= 1
    assert shown.complaints() == []


def test_one_player_at_a_time(shown: Any) -> None:
    click(shown, 0)
    shown.wait("!document.getElementById('p0-0').paused")
    click(shown, 2)
    shown.wait("!document.getElementById('p1-0').paused")
    shown.wait("document.getElementById('p0-0').paused")
    assert shown.complaints() == []


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_its_window(page: str, browser: Any, width: int) -> None:
    browser.open(page, (width, 800), phone=width < 600)
    assert browser.js("document.documentElement.scrollWidth") <= width

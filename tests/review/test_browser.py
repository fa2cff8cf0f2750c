"""The page in Chromium: keys, preloading, type-ahead, undo, hostile texts, pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from av_tagger.reports.schema import as_line
from av_tagger.review.labels import LABELS
from av_tagger.scores import Evidence, KeyFrame
from tests.reports.conftest import picture
from tests.review.conftest import Served, serve, session_of, tagged, write_run
from tests.review.test_server import HOSTILE

pytestmark = pytest.mark.browser


@pytest.fixture
def browser(each_browser: Any) -> Any:
    return each_browser


KEYS = {"y": 89, "n": 78, "c": 67, "s": 83, "u": 85, "t": 84, " ": 32}


def press(browser: Any, key: str) -> None:
    browser.press(key, KEYS[key], key)


def asked(browser: Any) -> str:
    return str(browser.js("document.getElementById('asked').textContent"))


def given(served: Served) -> list[tuple[str, str]]:
    return [(a.label, a.answer) for a in served.session.log.answers.values()]


def wait_for_answers(browser: Any, count: int) -> None:
    browser.wait(f"document.getElementById('progress').textContent.startsWith('{count} answers')")


@pytest.fixture
def page(served: Served, browser: Any) -> Any:
    browser.open(served.server.address)
    browser.wait("document.getElementById('asked').textContent !== ''")
    return browser


def test_questions_are_answered_by_keys_and_stored_as_they_come(
    served: Served, page: Any, run: Path
) -> None:
    wanted = [q["label"] for q in served.json("questions")["questions"]]
    assert asked(page) == f"{wanted[0]}?"
    page.wait("document.querySelector('#players > :not([hidden])').readyState > 2")
    page.wait("document.querySelectorAll('#players > [hidden]').length === 2")  # preloaded
    for key in "yns":
        press(page, key)
    assert asked(page) == f"{wanted[3]}?", "no wait between answers"
    wait_for_answers(page, 3)
    assert given(served) == [(wanted[0], "yes"), (wanted[1], "no"), (wanted[2], "skip")]
    assert len((run / "review" / LABELS).read_text().splitlines()) > 1
    assert page.complaints() == []
    elsewhere = [u for u in page.requests() if not u.startswith(("data:", served.server.address))]
    assert elsewhere == []


def test_the_part_is_played_from_its_start(served: Served, page: Any) -> None:
    first = served.json("questions")["questions"][0]
    page.wait("document.querySelector('#players > :not([hidden])').readyState > 0")
    page.wait(
        f"document.querySelector('#players > :not([hidden])').currentTime >= {first['start']}"
    )
    press(page, " ")
    page.wait("!document.querySelector('#players > :not([hidden])').paused")


def test_all_questions_can_be_answered_and_undone(served: Served, page: Any) -> None:
    for number in range(12):
        page.wait(f"document.getElementById('asked').textContent !== '' || {number} === 12")
        press(page, "y")
        wait_for_answers(page, number + 1)
    page.wait("document.getElementById('asked').textContent === 'Nothing is left to ask.'")
    press(page, "u")
    wait_for_answers(page, 11)
    last = list(served.session.log.answers.values())[-1]
    assert asked(page).endswith("?")
    press(page, "u")
    wait_for_answers(page, 10)
    assert asked(page) == f"{last.label}?"
    assert page.complaints() == []


def test_another_class_is_found_by_typing(served: Served, page: Any) -> None:
    first = asked(page).rstrip("?")
    press(page, "c")
    page.wait("document.getElementById('other').open")
    page.type("skateb")
    page.wait("document.querySelector('#matches button').textContent === 'Skateboard'")
    page.press("Enter", 13)
    wait_for_answers(page, 1)
    (answer,) = served.session.log.answers.values()
    assert (answer.label, answer.answer, answer.other) == (first, "other", "Skateboard")
    assert page.js("document.getElementById('other').open") is False


def test_typing_a_name_answers_nothing_and_is_stored(served: Served, page: Any) -> None:
    page.js("document.getElementById('reviewer').focus()")
    page.type("Ann Yny")
    press(page, "n")
    page.press("Enter", 13)
    press(page, "y")
    wait_for_answers(page, 1)
    (answer,) = served.session.log.answers.values()
    assert (answer.answer, answer.reviewer) == ("yes", "Ann Ynyn")


def test_thresholds_say_what_is_missing(page: Any) -> None:
    press(page, "y")
    press(page, "t")
    page.wait("document.querySelectorAll('#advice tr').length === 1")
    assert "needs 9 more yes" in page.js("document.getElementById('advice').textContent")
    for button, sentence in (("fusion", "no class has a threshold"), ("train", "no class has 8")):
        page.js(f"document.getElementById('{button}').click()")
        page.wait(f"document.getElementById('done').textContent.includes('{sentence}')")


def test_a_server_that_ended_is_one_sentence_and_the_question_stays(
    run: Path, browser: Any
) -> None:
    for served in serve(session_of(run, run / "other")):
        browser.open(served.server.address)
        browser.wait("document.getElementById('asked').textContent !== ''")
    first = asked(browser)
    press(browser, "y")
    browser.wait("document.getElementById('error').textContent.includes('start it again')")
    for _ in range(2):  # first as a file of the browser's own kinds, then as decoded sound
        shown = "document.querySelector('#players > :not([hidden])')"
        browser.js(f"{shown}.dispatchEvent(new Event('error'))")
    error = browser.js("document.getElementById('error').textContent")
    assert "start it again" in error, "not that its files cannot be played"
    assert asked(browser) == first


@pytest.fixture
def detailed(tmp_path: Path) -> Iterator[Served]:
    """A hostile name, label and object; a spectrogram and a key frame; one file is no sound."""
    results = [
        tagged(tmp_path / "<b onclick=alert(1)>&'.wav", {HOSTILE: 0.55}),
        tagged(tmp_path / "broken.wav", {"Bus": 0.6}),
    ]
    (tag,) = results[0].tags
    evidence = (Evidence(1.5, HOSTILE, 0.5, 0.9),)
    frame = KeyFrame(1.5, 1.0, ((HOSTILE, 0.5),), picture((70, 110, 160)))
    shown = replace(results[0], tags=(replace(tag, evidence=evidence),), keyframes=(frame,))
    run = write_run(tmp_path / "run", results)
    (tmp_path / "broken.wav").write_bytes(b"RIFF no sound")
    lines = [as_line(shown, detail=True, spectrogram=picture((9, 9, 9))), as_line(results[1])]
    (run / "results.jsonl").write_text("\n".join(lines) + "\n")
    yield from serve(session_of(run))


def test_hostile_texts_are_shown_as_text_beside_pictures(detailed: Served, browser: Any) -> None:
    browser.open(detailed.server.address)
    browser.wait("document.getElementById('asked').textContent !== ''")
    assert asked(browser) == f"{HOSTILE}?"
    assert "<b onclick=alert(1)>&'.wav" in browser.js("document.getElementById('file').textContent")
    browser.wait("document.images.length === 2 && [...document.images].every(i => i.naturalWidth)")
    assert browser.js("document.title") == "av-tag review"
    press(browser, "c")
    browser.type("img src")
    browser.wait("document.querySelector('#matches button') !== null")
    assert browser.js("document.querySelector('#matches button').textContent") == HOSTILE
    assert browser.js("document.images.length") == 2
    browser.js("document.getElementById('other').close()")
    press(browser, "s")
    browser.wait("document.getElementById('error').textContent.includes('cannot be played')")
    assert asked(browser) == "Bus?"
    assert json.loads(detailed.session.log.path.read_text())["answer"] == "skip"
    broken = [c for c in browser.complaints() if "422" not in c]
    assert broken == []

"""What people read in the terminal."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from av_tagger.cli.show import chosen, clock, show, used, when
from av_tagger.clip import Clip
from av_tagger.scores import (
    BranchInfo,
    ClassScore,
    Event,
    Evidence,
    Failed,
    RunInfo,
    Status,
    Tag,
    Tagged,
)


def tagged(*tags: Tag) -> Tagged:
    scores = {
        "Train": ClassScore(0.81, 0.9, 0.42, 0.5),
        "Bus": ClassScore(0.3, None, 0.3, 0.4),
        "Car": ClassScore(0.1, 0.1, 0.1, 0.5),
    }
    ear = BranchInfo(Status.OK, "crnn", "crnn.starter")
    return Tagged(
        Clip(Path("[a].mp4")),
        63.0,
        tags,
        scores,
        (),
        ear,
        BranchInfo(Status.NO_WEIGHTS, "sparse"),
        RunInfo("1", "cpu", "f", 1.0),
    )


TRAIN = Tag(
    "Train",
    0.81,
    0.5,
    0.9,
    0.42,
    (Event(3.0, 61.5, 0.9),),
    (Evidence(3.2, "steam locomotive", 0.3, 0.7),),
)


def printed(outcome: Tagged | Failed, top: int | None = None) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    show(outcome, Console(file=out, width=160), Console(file=err, width=160), top=top)
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0.0 s"), (3.21, "3.2 s"), (63.0, "1:03.0"), (3723.2, "1:02:03.2")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_table_says_what_when_and_why() -> None:
    out, err = printed(tagged(TRAIN))
    for word in (
        "[a].mp4",
        "Train",
        "0.81",
        "0.90",
        "0.42",
        "3.0–1:01.5",
        "steam locomotive 0.30 at 3.2 s",
    ):
        assert word in out
    assert err == ""


def test_no_tags_is_one_line_that_names_the_nearest() -> None:
    out, _ = printed(tagged())
    assert out.count("\n") == 1
    assert "no tags (nearest: Train 0.81" in out


def test_top_shows_tags_first_then_the_best_others() -> None:
    assert [t.label for t in chosen(tagged(TRAIN), 2)] == ["Train", "Bus"]
    assert [t.label for t in chosen(tagged(), 3)] == ["Train", "Bus", "Car"]
    assert "Bus" in printed(tagged(TRAIN), top=2)[0]


def test_a_failure_is_one_sentence_on_stderr() -> None:
    assert printed(Failed(Clip(Path("x.mp4")), "media", "x.mp4: is empty")) == (
        "",
        "av-tag: x.mp4: is empty\n",
    )


def test_many_events_are_counted() -> None:
    assert when([Event(float(i), i + 0.5, 1.0) for i in range(6)]).endswith("3.0–3.5 s and 2 more")


def test_the_line_of_what_was_used() -> None:
    line = used(
        BranchInfo(Status.OK, "crnn", "crnn.starter"),
        BranchInfo(Status.NO_WEIGHTS, "sparse"),
        "cpu",
    )
    assert (
        line
        == "ear: crnn, crnn.starter   eye: sparse (no weights: av-tag weights fetch)   device: cpu"
    )
    assert "eye: off" in used(BranchInfo(Status.OK, "crnn"), BranchInfo(Status.OFF, "none"), "cpu")

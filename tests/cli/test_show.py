"""Results on the terminal: tables, times, failures, at 80 and at 160 columns."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from av_tagger.cli.console import Console
from av_tagger.cli.show import chosen, clock, show, used, when, why
from av_tagger.clip import Clip
from av_tagger.scores import (
    BranchInfo,
    ClassScore,
    Event,
    Evidence,
    Failed,
    Outcome,
    RunInfo,
    Shot,
    Status,
    Tag,
    Tagged,
)

EAR = BranchInfo(Status.OK, "crnn", "crnn.starter")
EYE = BranchInfo(Status.NO_WEIGHTS, "sparse")
LOCOMOTIVE = Evidence(3.2, "steam locomotive", 0.3, 0.7)
TRAIN = Tag("Train", 0.81, 0.5, 0.9, 0.42, (Event(3.0, 61.5, 0.9),), (LOCOMOTIVE,))


def tagged(*tags: Tag) -> Tagged:
    scores = {
        "Train": ClassScore(0.81, 0.9, 0.42, 0.5),
        "Bus": ClassScore(0.3, None, 0.3, 0.4),
        "Car": ClassScore(0.1, 0.1, 0.1, 0.5),
    }
    run = RunInfo("1", "cpu", "f", 1.0)
    return Tagged(Clip(Path("[a].mp4")), 63.0, tags, scores, (), EAR, EYE, run)


def printed(outcome: Outcome, top: int | None = None, width: int = 160) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    show(outcome, Console(file=out, width=width), Console(file=err, width=width), top=top)
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0.0 s"), (3.21, "3.2 s"), (63.0, "1:03.0"), (3723.2, "1:02:03.2")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_row_has_scores_events_and_evidence() -> None:
    out, err = printed(tagged(TRAIN))
    for word in ("[a].mp4", "1:03.0", "Train", "0.81", "0.90", "0.42", "3.0–1:01.5"):
        assert word in out
    assert "steam locomotive 0.30 at 3.2 s" in out
    assert err == ""


def test_the_columns_are_named() -> None:
    head = printed(tagged(TRAIN))[0].splitlines()[1]
    names = [name.strip() for name in head.split("  ") if name.strip()]
    assert names == ["tag", "probability", "threshold", "heard", "seen", "when", "why"]


def test_without_evidence_there_is_no_column_why() -> None:
    out, _ = printed(tagged(replace(TRAIN, evidence=())))
    assert "when" in out
    assert "why" not in out


def test_a_score_that_is_missing_is_a_dash() -> None:
    out, _ = printed(tagged(replace(TRAIN, seen=None)))
    row = next(line for line in out.splitlines() if "Train" in line)
    assert row.split()[4] == "–"


def test_the_table_fits_80_columns_and_keeps_all_words() -> None:
    events = tuple(Event(float(i), i + 0.5, 1.0) for i in range(6))
    long = replace(
        TRAIN, label="Fire engine, fire truck (siren)", events=events, evidence=(LOCOMOTIVE,) * 3
    )
    out, _ = printed(tagged(long, TRAIN), width=80)
    assert max(map(len, out.splitlines())) <= 80
    letters = "".join(c for c in out if c.isalnum())
    for word in ("Fire", "engine", "siren", "locomotive", "longest"):
        assert word in letters


def test_a_long_reason_in_a_wide_terminal_stands_under_the_times() -> None:
    """Beside the times it would be broken."""
    seen = tuple(replace(LOCOMOTIVE, object="a very long name of an object") for _ in range(2))
    out, _ = printed(tagged(replace(TRAIN, evidence=seen)), width=120)
    assert "when, and why" in out


def test_reasons_stand_under_the_times_on_a_narrow_terminal_and_beside_them_on_a_wide_one() -> None:
    narrow, wide = (
        [line.rstrip() for line in printed(tagged(TRAIN), width=w)[0].splitlines()]
        for w in (70, 120)
    )
    assert narrow[1].endswith("when, and why")
    assert narrow[4].strip() == "steam locomotive 0.30 at 3.2 s"
    assert narrow[4].index("steam") == narrow[3].index("3.0–1:01.5")
    assert wide[1].split()[-2:] == ["when", "why"]
    assert wide[3].endswith("3.0–1:01.5  steam locomotive 0.30 at 3.2 s")


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_time_and_no_object_is_broken(width: int) -> None:
    events = tuple(Event(10.0 * i, 10.0 * i + 5, 0.9) for i in range(4))
    seen = (LOCOMOTIVE, replace(LOCOMOTIVE, object="freight car", seconds=13.0))
    label = "Vehicle horn, car horn, honking"
    out, _ = printed(tagged(replace(TRAIN, label=label, events=events, evidence=seen)), width=width)
    lines = out.splitlines()
    assert max(map(len, lines)) <= width
    for whole in ("30.0–35.0 s", "steam locomotive 0.30 at 3.2 s", "freight car 0.30 at 13.0 s"):
        assert any(whole in line for line in lines)


def test_no_tags_is_one_line_that_names_the_nearest_class() -> None:
    out, _ = printed(tagged())
    assert out.count("\n") == 1, "neither a table nor an empty line"
    assert "no tags (nearest: Train 0.81, threshold 0.50)" in out


def test_nearest_is_measured_in_log_odds() -> None:
    """.38 of .50 is nearer than .01 of .08, though .01 is closer to .08."""
    near = {
        "Bicycle": ClassScore(0.01, 0.01, None, 0.08),
        "Dog": ClassScore(0.38, 0.38, None, 0.5),
        "Drone": ClassScore(0.0, None, None, 0.0001),
    }
    result = replace(tagged(), scores=near)
    assert "nearest: Dog 0.38, threshold 0.50" in printed(result)[0]
    assert [t.label for t in chosen(result, 5)] == ["Dog", "Bicycle"]


def test_classes_without_any_score_are_not_zeros() -> None:
    unknown = {"Drone": ClassScore(0.0, None, None, 0.5)}
    assert "no tags (no class got a score)" in printed(replace(tagged(), scores=unknown))[0]
    assert "0.00" not in printed(replace(tagged(), scores=unknown), top=3)[0]


def test_top_marks_tags_and_shows_thresholds() -> None:
    out, _ = printed(tagged(TRAIN), top=2, width=80)
    rows = [line for line in out.splitlines() if "Train" in line or "Bus" in line]
    assert ["✓" in row for row in rows] == [True, False]
    assert "0.50" in rows[0]
    assert "✓ tag: the probability reaches the threshold" in out
    assert max(map(len, out.splitlines())) <= 80


def test_wide_terminals_show_thresholds() -> None:
    assert "threshold" not in printed(tagged(TRAIN), width=80)[0]
    assert "threshold" in printed(tagged(TRAIN), width=120)[0]


def test_a_class_that_is_switched_off_says_so() -> None:
    off = replace(tagged(TRAIN), scores={"Car": ClassScore(0.1, 0.1, None, float("inf"))})
    assert " off " in printed(off, top=2)[0]


def test_shots_are_a_table() -> None:
    shots = tuple(Shot(float(n), n + 1.0, (("Train", 0.5),) if n else ()) for n in range(50))
    out, _ = printed(replace(tagged(TRAIN), shots=shots), width=80)
    assert "   2  1.0–2.0 s" in out
    assert "Train 0.50" in out
    assert "and 10 more shots" in out
    assert max(map(len, out.splitlines())) <= 80


def test_an_address_is_shown_as_it_is() -> None:
    clip = Clip.of("https://host/a.mp4")
    assert "https://host/a.mp4" in printed(replace(tagged(TRAIN), clip=clip))[0]


def test_no_tags_and_no_scores_is_one_line() -> None:
    out, _ = printed(replace(tagged(), scores={}))
    assert out == "[a].mp4  1:03.0  no tags\n"


def test_top_shows_tags_first_then_other_classes_by_probability() -> None:
    assert [t.label for t in chosen(tagged(TRAIN), 2)] == ["Train", "Bus"]
    assert [t.label for t in chosen(tagged(), 3)] == ["Train", "Bus", "Car"]
    bus = Tag("Bus", 0.3, 0.2, None, 0.3)
    assert [t.label for t in chosen(tagged(bus), 2)] == ["Bus", "Train"]
    assert "Bus" in printed(tagged(TRAIN), top=2)[0]


def test_a_failure_is_one_sentence_on_stderr() -> None:
    failed = Failed(Clip(Path("x.mp4")), "media", "x.mp4: is empty")
    assert printed(failed) == ("", "av-tag: x.mp4: is empty\n")


def test_notes_go_to_stderr_with_the_name_of_the_file() -> None:
    out, err = printed(replace(tagged(TRAIN), notes=("3 frames could not be decoded",)))
    assert "frames" not in out
    assert err == "[a].mp4: 3 frames could not be decoded\n"


def test_markup_in_names_is_not_interpreted() -> None:
    out, err = printed(replace(tagged(), clip=Clip(Path("[red]x[/red].mp4")), notes=("[b]n[/b]",)))
    assert "[red]x[/red].mp4" in out
    assert "[b]n[/b]" in err


def test_many_events_are_counted() -> None:
    events = [Event(float(i), i + 0.5, 1.0) for i in range(6)]
    events[2] = Event(2.0, 2.9, 1.0)
    assert " ".join(when(events)) == "6 events, 0.0–5.5 s, longest at 2.0 s"
    assert when(events[:4])[-1] == "3.0–3.5 s"
    assert when([]) == []


def test_the_two_strongest_pieces_of_evidence_are_shown() -> None:
    pieces = [Evidence(float(n), f"object {n}", 0.5, 0.5) for n in range(3)]
    assert why(pieces) == ["object 0 0.50 at 0.0 s,", "object 1 0.50 at 1.0 s"]
    assert why(pieces[:1], "seen, silent") == ["seen, silent:", "object 0 0.50 at 0.0 s"]
    assert why((), "heard, not seen") == ["heard, not seen"]


@pytest.mark.parametrize(
    ("eye", "text"),
    [
        (EYE, "no weights: av-tag weights fetch"),
        (BranchInfo(Status.OFF, "none"), "off"),
        (BranchInfo(Status.NO_TRACK, "sparse"), "no track"),
        (BranchInfo(Status.OK, "alexnet fc7, sparse, inception", "inception.pt"), "inception"),
        (BranchInfo(Status.DEGRADED, "thumbnail, sparse, vgg", "v"), "vgg (degraded)"),
    ],
)
def test_the_line_about_ear_eye_and_device(eye: BranchInfo, text: str) -> None:
    assert used(EAR, eye, "cpu") == [f"ear: starter · eye: {text} · device: cpu"]


@pytest.mark.parametrize(
    ("ear", "name"),
    [
        (BranchInfo(Status.OK, "yamnet+starter", "yamnet+crnn.starter"), "yamnet + starter"),
        (BranchInfo(Status.OK, "efficientat", "efficientat.mn10"), "efficientat.mn10"),
        (BranchInfo(Status.OK, "log-mel, attention pooling", "mine"), "mine"),
        (BranchInfo(Status.OFF, "none"), "off"),
    ],
)
def test_the_name_of_an_ear_is_that_of_its_weights(ear: BranchInfo, name: str) -> None:
    assert used(ear, EYE, "cpu")[0].startswith(f"ear: {name} · ")


def test_verbose_has_models_and_weights_of_both_branches() -> None:
    eye = BranchInfo(Status.OK, "alexnet fc7, sparse, inception", "inception.pt, glove")
    assert used(EAR, eye, "cpu", verbose=True) == [
        "ear: crnn, crnn.starter",
        "eye: alexnet fc7, sparse, inception, inception.pt, glove",
        "device: cpu",
    ]

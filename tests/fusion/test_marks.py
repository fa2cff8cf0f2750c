"""Marks of classes where ear and eye disagree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from av_tagger.fusion import LogitFusion, MaxFusion, Thresholds
from av_tagger.fusion.marks import marked, marks_of
from av_tagger.fusion.scales import Scales, ScoreScale
from av_tagger.scores import HEARD_NOT_SEEN, SEEN_SILENT, ClassScore, Scores, Status

LABELS = ("Bus", "Car", "Truck", "Train horn")
ROWS = Thresholds(np.full(4, 0.6), np.full(4, 0.4), np.full(4, 0.3))
FUSION = LogitFusion(
    LABELS,
    ROWS,
    gain=np.array([4.0, 4.0, 4.0, 0.0]),  # a horn cannot be seen
    against=np.zeros(4),
    family=("",) * 4,
)
HEARD = Scores(LABELS, np.array([0.5, 0.2, 0.5, 0.9]))
SEEN = Scores(LABELS, np.array([np.nan, 0.7, 0.5, np.nan]))


def test_marks_by_hand() -> None:
    assert marks_of(FUSION, HEARD, SEEN) == (HEARD_NOT_SEEN, SEEN_SILENT, "", "")


@pytest.mark.parametrize("status", [Status.OFF, Status.NO_TRACK, Status.NO_WEIGHTS])
def test_no_mark_where_one_of_them_had_nothing(status: Status) -> None:
    nothing = Scores.silent(LABELS, status)
    assert marks_of(FUSION, HEARD, nothing) == ("",) * 4
    assert marks_of(FUSION, nothing, SEEN) == ("",) * 4


def test_thresholds_of_the_eye_are_those_of_its_scale() -> None:
    """A scale moves what is seen and the threshold of the eye alone together."""
    low = ScoreScale(1.0, -3.0)
    scales = Scales(ear=(None,) * 4, both=(None,) * 4, eye=(low,) * 4)
    moved = scales.thresholds("eye", ROWS.eye)
    scaled = replace(FUSION.with_thresholds(eye=moved), scales=scales)
    assert moved[0] < 0.05
    assert marks_of(scaled, HEARD, SEEN) == marks_of(FUSION, HEARD, SEEN)


def test_other_fusions_know_what_is_seen_by_its_score() -> None:
    seen = Scores(LABELS, np.array([0.0, 0.7, np.nan, np.nan]))
    assert marks_of(MaxFusion(LABELS, ROWS), HEARD, seen) == (HEARD_NOT_SEEN, SEEN_SILENT, "", "")
    assert marks_of(object(), HEARD, seen) == ("",) * 4


def test_scores_keep_mark_and_the_threshold_of_the_ear() -> None:
    found = [ClassScore(0.5, 0.5, None, 0.6), ClassScore(0.7, 0.2, 0.7, 0.6)]
    bus, car = marked(found, [(HEARD, SEEN)] * 2, FUSION, ROWS.ear)
    assert (bus.mark, bus.ear_threshold, bus.ear_limit) == (HEARD_NOT_SEEN, 0.4, 0.4)
    assert car.mark == SEEN_SILENT
    (same,) = marked([ClassScore(0.5, 0.5, None, 0.4)], [(HEARD, SEEN)], FUSION, ROWS.ear)
    assert (same.ear_threshold, same.ear_limit) == (None, 0.4)
    alone = Scores.silent(LABELS, Status.OFF)
    (one,) = marked([ClassScore(0.5, 0.5, None, 0.6)], [(HEARD, alone)], FUSION, ROWS.ear)
    assert (one.mark, one.ear_threshold) == ("", None)


def test_marks_are_made_once_per_window_and_only_changed_scores_are_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = replace(HEARD, probabilities=np.zeros(4))
    pairs = [(HEARD, SEEN), (HEARD, SEEN), (other, SEEN), (other, SEEN)]
    expected = [marks_of(FUSION, heard, SEEN)[k] for k, (heard, _) in enumerate(pairs)]
    calls: list[Scores] = []

    def counted(fusion: object, heard: Scores, seen: Scores) -> tuple[str, ...]:
        calls.append(heard)
        return marks_of(fusion, heard, seen)

    monkeypatch.setattr("av_tagger.fusion.marks.marks_of", counted)
    found = [ClassScore(0.5, 0.5, 0.5, 0.6)] * 4
    answers = marked(found, pairs, FUSION, None)
    assert [one.mark for one in answers] == expected
    assert len(calls) == 2
    assert all((new is old) == (new.mark == "") for new, old in zip(answers, found, strict=True))

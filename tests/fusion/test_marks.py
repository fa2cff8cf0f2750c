"""Marks of classes where ear and eye disagree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from av_tagger.fusion import LogitFusion, MaxFusion, Thresholds
from av_tagger.fusion.marks import ear_limits, marks_of
from av_tagger.fusion.scales import Scales, ScoreScale
from av_tagger.scores import HEARD_NOT_SEEN, SEEN_SILENT, Scores, Status

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
    assert marks_of(FUSION, [HEARD], [SEEN]) == [(HEARD_NOT_SEEN, SEEN_SILENT, "", "")]


@pytest.mark.parametrize("status", [Status.OFF, Status.NO_TRACK, Status.NO_WEIGHTS])
def test_no_mark_where_one_of_them_had_nothing(status: Status) -> None:
    nothing = Scores.silent(LABELS, status)
    assert marks_of(FUSION, [HEARD, nothing], [nothing, SEEN]) == [("",) * 4] * 2


def test_thresholds_of_the_eye_are_those_of_its_scale() -> None:
    """A scale moves what is seen and the threshold of the eye alone together."""
    low = ScoreScale(1.0, -3.0)
    scales = Scales(ear=(None,) * 4, both=(None,) * 4, eye=(low,) * 4)
    moved = scales.thresholds("eye", ROWS.eye)
    scaled = replace(FUSION.with_thresholds(eye=moved), scales=scales)
    assert moved[0] < 0.05
    assert marks_of(scaled, [HEARD], [SEEN]) == marks_of(FUSION, [HEARD], [SEEN])


def test_other_fusions_know_what_is_seen_by_its_score() -> None:
    seen = Scores(LABELS, np.array([0.0, 0.7, np.nan, np.nan]))
    fusion = MaxFusion(LABELS, ROWS)
    assert marks_of(fusion, [HEARD], [seen]) == [(HEARD_NOT_SEEN, SEEN_SILENT, "", "")]
    assert marks_of(object(), [HEARD], [seen]) == [("",) * 4]


def test_windows_of_a_batch_have_the_marks_that_each_has_alone() -> None:
    other = replace(HEARD, probabilities=np.zeros(4))
    heard, seen = [HEARD, other, HEARD], [SEEN, SEEN, Scores.silent(LABELS, Status.NO_TRACK)]
    alone = [marks_of(FUSION, [h], [s])[0] for h, s in zip(heard, seen, strict=True)]
    assert marks_of(FUSION, heard, seen) == alone
    assert len(set(alone)) == 3
    assert marks_of(FUSION, [], []) == []


def test_the_threshold_of_the_ear_is_told_where_another_one_decided() -> None:
    rows = np.array([0.4, 0.4, 0.4, 0.4, 1.5])
    scores = [
        (0.5, 0.6, True),
        (0.5, 0.4, True),  # the same
        (None, 0.6, True),  # not heard
        (0.5, 0.6, False),  # the eye had nothing to look at
        (0.5, 0.6, True),  # never by the ear alone
    ]
    assert ear_limits(rows, scores) == [0.4, None, None, None, None]
    assert ear_limits(None, scores) == [None] * 5

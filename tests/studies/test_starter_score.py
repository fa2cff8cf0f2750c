"""Scores of an ear: windows, average precision, false alarms, thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from av_tagger.studies.sound_manifest import LABELS
from av_tagger.studies.starter_score import (
    best_f1,
    false_alarms,
    precisions,
    report,
    tune,
    windows,
    without_any,
)

CAR, SIREN = LABELS.index("Car"), LABELS.index("Police car (siren)")


def separable() -> tuple[np.ndarray, np.ndarray]:
    """200 clips of one class each and 100 of none, with scores that do not overlap."""
    draw = np.random.default_rng(0)
    truth = np.zeros((300, 17), np.float32)
    truth[np.arange(200), np.arange(200) % 17] = 1
    scores = np.clip(0.15 * draw.random((300, 17)) + 0.7 * truth, 0, 1).astype(np.float32)
    return scores, truth


def test_long_clips_are_read_in_overlapping_windows() -> None:
    parts = windows(np.arange(20_000 * 25, dtype=np.float32), 20_000)
    assert [len(p) / 20_000 for p in parts] == [10, 10, 7]
    assert parts[1][0] == 9 * 20_000
    assert [len(p) for p in windows(np.zeros(300, np.float32), 20_000)] == [300]


def test_best_f1_is_the_best_of_scikit_learn() -> None:
    draw = np.random.default_rng(4)
    truth = draw.random(80) < 0.3
    scores = np.clip(0.4 * truth + 0.6 * draw.random(80), 0, 1).astype(np.float32)
    found = f1_score(truth, scores >= best_f1(scores, truth.astype(np.float32)))
    assert found == pytest.approx(max(f1_score(truth, scores >= cut) for cut in scores), abs=0.03)


def test_thresholds_separate_what_can_be_separated() -> None:
    scores, truth = separable()
    rows = tune(scores, truth, 0.0)
    assert f1_score(truth, scores >= rows, average="micro") == 1
    assert false_alarms(scores, truth, rows) == 0
    assert false_alarms(scores, truth, np.zeros(17, np.float32)) == 1


def test_a_margin_raises_thresholds_by_logits() -> None:
    scores, truth = separable()
    rows, higher = tune(scores, truth, 0.0), tune(scores, truth, 0.5)
    raised = np.log(higher / (1 - higher)) - np.log(rows / (1 - rows))
    assert raised == pytest.approx(np.full(17, 0.5), abs=0.02)


def test_thresholds_exist_without_empty_clips() -> None:
    scores, truth = separable()
    assert (tune(scores[:200], truth[:200], 0.0) > 0).all()
    assert false_alarms(scores[:200], truth[:200], np.zeros(17, np.float32)) == 0.0


def test_average_precision_needs_three_positives_and_skips_unknown_clips() -> None:
    truth = np.zeros((60, 17), np.float32)
    truth[:5, CAR], truth[5:8, SIREN], truth[8, SIREN], truth[:2, 0] = 1, 1, np.nan, 1
    assert precisions(np.nan_to_num(truth), truth) == {"Car": 1.0, "Police car (siren)": 1.0}
    scores = np.random.default_rng(1).random((60, 17)).astype(np.float32)
    known = np.arange(60) != 8
    expected = average_precision_score(truth[known, SIREN], scores[known, SIREN])
    assert precisions(scores, truth)["Police car (siren)"] == pytest.approx(expected)


def test_the_report_counts_known_pairs_only() -> None:
    scores = np.array([[0.9, 0.8], [0.9, 0.1], [0.1, 0.9], [0.7, 0.0], [0.1, 0.1]])
    truth = np.array([[1.0, np.nan], [1.0, 1.0], [np.nan, 1.0], [0.0, 0.0], [0.0, 0.0]])
    assert without_any(truth).tolist() == [False, False, False, True, True]
    # right: 0-0, 1-0, 2-1; missed: 1-1; wrong: 3-0
    said = report(scores, truth, np.array([0.5, 0.5]))
    assert said == "5 clips: micro-F1 0.750; 50.0 % of the 2 clips without any class get a tag"

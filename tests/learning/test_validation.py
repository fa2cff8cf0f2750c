from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from av_tagger.errors import UsageError
from av_tagger.learning.validation import validate


def some(seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    truth = (draw.random((60, 4)) < [0.1, 0.3, 0.5, 0.9]).astype(np.float32)
    scores = np.clip(0.5 * truth + draw.random((60, 4)) * 0.7, 0, 1).astype(np.float32)
    return scores, truth


@pytest.mark.parametrize("tuning", ["two-step", "exact"])
def test_metrics_are_those_at_the_tuned_thresholds(tuning: str) -> None:
    scores, truth = some(1)
    validation = validate(scores, truth, 0.25, tuning)  # type: ignore[arg-type]
    said = scores >= np.array(validation.thresholds)
    assert validation.micro_f1 == pytest.approx(f1_score(truth, said, average="micro"))
    assert validation.map == pytest.approx(average_precision_score(truth, scores, average="macro"))
    halves = f1_score(truth, scores >= 0.5, average="micro")
    assert validation.micro_f1 > halves
    assert validation.accuracy == pytest.approx(
        np.mean([truth[i, scores[i].argmax()] for i in range(60)])
    )


def test_unknown_labels_are_left_out() -> None:
    scores, truth = some(2)
    asked = truth.copy()
    asked[:30, 2] = np.nan
    validation = validate(scores, asked, 0.0)
    assert validation.average_precision[2] == pytest.approx(
        average_precision_score(truth[30:, 2], scores[30:, 2])
    )


def test_a_class_without_positives_is_left_out_of_the_means() -> None:
    scores, truth = some(3)
    truth[:, 1] = 0
    validation = validate(scores, truth, 0.0)
    assert validation.average_precision[1] is None
    assert validation.map == pytest.approx(
        np.mean([average_precision_score(truth[:, k], scores[:, k]) for k in (0, 2, 3)])
    )


def test_metrics_have_names() -> None:
    validation = validate(*some(4), 0.25)
    assert validation.figure("loss") == -0.25
    assert validation.figure("map") == validation.map
    with pytest.raises(UsageError, match="did you mean 'micro_f1'"):
        validation.figure("microf1")


def test_few_false_alarms_raise_thresholds_above_other_sounds() -> None:
    """Half way from the highest other clip to 1, but no higher than the middle of the own clips."""
    scores = np.array([[0.9, 0.9], [0.8, 0.7], [0.2, 0.6], [0.1, 0.1]], np.float32)
    targets = np.array([[1, 1], [1, 1], [0, 0], [0, 0]], np.float32)
    quiet = validate(scores, targets, 0.0, "few-false-alarms")
    loud = validate(scores, targets, 0.0, "two-step")
    assert quiet.thresholds == pytest.approx((0.6, 0.8))
    assert all(a >= b for a, b in zip(quiet.thresholds, loud.thresholds, strict=True))
    assert loud.micro_f1 == 1.0
    assert quiet.micro_f1 == pytest.approx(2 * 3 / (3 + 4)), "at the raised thresholds"


def test_unknown_labels_are_no_other_sounds() -> None:
    scores = np.array([[0.9], [0.95], [0.2]], np.float32)
    targets = np.array([[1], [np.nan], [0]], np.float32)
    assert validate(scores, targets, 0.0, "few-false-alarms").thresholds == pytest.approx((0.6,))

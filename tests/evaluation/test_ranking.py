"""Rankings and curves against scikit-learn."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from av_tagger.evaluation.ranking import curves, rank


def random_scores(
    clips: int, classes: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Scores with ties that separate the classes a little, their truth, and labels."""
    rng = np.random.default_rng(seed)
    truth = rng.random((clips, classes)) < 0.2
    scores = np.round(rng.random((clips, classes)) * 0.5 + 0.3 * truth, 2)
    return scores, truth, tuple("abcdefgh"[:classes])


def test_ap_and_auc_per_class_equal_scikit_learn() -> None:
    scores, truth, labels = random_scores(200, 5)
    ranking = rank(scores, truth, labels)
    np.testing.assert_allclose(ranking.ap, average_precision_score(truth, scores, average=None))
    np.testing.assert_allclose(ranking.auc, roc_auc_score(truth, scores, average=None))


def test_means_skip_classes_without_positives() -> None:
    scores, truth, labels = random_scores(200, 4)
    truth[:, 3] = False
    ranking = rank(scores, truth, labels)
    assert np.isnan(ranking.ap[3])
    assert np.isnan(ranking.auc[3])
    assert ranking.mean_ap == pytest.approx(average_precision_score(truth[:, :3], scores[:, :3]))
    assert ranking.mean_auc == pytest.approx(roc_auc_score(truth[:, :3], scores[:, :3]))
    assert ranking.d_prime == pytest.approx(math.sqrt(2) * norm.ppf(ranking.mean_auc))


def test_a_class_of_positives_only_has_an_ap_but_no_auc() -> None:
    scores, truth, labels = random_scores(50, 2)
    truth[:, 1] = True
    ranking = rank(scores, truth, labels)
    assert ranking.ap[1] == 1.0
    assert np.isnan(ranking.auc[1])
    assert ranking.mean_auc == ranking.auc[0]


def test_clips_without_a_score_rank_last() -> None:
    truth = np.array([[1], [1], [0]], dtype=bool)
    ranking = rank(np.array([[0.9], [np.nan], [0.0]]), truth, ("a",))
    assert ranking.ap[0] == pytest.approx(average_precision_score(truth[:, 0], [0.9, -1.0, 0.0]))


def test_json_of_a_ranking() -> None:
    scores, truth, labels = random_scores(100, 3)
    ranking = rank(scores, truth, labels)
    content = ranking.as_json()
    assert content["map"] == ranking.mean_ap
    assert content["mauc"] == ranking.mean_auc
    assert list(content["classes"]) == ["a", "b", "c"]
    row = content["classes"]["b"]
    assert (row["ap"], row["auc"]) == (ranking.ap[1], ranking.auc[1])
    assert row["d_prime"] == pytest.approx(math.sqrt(2) * norm.ppf(ranking.auc[1]))


def test_curves_equal_scikit_learn() -> None:
    scores, truth, _ = random_scores(120, 1, seed=3)
    ours = curves(scores[:, 0], truth[:, 0])
    precision, recall, thresholds = precision_recall_curve(truth[:, 0], scores[:, 0])
    np.testing.assert_allclose(ours.precision[::-1], precision)
    np.testing.assert_allclose(ours.recall[::-1], recall)
    np.testing.assert_allclose(ours.thresholds[1:][::-1], thresholds)
    false, true, _ = roc_curve(truth[:, 0], scores[:, 0], drop_intermediate=False)
    np.testing.assert_allclose(ours.false_positive_rate, false)
    np.testing.assert_allclose(ours.recall, true)


@pytest.mark.parametrize("truth", [[True, True], [False, False]])
def test_curves_of_one_sided_truth_are_finite(truth: list[bool]) -> None:
    for values in vars(curves(np.array([0.2, np.nan]), np.array(truth))).values():
        assert np.isfinite(values).all()


def test_written_curves_are_thinned_and_keep_their_ends() -> None:
    scores = np.linspace(0, 1, 3001)
    written = curves(scores, scores > 0.8).as_json()
    assert {len(values) for values in written.values()} == {400}
    assert (written["recall"][0], written["recall"][-1]) == (0.0, 1.0)
    assert written["thresholds"][-1] == 0.0
    assert json.loads(json.dumps(written, allow_nan=False)) == written


def test_short_curves_are_written_whole() -> None:
    written = curves(np.array([0.9, 0.5, 0.5]), np.array([True, False, True])).as_json()
    assert written["thresholds"] == [1.01, 0.9, 0.5]
    assert written["recall"] == [0.0, 0.5, 1.0]
    assert written["false_positive_rate"] == [0.0, 0.0, 1.0]

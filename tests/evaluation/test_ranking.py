"""AP, AUC, d' and curves against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from av_tagger.evaluation.ranking import average_precision, curves, d_prime, rank, roc_auc

cases = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, 1.0]), st.booleans()),
    min_size=2,
    max_size=20,
)


@settings(max_examples=80, deadline=None)
@given(cases)
def test_ap_and_auc_with_ties(pairs: list[tuple[float, bool]]) -> None:
    scores, truth = np.array([s for s, _ in pairs]), np.array([y for _, y in pairs])
    if truth.all() or not truth.any():
        assert math.isnan(average_precision(scores, truth))
        assert math.isnan(roc_auc(scores, truth))
    else:
        assert average_precision(scores, truth) == pytest.approx(
            average_precision_score(truth, scores)
        )
        assert roc_auc(scores, truth) == pytest.approx(roc_auc_score(truth, scores))


def test_means_leave_out_what_cannot_be_ranked() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((200, 4)) < 0.2
    truth[:, 3] = False
    scores = rng.random((200, 4)) * 0.5 + 0.5 * truth
    ranking = rank(scores, truth, ("a", "b", "c", "d"))
    assert ranking.mean_ap == pytest.approx(
        average_precision_score(truth[:, :3], scores[:, :3], average="macro")
    )
    assert ranking.mean_auc == pytest.approx(
        roc_auc_score(truth[:, :3], scores[:, :3], average="macro")
    )
    assert ranking.d_prime == pytest.approx(math.sqrt(2) * norm.ppf(ranking.mean_auc))
    assert np.isnan(ranking.ap[3])


def test_without_an_opinion_a_clip_stands_last() -> None:
    truth = np.array([[1], [1], [0]], dtype=bool)
    silent = rank(np.array([[0.9], [np.nan], [0.0]]), truth, ("a",))
    assert silent.ap[0] == pytest.approx(average_precision_score(truth[:, 0], [0.9, -1.0, 0.0]))


@pytest.mark.parametrize(
    ("auc", "expected"), [(0.5, 0.0), (1.0, math.inf), (0.0, -math.inf), (math.nan, math.nan)]
)
def test_d_prime_at_its_ends(auc: float, expected: float) -> None:
    assert d_prime(auc) == pytest.approx(expected, nan_ok=True)


def test_curves_go_through_the_points_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(120) < 0.3
    scores = np.round(rng.random(120) * 0.7 + 0.3 * truth, 2)
    ours = curves(scores, truth)
    precision, recall, _ = precision_recall_curve(truth, scores)
    np.testing.assert_allclose(ours.precision[::-1], precision)
    np.testing.assert_allclose(ours.recall[::-1], recall)
    false, true, _ = roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(ours.false_positive_rate, false)
    np.testing.assert_allclose(ours.recall, true)


def test_written_curves_are_thinned_but_keep_their_ends() -> None:
    scores = np.linspace(0, 1, 3001)
    written = curves(scores, scores > 0.8).as_json()
    assert len(written["recall"]) == 400
    assert (written["recall"][0], written["recall"][-1]) == (0.0, 1.0)

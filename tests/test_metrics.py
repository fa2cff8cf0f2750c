"""Metrics equal scikit-learn, ties included; documented answers where scikit-learn has none."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as sk

from av_tagger.metrics import (
    Counts,
    average_precision,
    class_average_precision,
    class_roc_auc,
    d_prime,
    mean_average_precision,
    mean_of_defined,
    roc_auc,
    threshold_counts,
)

TIED = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, 1.0])
rankings = st.lists(st.tuples(TIED, st.booleans()), min_size=1, max_size=25)
decisions = st.lists(
    st.tuples(*[st.booleans()] * 6), min_size=1, max_size=15
)  # three classes: predicted, then true


@settings(max_examples=150, deadline=None)
@given(rankings)
def test_average_precision_and_auc_equal_scikit_learn_with_ties(
    pairs: list[tuple[float, bool]],
) -> None:
    scores, truth = np.array([s for s, _ in pairs]), np.array([y for _, y in pairs])
    if truth.any():
        expected = sk.average_precision_score(truth, scores)
        assert average_precision(scores, truth) == pytest.approx(expected)
    else:
        assert math.isnan(average_precision(scores, truth))
    if truth.any() and not truth.all():
        assert roc_auc(scores, truth) == pytest.approx(sk.roc_auc_score(truth, scores))
    else:
        assert math.isnan(roc_auc(scores, truth))


def test_all_positive_class_has_average_precision_one_as_in_scikit_learn() -> None:
    scores, truth = np.array([0.2, 0.9]), np.array([True, True])
    assert average_precision(scores, truth) == sk.average_precision_score(truth, scores) == 1.0
    assert math.isnan(roc_auc(scores, truth))


def test_no_items_at_all() -> None:
    assert math.isnan(average_precision([], []))
    assert math.isnan(roc_auc([], []))


def test_unscored_items_rank_below_all_scores() -> None:
    scores, truth = [0.9, math.nan, 0.0, math.nan], [1, 1, 0, 0]
    lowest = [0.9, -1.0, 0.0, -1.0]
    assert average_precision(scores, truth) == pytest.approx(
        sk.average_precision_score(truth, lowest)
    )
    assert roc_auc(scores, truth) == pytest.approx(sk.roc_auc_score(truth, lowest))
    assert average_precision([math.nan] * 4, truth) == 0.5  # one tie: the share of positives


def test_items_of_unknown_label_are_left_out() -> None:
    scores, truth = [0.9, 0.8, 0.3, 0.1], [1, math.nan, 0, 1]
    assert average_precision(scores, truth) == average_precision([0.9, 0.3, 0.1], [1, 0, 1])
    assert roc_auc(scores, truth) == roc_auc([0.9, 0.3, 0.1], [1, 0, 1])


def test_map_is_the_mean_over_classes_with_positives() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((200, 4)) < 0.2
    truth[:, 3] = False
    scores = np.round(rng.random((200, 4)) * 0.5 + 0.5 * truth, 2)
    assert mean_average_precision(scores, truth) == pytest.approx(
        sk.average_precision_score(truth[:, :3], scores[:, :3], average="macro")
    )
    assert np.isnan(class_average_precision(scores, truth)).tolist() == [False] * 3 + [True]
    assert mean_of_defined(class_roc_auc(scores, truth)) == pytest.approx(
        sk.roc_auc_score(truth[:, :3], scores[:, :3], average="macro")
    )
    assert math.isnan(mean_average_precision(scores[:, 3:], truth[:, 3:]))


def test_d_prime() -> None:
    assert d_prime(0.83) == pytest.approx(math.sqrt(2) * norm.ppf(0.83))
    assert [d_prime(a) for a in (0.5, 1.0, 0.0)] == [0.0, math.inf, -math.inf]
    assert math.isnan(d_prime(math.nan))


def test_threshold_counts_give_the_curves_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(120) < 0.3
    at = threshold_counts(np.round(rng.random(120) * 0.7 + 0.3 * truth, 2), truth)
    assert at.positives == truth.sum()
    assert (at.true_positives[-1], at.predicted[-1]) == (truth.sum(), 120)
    assert (np.diff(at.thresholds) < 0).all()


@settings(max_examples=100, deadline=None)
@given(decisions)
def test_counts_equal_scikit_learn(rows: list[tuple[bool, ...]]) -> None:
    table = np.array(rows)
    said, truth = table[:, :3], table[:, 3:]
    counts = Counts.of(said, truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # undefined precision: 0 there as here
        micro = sk.precision_recall_fscore_support(truth, said, average="micro", zero_division=0)
        each = sk.precision_recall_fscore_support(truth, said, average=None, zero_division=0)
    assert (counts.precision, counts.recall, counts.f1) == pytest.approx(micro[:3])
    np.testing.assert_allclose(counts.class_precision, each[0])
    np.testing.assert_allclose(counts.class_recall, each[1])
    np.testing.assert_allclose(counts.class_f1, each[2])
    matrices = sk.multilabel_confusion_matrix(truth, said)
    assert counts.false_positives.tolist() == matrices[:, 0, 1].tolist()
    assert counts.false_negatives.tolist() == matrices[:, 1, 0].tolist()


def test_counts_leave_out_unknown_labels_and_pool_over_folds() -> None:
    said = np.array([[True, True], [True, False]])
    truth = np.array([[1.0, math.nan], [0.0, 1.0]])
    counts = Counts.of(said, truth)
    assert counts.right.tolist() == [1, 0]
    assert counts.predicted.tolist() == [2, 0]
    assert counts.positives.tolist() == [1, 1]
    assert Counts.pooled([counts, counts]).predicted.tolist() == [4, 0]
    assert Counts.pooled([counts, counts]).f1 == counts.f1


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="one length"):
        average_precision([0.1, 0.2], [1])
    with pytest.raises(ValueError, match="items, classes"):
        Counts.of([[True]], [[True, False]])

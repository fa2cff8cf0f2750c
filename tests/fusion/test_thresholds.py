"""Thresholds: checked against brute force, scikit-learn and the procedure's guarantees."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import f1_score, fbeta_score

from av_tagger.errors import UsageError
from av_tagger.fusion.thresholds import (
    NOTHING,
    OPERATING_POINTS,
    all_cuts,
    best_alone,
    cuts_of,
    exact,
    f_score,
    simplest_between,
    two_step,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@st.composite
def tables(draw: st.DrawFn, most_clips: int = 7, most_classes: int = 3) -> tuple[Floats, Bools]:
    """Scores with many ties and a truth that may lack a class altogether."""
    n, k = draw(st.integers(1, most_clips)), draw(st.integers(1, most_classes))
    levels = st.lists(
        st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), min_size=n * k, max_size=n * k
    )
    truth = st.lists(st.booleans(), min_size=n * k, max_size=n * k)
    return np.array(draw(levels)).reshape(n, k), np.array(draw(truth)).reshape(n, k)


def every_threshold(scores: Floats) -> list[list[float]]:
    """Per class: each distinct score (p >= threshold), and one above all."""
    return [[*np.unique(column), 2.0] for column in scores.T]


def micro(
    scores: Floats,
    truth: Bools,
    thresholds: Floats | tuple[float, ...],
    beta2: Fraction = Fraction(1),
) -> float:
    said = scores >= np.asarray(thresholds)
    return f_score(int((said & truth).sum()), int(said.sum()), int(truth.sum()), beta2)


def brute_force(scores: Floats, truth: Bools, beta2: Fraction = Fraction(1)) -> float:
    return max(
        micro(scores, truth, choice, beta2)
        for choice in itertools.product(*every_threshold(scores))
    )


@settings(max_examples=120, deadline=None)
@given(tables(), st.sampled_from(sorted(OPERATING_POINTS)))
def test_the_exact_search_equals_brute_force(table: tuple[Floats, Bools], point: str) -> None:
    scores, truth = table
    beta2 = OPERATING_POINTS[point]
    tuned = exact(all_cuts(scores, truth), beta2)
    assert tuned.score(beta2) == pytest.approx(brute_force(scores, truth, beta2), abs=1e-12)
    assert micro(scores, truth, tuned.thresholds, beta2) == pytest.approx(
        tuned.score(beta2), abs=1e-12
    )


@settings(max_examples=120, deadline=None)
@given(tables(most_clips=12, most_classes=4), st.integers(0, 5))
def test_the_two_steps_never_lose_and_end_where_no_class_improves(
    table: tuple[Floats, Bools], seed: int
) -> None:
    scores, truth = table
    cuts = all_cuts(scores, truth)
    tuned = two_step(cuts, seed)
    assert tuned.score() >= tuned.start
    assert micro(scores, truth, tuned.thresholds) == pytest.approx(tuned.score(), abs=1e-12)
    assert exact(cuts).score() >= tuned.score() - 1e-12
    for k, choices in enumerate(every_threshold(scores)):
        for threshold in choices:
            other = tuned.thresholds.copy()
            other[k] = threshold
            assert micro(scores, truth, other) <= tuned.score() + 1e-12


@settings(max_examples=60, deadline=None)
@given(tables(most_clips=9), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(table: tuple[Floats, Bools], random: object) -> None:
    scores, truth = table
    order = np.arange(len(scores))
    random.shuffle(order)  # type: ignore[attr-defined]
    for search in (two_step, exact):
        np.testing.assert_array_equal(
            search(all_cuts(scores, truth)).thresholds,
            search(all_cuts(scores[order], truth[order])).thresholds,
        )


@settings(max_examples=60, deadline=None)
@given(tables())
def test_step_one_finds_the_best_f1_of_each_class(table: tuple[Floats, Bools]) -> None:
    scores, truth = table
    best = [
        max(f1_score(truth[:, k], scores[:, k] >= t, zero_division=0.0) for t in ts)
        for k, ts in enumerate(every_threshold(scores))
    ]
    np.testing.assert_allclose(best_alone(all_cuts(scores, truth)), best, atol=1e-12)


def test_a_case_counted_by_hand() -> None:
    """Class 1 sorts + - +, class 2 sorts - + -. Best: two right of three said and one of two: F1 =
    2 * 3 / (5 + 3).
    """
    scores = np.array([[0.9, 0.8], [0.6, 0.3], [0.4, 0.1]])
    truth = np.array([[1, 0], [0, 1], [1, 0]], dtype=bool)
    tuned = exact(all_cuts(scores, truth))
    assert (tuned.right, tuned.predicted, tuned.positives) == (3, 5, 3)
    assert tuned.score() == 0.75
    assert 0.1 < tuned.thresholds[1] <= 0.3
    assert tuned.thresholds[0] <= 0.4


def test_step_two_undoes_what_is_good_for_a_class_and_bad_for_all() -> None:
    """A hopeless class does best alone by saying everything, F1 = 2/41; that would drag the good
    class down.
    """
    scores = np.column_stack((np.r_[np.ones(10), np.zeros(30)], np.linspace(0.1, 0.9, 40)))
    truth = np.zeros((40, 2), dtype=bool)
    truth[:10, 0] = True
    truth[0, 1] = True
    tuned = two_step(all_cuts(scores, truth))
    assert tuned.thresholds[1] == NOTHING
    assert tuned.start == pytest.approx(2 * 11 / (10 + 40 + 11))
    assert tuned.score() == pytest.approx(2 * 10 / (10 + 11))


def test_two_step_keeps_what_a_good_start_had() -> None:
    rng = np.random.default_rng(4)
    scores, truth = rng.random((60, 5)), rng.random((60, 5)) < 0.2
    cuts = all_cuts(scores, truth)
    best = exact(cuts)
    again = two_step(cuts, start=best.chosen)
    assert again.start == again.score() == best.score()


def test_the_same_seed_gives_the_same_and_no_seed_beats_the_exact_search() -> None:
    rng = np.random.default_rng(1)
    scores, truth = rng.random((80, 6)), rng.random((80, 6)) < 0.3
    cuts = all_cuts(scores, truth)
    np.testing.assert_array_equal(two_step(cuts, 3).thresholds, two_step(cuts, 3).thresholds)
    scores_of = [two_step(cuts, seed).score() for seed in range(5)]
    assert min(scores_of) >= two_step(cuts).start
    assert max(scores_of) <= exact(cuts).score() + 1e-12


def test_large_tables_agree_with_scikit_learn_and_exact_is_never_below_two_step() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((4000, 40)) < rng.uniform(0.002, 0.2, 40)
    scores = 1 / (1 + np.exp(-(rng.normal(size=truth.shape) + 2 * rng.random(40) * truth - 2)))
    cuts = all_cuts(scores, truth)
    best, one = exact(cuts), two_step(cuts)
    assert best.score() >= one.score() >= one.start
    assert best.score() == pytest.approx(
        f1_score(truth, scores >= best.thresholds, average="micro"), abs=1e-12
    )
    beta2 = OPERATING_POINTS["recall"]
    recall = exact(cuts, beta2)
    assert recall.score(beta2) == pytest.approx(
        fbeta_score(truth, scores >= recall.thresholds, beta=2, average="micro"), abs=1e-12
    )
    assert recall.score(beta2) >= best.score(beta2)


def test_no_cut_that_could_be_best_is_left_out() -> None:
    cut = cuts_of(
        np.array([0.2, 0.9, 0.5, 0.5, np.nan, 0.7]), np.array([1, 0, 1, 0, 1, 1], dtype=bool)
    )
    assert cut.positives == 3  # the clip without an opinion takes no part
    np.testing.assert_array_equal(cut.right, [0, 1, 2, 3])
    np.testing.assert_array_equal(cut.predicted, [0, 2, 4, 5])
    np.testing.assert_array_equal(cut.high, [np.inf, 0.7, 0.5, 0.2])
    np.testing.assert_array_equal(cut.low, [0.9, 0.5, 0.2, -np.inf])


def test_a_class_without_positives_is_never_said() -> None:
    tuned = exact(all_cuts(np.array([[0.9, 0.9], [0.1, 0.1]]), np.array([[1, 0], [0, 0]])))
    assert tuned.thresholds[1] == NOTHING
    assert tuned.score() == 1.0
    assert exact(all_cuts(np.zeros((3, 1)), np.zeros((3, 1)))).score() == 0.0


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_a_short_threshold_lies_where_it_must(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    threshold = simplest_between(low, high)
    assert low < threshold <= high if low < high else threshold == high


def test_thresholds_are_short_where_there_is_room() -> None:
    assert simplest_between(0.2, 0.8000001) == 0.5
    assert simplest_between(-np.inf, 0.5) == 0.25
    assert simplest_between(-np.inf, 0.0) == 0.0
    assert simplest_between(0.9, np.inf) == NOTHING


@pytest.mark.parametrize(
    ("scores", "truth", "says"),
    [
        (np.array([[1.2]]), np.array([[1]]), "1.2"),
        (np.array([[-0.1]]), np.array([[1]]), "-0.1"),
        (np.array([[np.inf]]), np.array([[1]]), "inf"),
        (np.array([[0.5]]), np.array([[2]]), "0 or 1"),
        (np.array([[0.5]]), np.array([1]), "clips x classes"),
        (np.array([[0.5, 0.5]]), np.array([[1]]), r"\(1, 2\)"),
    ],
)
def test_impossible_tables_are_refused(scores: Floats, truth: Floats, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        all_cuts(scores, truth)

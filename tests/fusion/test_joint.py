"""Weight and threshold together: against brute force over every weight and every threshold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from av_tagger.fusion.joint import joint, weigh
from av_tagger.fusion.thresholds import all_cuts, exact, f_score

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@st.composite
def two_witnesses(draw: st.DrawFn) -> tuple[Floats, Floats, Bools]:
    n, k = draw(st.integers(2, 6)), draw(st.integers(1, 2))
    numbers = st.lists(st.integers(0, 12).map(lambda i: i / 12), min_size=n * k, max_size=n * k)
    truth = st.lists(st.booleans(), min_size=n * k, max_size=n * k)
    h, s = (np.array(draw(numbers)).reshape(n, k) for _ in range(2))
    return h, s, np.array(draw(truth)).reshape(n, k)


def every_decision(h: Floats, s: Floats, y: Bools) -> set[tuple[int, int]]:
    """(right, predicted) that any weight of a dense grid and any threshold can give."""
    found = set()
    for a in np.linspace(0, 1, 1201):
        mixed = np.round(a * h + (1 - a) * s, 12)
        for threshold in [*np.unique(mixed), 2.0]:
            said = mixed >= threshold
            found.add((int((said & y).sum()), int(said.sum())))
    return found


@settings(max_examples=12, deadline=None)
@given(two_witnesses())
def test_the_joint_search_is_exact_on_small_tables(table: tuple[Floats, Floats, Bools]) -> None:
    h, s, y = table
    choices = [every_decision(h[:, k], s[:, k], y[:, k]) for k in range(y.shape[1])]
    best = max(
        f_score(sum(t for t, _ in pick), sum(p for _, p in pick), int(y.sum()))
        for pick in itertools.product(*choices)
    )
    weights, tuned = joint(h, s, y)
    assert tuned.score() >= best - 1e-12
    said = weigh(h, s, weights) >= tuned.thresholds
    assert f_score(int((said & y).sum()), int(said.sum()), int(y.sum())) == pytest.approx(
        tuned.score(), abs=1e-12
    )


def test_a_weight_between_two_grid_points_is_found() -> None:
    """The positive stands above both negatives only while 0.712 < a < 0.734."""
    h = np.array([[0.5], [0.681], [0.4]])
    s = np.array(
        [[0.5], [0.0], [0.747]]
    )  # the second is above the first from a = 0.734, the third up to a = 0.712
    y = np.array([[1], [0], [0]], dtype=bool)
    weights, tuned = joint(h, s, y)
    assert tuned.score() == 1.0
    assert 0.711 < weights[0] < 0.735


def test_large_tables_beat_both_alone_and_the_even_weight() -> None:
    rng = np.random.default_rng(2)
    y = rng.random((1500, 12)) < 0.1
    good, bad = rng.uniform(1, 2.5, 12), rng.uniform(0, 1, 12)
    h, s = (1 / (1 + np.exp(-(rng.normal(size=y.shape) + r * y - 2))) for r in (good, bad))
    _, tuned = joint(h, s, y)
    for alone in (h, s, weigh(h, s, 0.5)):
        assert tuned.score() >= exact(all_cuts(alone, y)).score()


def test_of_equally_good_weights_the_most_even_is_taken() -> None:
    y = np.array([[1], [1], [0], [0]], dtype=bool)
    perfect = y.astype(float)
    weights, tuned = joint(perfect, perfect, y)
    assert tuned.score() == 1.0
    assert weights[0] == 0.5


def test_who_has_no_opinion_has_no_say() -> None:
    nan = np.nan
    fused = weigh(np.array([0.2, nan, 0.4, nan]), np.array([0.8, 0.6, nan, nan]), 0.25)
    np.testing.assert_allclose(fused, [0.65, 0.6, 0.4, nan])


def test_a_class_that_one_witness_never_judges_gets_the_even_weight() -> None:
    h, s = np.array([[0.1], [0.9]]), np.array([[np.nan], [np.nan]])
    weights, tuned = joint(h, s, np.array([[0], [1]]))
    assert weights[0] == 0.5
    assert tuned.positives == 0

"""Rectify, sum, rectify, hand over."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from av_tagger.video.assign import Assignment, evidence, rectify, shares, summarise

SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=12, max_side=30)
PROBABILITIES = arrays(np.float32, SHAPES, elements=st.floats(2**-20, 1.0, width=32))
NEAR = arrays(np.float64, (7, 4), elements=st.one_of(st.floats(-1, 1), st.just(np.nan)))


def test_by_hand() -> None:
    row = np.array([0.1, 0.4, 0.2, 0.3])
    np.testing.assert_allclose(rectify(row, 2), [0, 4 / 7, 0, 3 / 7])
    frames = np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7]])  # kept: (2/3, 1/3, 0) and (0, 2/9, 7/9)
    np.testing.assert_allclose(summarise(frames, 2), np.array([2 / 3, 0, 7 / 9]) / (2 / 3 + 7 / 9))


@given(PROBABILITIES)
def test_ten_objects_that_sum_to_one(frames: NDArray[np.float32]) -> None:
    for row in [*rectify(frames), summarise(frames)]:
        assert np.count_nonzero(row) == 10
        assert abs(row.sum() - 1) < 1e-12


@given(PROBABILITIES, st.randoms(use_true_random=False))
def test_the_order_of_key_frames_does_not_matter(frames: NDArray[np.float32], random) -> None:  # type: ignore[no-untyped-def]
    order = list(range(len(frames)))
    random.shuffle(order)
    np.testing.assert_array_equal(summarise(frames[order]), summarise(frames))


def test_ties_keep_the_first_and_nothing_stays_nothing() -> None:
    np.testing.assert_array_equal(rectify(np.full(12, 0.1)) > 0, [True] * 10 + [False] * 2)
    np.testing.assert_array_equal(rectify(np.zeros((2, 3))), np.zeros((2, 3)))
    assert summarise(np.empty((0, 5))).tolist() == [0] * 5


@pytest.mark.parametrize("bad", [[np.nan, 0.5], [np.inf, 0.5], [-0.1, 0.5]])
def test_what_is_no_probability_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        rectify(np.array(bad))


def test_hard_gives_all_to_the_nearest_and_a_floor_refuses() -> None:
    near = np.array([[0.2, 0.9, np.nan], [0.5, 0.5, 0.1], [np.nan] * 3, [0.3, 0.1, 0.2]])
    np.testing.assert_array_equal(
        shares(near, Assignment("hard")), [[0, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 0]]
    )
    np.testing.assert_array_equal(shares(near, Assignment("hard", floor=0.4))[3], [0, 0, 0])


def test_soft_shares_by_the_exponential() -> None:
    given_ = shares(np.array([[0.5, 0.4, np.nan]]), Assignment("soft", temperature=0.1))
    np.testing.assert_allclose(given_, [[np.e / (np.e + 1), 1 / (np.e + 1), 0]])
    with pytest.raises(ValueError, match="temperature"):
        Assignment("soft", temperature=0.0)


@given(NEAR, st.sampled_from(["hard", "soft"]), st.one_of(st.none(), st.floats(-1, 1)))
def test_no_object_gives_more_than_it_has(near: NDArray[np.float64], how, floor) -> None:  # type: ignore[no-untyped-def]
    given_ = shares(near, Assignment(how, floor))
    total = given_.sum(axis=1)
    best = np.where(np.isnan(near), -np.inf, near).max(axis=1)
    speaks = np.isfinite(best) & (best >= (-2 if floor is None else floor))
    np.testing.assert_allclose(total, speaks.astype(float), atol=1e-12)
    assert not given_[np.isnan(near)].any()


STRENGTH = np.array([[1.0, 0.4, np.nan], [0.9, 0.0, np.nan], [0.0, 0.0, np.nan]])


def test_evidence_counts_in_the_best_key_frame() -> None:
    objects = np.array([[0.2, 0.1, 0.7], [0.5, 0.4, 0.1]])
    found, parts = evidence(objects, STRENGTH, Assignment())
    np.testing.assert_allclose(found, [0.5 + 0.36, np.nan, np.nan])
    np.testing.assert_allclose(parts[:, 0], [0.5, 0.36, 0])
    lower, _ = evidence(objects, STRENGTH, Assignment(floor=0.3))
    np.testing.assert_allclose(lower, [0.86, 0.2, np.nan])


def test_a_trace_of_evidence_is_none() -> None:
    objects = np.array([[0.04, 0.0, 0.96]])
    assert np.isnan(evidence(objects, STRENGTH, Assignment())[0]).all()


def test_more_key_frames_never_take_evidence_away() -> None:
    random = np.random.default_rng(0)
    strength = random.random((20, 5))
    objects = rectify(random.random((6, 20)))
    fewer = np.nan_to_num(evidence(objects[:3], strength, Assignment())[0])
    more = np.nan_to_num(evidence(objects, strength, Assignment())[0])
    assert (more >= fewer).all()
    assert more.max() <= 1


def test_evidence_is_not_shared_out() -> None:
    with pytest.raises(ValueError, match="evidence"):
        shares(STRENGTH, Assignment())


@given(
    arrays(np.float64, SHAPES, elements=st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.5000001])),
    st.integers(1, 14),
)
def test_the_largest_are_those_of_a_stable_sort(rows: NDArray[np.float64], keep: int) -> None:
    """Many ties, some of them at the edge of what is kept."""
    expected = np.zeros_like(rows)
    order = np.argsort(-rows, axis=1, kind="stable")[:, :keep]
    np.put_along_axis(expected, order, np.take_along_axis(rows, order, axis=1), axis=1)
    total = expected.sum(axis=1, keepdims=True)
    expected = np.divide(expected, total, out=np.zeros_like(rows), where=total > 0)
    np.testing.assert_array_equal(rectify(rows, keep), expected)

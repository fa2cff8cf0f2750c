"""Reliability: known errors, calibrated and random scores, and unknown pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from av_tagger.evaluation.reliability import diagram, ece, log_loss, reliability


def test_the_error_of_known_scores() -> None:
    scores, truth = np.array([0.95] * 10 + [0.15] * 10), np.array([1.0] * 7 + [0] * 3 + [0] * 10)
    assert ece(scores, truth) == pytest.approx((0.25 * 10 + 0.15 * 10) / 20)
    found = reliability(scores[:, None], truth[:, None])
    assert found is not None
    assert [(b.pairs, round(b.share, 2)) for b in found.bins] == [(10, 0.0), (10, 0.7)]
    assert found.bins[1].bounds == pytest.approx((0.3475, 0.9333), abs=1e-3)


def test_calibrated_scores_have_little_error_and_beat_the_constant() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((4000, 3)) ** 3
    found = reliability(scores, rng.random(scores.shape) < scores)
    assert found is not None
    assert found.ece < 0.02
    assert found.ece_claimed < 0.03
    assert found.informative
    assert all(b.bounds[0] - 0.05 < b.score < b.bounds[1] + 0.05 for b in found.bins)


def test_random_scores_are_not_called_informative() -> None:
    rng = np.random.default_rng(1)
    for scores in (rng.random((500, 3)), np.clip(0.2 + 0.05 * rng.normal(size=(500, 3)), 0, 1)):
        found = reliability(scores, rng.random(scores.shape) < 0.2)
        assert found is not None
        assert not found.informative
        assert "NOT below" in found.lines("fused")[1]


def test_scores_near_zero_do_not_hide_overconfident_ones() -> None:
    scores = np.concatenate([np.zeros(960), np.full(40, 0.9)])[:, None]
    truth = np.zeros(1000)[:, None]
    truth[960:970] = 1
    found = reliability(scores, truth)
    assert found is not None
    assert found.ece < 0.03
    assert found.ece_claimed == pytest.approx(0.65)


def test_unknown_and_unscored_pairs_are_left_out() -> None:
    scores = np.array([[0.9, math.nan], [0.1, 0.8]])
    truth = np.array([[1, 1], [0, math.nan]])
    found = reliability(scores, truth)
    assert found is not None
    assert found.pairs == 2
    assert reliability(scores, np.full((2, 2), math.nan)) is None
    assert math.isnan(ece(np.array([]), np.array([])))


def test_the_loss_and_the_diagram() -> None:
    assert log_loss(np.array([0.5, 0.0]), np.array([1.0, 0.0])) == pytest.approx(
        math.log(2) / 2, abs=1e-5
    )
    found = reliability(np.array([[0.95], [0.05]]), np.array([[1], [0]]))
    assert found is not None
    lines = diagram(found)
    assert len(lines) == 3
    assert max(map(len, lines)) <= 80

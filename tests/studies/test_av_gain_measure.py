"""Measurement of the fusion gain: known answers, held-out halves, sums."""

from __future__ import annotations

import numpy as np
import pytest

from av_tagger.fusion.fit import DevelopmentScores
from av_tagger.metrics import Counts
from av_tagger.studies.av_gain_measure import WAYS, measure, summary, weights_of
from av_tagger.studies.sound_manifest import LABELS

EAR_KNOWS = 8  # the first classes; the eye knows the others


def known_branches(each: int = 24) -> tuple[DevelopmentScores, np.ndarray]:
    """One class per clip; a branch that knows a class is always right, else it is constant."""
    truth = np.repeat(np.eye(len(LABELS), dtype=bool), each, axis=0)
    sure = np.where(truth, 0.9, 0.1)
    heard, seen = np.full(truth.shape, 0.3), np.full(truth.shape, 0.3)
    heard[:, :EAR_KNOWS], seen[:, EAR_KNOWS:] = sure[:, :EAR_KNOWS], sure[:, EAR_KNOWS:]
    return DevelopmentScores(heard, seen, truth), np.arange(len(truth)) % 2


def test_a_known_gain_is_found() -> None:
    """Finding k of n equal classes without a mistake: F1 = 2 k / (k + n)."""
    table, halves = known_branches()
    n = len(LABELS)
    for half in measure(table, halves, {}):
        assert half.counts["heard"].f1 == pytest.approx(2 * EAR_KNOWS / (EAR_KNOWS + n))
        assert half.counts["seen"].f1 == pytest.approx(2 * (n - EAR_KNOWS) / (2 * n - EAR_KNOWS))
        assert half.counts["fitted"].f1 == 1.0
        assert half.counts["paper rule"].f1 == 1.0
        assert half.trusts_eye.tolist() == [k >= EAR_KNOWS for k in range(n)]
        assert half.counts["fitted"].positives.tolist() == [12] * n


def test_an_eye_that_knows_nothing_adds_nothing() -> None:
    table, halves = known_branches()
    blind = DevelopmentScores(table.heard, np.full(table.seen.shape, 0.3), table.truth)
    for half in measure(blind, halves, {}):
        assert half.counts["fitted"].f1 == half.counts["heard"].f1
        assert half.counts["paper weights"].f1 == half.counts["heard"].f1


def noisy() -> tuple[DevelopmentScores, np.ndarray]:
    table, halves = known_branches()
    random = np.random.default_rng(0)
    noise = [random.uniform(-0.3, 0.3, table.truth.shape) for _ in range(2)]
    return DevelopmentScores(
        (table.heard + noise[0]).clip(0, 1), (table.seen + noise[1]).clip(0, 1), table.truth
    ), halves


def test_the_fit_does_not_use_the_measured_half() -> None:
    table, halves = noisy()
    other = table.truth.copy()
    other[halves == 1] = other[halves == 1][::-1]
    first, changed = (
        measure(DevelopmentScores(table.heard, table.seen, truth), halves, {})[0]
        for truth in (table.truth, other)
    )
    np.testing.assert_array_equal(first.weights, changed.weights)
    for way in WAYS:
        np.testing.assert_array_equal(first.counts[way].predicted, changed.counts[way].predicted)
        assert first.counts[way].right.sum() > changed.counts[way].right.sum()


def test_counts_by_kind_add_up() -> None:
    table, halves = noisy()
    real = np.random.default_rng(1).random(len(halves)) < 0.5
    results = measure(table, halves, {"recordings": real, "scenes": ~real})
    for half in results:
        for way in WAYS:
            both = Counts.pooled([half.by_kind[kind][way] for kind in ("recordings", "scenes")])
            assert vars(both).keys() == vars(half.counts[way]).keys()
            np.testing.assert_array_equal(both.right, half.counts[way].right)
            np.testing.assert_array_equal(both.predicted, half.counts[way].predicted)
    figures = summary(results)
    gain = [half.counts["fitted"].f1 - half.counts["heard"].f1 for half in results]
    assert figures["gain"]["fitted"]["mean"] == pytest.approx(sum(gain) / 2)
    assert figures["gain"]["fitted"]["std"] == pytest.approx(abs(gain[0] - gain[1]) / 2**0.5)


def test_weights_are_those_of_the_ways() -> None:
    table, _ = known_branches()
    found = weights_of(table)
    assert tuple(found) == WAYS
    assert set(found["heard"]) == {1.0}
    assert set(found["seen"]) == {0.0}
    assert ((found["paper rule"] < 0.5) == (np.arange(len(LABELS)) >= EAR_KNOWS)).all()


def test_classes_are_counted_once_per_deal() -> None:
    table, halves = known_branches()
    results = [*measure(table, halves, {"all": np.ones(len(halves), bool)}) * 2]
    rows = summary(results)["classes"]
    assert [row["clips"] for row in rows.values()] == [24] * len(LABELS)
    assert [row["trusts_eye"] for row in rows.values()] == [0] * EAR_KNOWS + [4] * 9
    assert rows["Screaming"]["can_be_seen"] is False

"""Made-up scores of two branches: rare labels, informative scores, reproducible."""

from __future__ import annotations

import numpy as np

from av_tagger.bench.thresholds import random_scores
from av_tagger.metrics import roc_auc


def test_about_one_label_per_clip_spread_unevenly() -> None:
    _, _, truth = random_scores(5_000, 17)
    assert 0.7 < truth.sum(axis=1).mean() < 1.3
    counts = np.sort(truth.sum(axis=0))
    assert counts[-1] > 3 * counts[0]


def test_both_branches_know_something_and_not_the_same() -> None:
    first, second, truth = random_scores(5_000, 17)
    areas = np.array([[roc_auc(s[:, k], truth[:, k]) for k in range(17)] for s in (first, second)])
    assert areas.mean() > 0.7
    assert (np.abs(areas[0] - areas[1]) > 0.05).any()
    assert ((first > 0) & (first < 1)).all()


def test_the_same_seed_gives_the_same_scores() -> None:
    for ours, again, other in zip(*(random_scores(50, 5, seed) for seed in (1, 1, 2)), strict=True):
        np.testing.assert_array_equal(ours, again)
        assert not np.array_equal(ours, other)

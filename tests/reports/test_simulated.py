"""Simulated scores, events and results have the properties that examples rely on."""

from __future__ import annotations

import numpy as np
import pytest

from av_tagger.fusion import load_fusion
from av_tagger.labels import dcase2017
from av_tagger.metrics import class_roc_auc
from av_tagger.reports.explore import SavedScores
from av_tagger.reports.simulated import (
    CLIP_SECONDS,
    simulated_events,
    simulated_results,
    simulated_scores,
)

LABELS = dcase2017().labels
BY_EYE = LABELS[:7]


@pytest.fixture(scope="module")
def examples() -> SavedScores:
    return simulated_scores(LABELS, BY_EYE, clips=600, seed=1)


def test_each_clip_has_one_or_two_classes(examples: SavedScores) -> None:
    assert set(examples.truth.sum(axis=1)) == {1, 2}
    assert examples.truth.any(axis=0).all()


def test_each_branch_is_better_at_its_own_classes(examples: SavedScores) -> None:
    heard = class_roc_auc(examples.heard, examples.truth)
    seen = class_roc_auc(examples.seen, examples.truth)
    eye = np.isin(LABELS, BY_EYE)
    assert (seen[eye] > heard[eye]).mean() > 0.8
    assert (heard[~eye] > seen[~eye]).all()


def test_some_clips_lack_a_branch_but_none_lacks_both(examples: SavedScores) -> None:
    no_ear, no_eye = (np.isnan(t).all(axis=1) for t in (examples.heard, examples.seen))
    assert 0.02 < no_ear.mean() < 0.09
    assert 0.02 < no_eye.mean() < 0.09
    assert not (no_ear & no_eye).any()


def test_probabilities_are_probabilities(examples: SavedScores) -> None:
    for table in (examples.heard, examples.seen):
        known = table[np.isfinite(table)]
        assert ((known >= 0) & (known <= 1)).all()


def test_the_seed_decides() -> None:
    same = [simulated_scores(LABELS, BY_EYE, clips=20, seed=5).heard for _ in range(2)]
    np.testing.assert_array_equal(*same)
    other = simulated_scores(LABELS, BY_EYE, clips=20, seed=6).heard
    assert not np.array_equal(same[0], other, equal_nan=True)


def test_events_are_inside_the_clip_and_belong_to_true_labels(examples: SavedScores) -> None:
    for spans, row in zip(simulated_events(examples), examples.truth, strict=True):
        assert list(spans) == [LABELS[k] for k in np.flatnonzero(row)]
        for (event,) in spans.values():
            assert 0 <= event.start < event.end <= CLIP_SECONDS


def test_results_have_scores_tags_and_slightly_wrong_events(examples: SavedScores) -> None:
    few = SavedScores(LABELS, examples.heard[:50], examples.seen[:50], examples.truth[:50])
    events = simulated_events(few)
    errors = []
    for n, tagged in enumerate(simulated_results(few, load_fusion("even", LABELS), events)):
        assert set(tagged.scores) == set(LABELS)
        probabilities = [tag.probability for tag in tagged.tags]
        assert probabilities == sorted(probabilities, reverse=True)
        assert all(tag.probability >= tag.threshold for tag in tagged.tags)
        errors += [
            abs(tag.events[0].start - events[n][tag.label][0].start)
            for tag in tagged.tags
            if tag.label in events[n]
        ]
    assert errors
    assert 0 < np.mean(errors) < 1

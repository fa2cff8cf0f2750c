"""Guaranteed thresholds: they hold at their level over many draws, and refuse small data."""

from __future__ import annotations

import numpy as np
import pytest

from av_tagger.errors import UsageError
from av_tagger.evaluation.guarantees import (
    ALARMS,
    PRECISION,
    RECALL,
    ClassClips,
    Goal,
    Guarantee,
    guarantee,
    lower_bound,
    rate_bound,
)
from av_tagger.fusion.thresholds import NOTHING

DRAWS = 1000
HOURS = 10 / 3600


def draw(rng: np.random.Generator, clips: int, share: float = 0.5) -> ClassClips:
    """Scores uniform for negatives, x ** (1 / 12) for positives: all true rates are known."""
    truth = rng.random(clips) < share
    scores = rng.random(clips)
    return ClassClips(np.where(truth, scores ** (1 / 12), scores), truth, np.full(clips, HOURS))


def true_recall(threshold: float) -> float:
    return 1 - min(threshold, 1.0) ** 12


def true_precision(threshold: float, share: float = 0.5) -> float:
    found, false = share * true_recall(threshold), (1 - share) * (1 - min(threshold, 1.0))
    return found / (found + false) if found else 1.0


def true_alarms(threshold: float, share: float = 0.5) -> float:
    return (1 - share) * (1 - min(threshold, 1.0)) / HOURS


def results(goal: Goal, clips: int = 300) -> list[Guarantee]:
    rng = np.random.default_rng(5)
    return [guarantee(goal, draw(rng, clips // 2), draw(rng, clips)) for _ in range(DRAWS)]


def most_violations(delta: float) -> float:
    """Three standard deviations above the level."""
    return delta + 3 * np.sqrt(delta * (1 - delta) / DRAWS)


@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_precision_holds_at_its_level(confidence: float) -> None:
    goal = Goal(PRECISION, 0.8, confidence)
    found = results(goal)
    held = [g for g in found if g.holds]
    broken = [g for g in held if true_precision(g.threshold) < goal.value]
    assert len(held) > 0.5 * DRAWS
    assert len(broken) / DRAWS <= most_violations(goal.delta)
    assert np.mean([true_recall(g.threshold) for g in held]) > 0.3, "not by tagging nothing"


def test_the_best_threshold_on_the_data_does_not_hold() -> None:
    """What the guarantee prevents: the lowest threshold with precision 0.8 on the clips at hand."""
    rng, broken = np.random.default_rng(6), 0
    for _ in range(DRAWS):
        clips = draw(rng, 300)
        order = np.argsort(-clips.scores)
        precision = np.cumsum(clips.truth[order]) / np.arange(1, 301)
        lowest = clips.scores[order][np.flatnonzero(precision >= 0.8)[-1]]
        broken += true_precision(float(lowest)) < 0.8
    assert broken / DRAWS > 0.3


@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_recall_holds_at_its_level(confidence: float) -> None:
    goal = Goal(RECALL, 0.9, confidence)
    found = results(goal)
    broken = [g for g in found if true_recall(g.threshold) < goal.value]
    assert all(g.holds for g in found)
    assert len(broken) / DRAWS <= most_violations(goal.delta)
    assert len(broken) / DRAWS > goal.delta / 3, "no wider than needed"


def test_alarms_per_hour_hold_at_their_level() -> None:
    goal = Goal(ALARMS, 20.0, 0.9)
    found = results(goal)
    broken = [g for g in found if true_alarms(g.threshold) > goal.value]
    assert all(g.holds for g in found)
    assert len(broken) / DRAWS <= most_violations(goal.delta)
    assert len(broken) / DRAWS > goal.delta / 4, "no wider than needed"


@pytest.mark.parametrize("kind", [PRECISION, RECALL])
def test_random_scores_get_no_useful_threshold(kind: str) -> None:
    rng, goal = np.random.default_rng(7), Goal(kind, 0.9)
    useful = 0
    for _ in range(200):
        parts = [
            ClassClips(rng.random(300), rng.random(300) < 0.3, np.full(300, HOURS)) for _ in "ab"
        ]
        found = guarantee(goal, *parts)
        useful += found.holds and (kind == PRECISION or found.threshold > 0.1)
    assert useful / 200 <= most_violations(goal.delta) + 0.03


@pytest.mark.parametrize("kind", [PRECISION, RECALL])
def test_too_few_clips_are_counted(kind: str) -> None:
    perfect = ClassClips(np.full(20, 0.9), np.ones(20, np.bool_), np.full(20, HOURS))
    found = guarantee(Goal(kind, 0.9), perfect, perfect)
    assert (found.holds, found.missing, found.threshold) == (False, 9, NOTHING)
    more = ClassClips(np.full(29, 0.9), np.ones(29, np.bool_), np.full(29, HOURS))
    assert guarantee(Goal(kind, 0.9), more, more).holds, "0.9 ** 29 < 0.05"


def test_too_few_hours_are_counted() -> None:
    quiet = ClassClips(np.zeros(100), np.zeros(100, np.bool_), np.full(100, 0.01))
    found = guarantee(Goal(ALARMS, 1.0), quiet, quiet)
    assert (found.holds, found.missing) == (False, 2), "3 hours without an alarm, one is there"


def test_unscored_positives_are_missed() -> None:
    scores = np.where(np.arange(100) < 30, np.nan, 0.9)
    clips = ClassClips(scores, np.ones(100, np.bool_), np.full(100, HOURS))
    assert not guarantee(Goal(RECALL, 0.9), clips, clips).holds


def test_bounds_are_the_exact_ones() -> None:
    assert lower_bound(29, 29, 0.05) == pytest.approx(0.05 ** (1 / 29))
    assert lower_bound(0, 10, 0.05) == 0
    assert rate_bound(0, 2.0, 0.05) == pytest.approx(-np.log(0.05) / 2)
    assert rate_bound(0, 0.0, 0.05) == np.inf


@pytest.mark.parametrize(
    ("kind", "value", "confidence", "words"),
    [
        (PRECISION, 1.0, 0.95, "--precision is 1; it lies between 0 and 1"),
        (RECALL, 0.0, 0.95, "--recall is 0"),
        (ALARMS, 0.0, 0.95, "give a number above 0"),
        (PRECISION, 0.9, 1.0, "--confidence is 1"),
    ],
)
def test_goals_that_cannot_be_met_are_refused(
    kind: str, value: float, confidence: float, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Goal(kind, value, confidence)

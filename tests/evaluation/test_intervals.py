"""Bootstrap by recording: coverage, weighted AP, comparisons, and random scores."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import UsageError
from av_tagger.evaluation.intervals import (
    Resamples,
    mean_over_classes,
    recordings_of,
    resampled_ap,
    resampled_f1,
)
from av_tagger.evaluation.predictions import Prediction, Predictions
from av_tagger.evaluation.truth import read_truth
from av_tagger.evaluation.uncertainty import compare, looking, swap_test, uncertainty
from av_tagger.labels import ClassList, SoundClass
from av_tagger.metrics import Counts, class_average_precision

LABELS = ("Car", "Bus")
NONE = Path("none")


def decisions(rng: np.random.Generator, clips: int, right: float) -> tuple[np.ndarray, np.ndarray]:
    """Truth of one class (a third of the clips), and decisions that are right so often."""
    truth = rng.random((clips, 1)) < 1 / 3
    return np.where(rng.random(truth.shape) < right, truth, ~truth), truth


def test_the_interval_covers_the_true_f1() -> None:
    """F1 of the population: 2 tp / (2 tp + fp + fn)."""
    rng, covered = np.random.default_rng(0), 0
    right = 0.8
    true = 2 * right / 3 / (2 * right / 3 + 0.2 * 2 / 3 + 0.2 / 3)
    for seed in range(200):
        said, truth = decisions(rng, 150, right)
        draws = Resamples(tuple(map(str, range(150))), 300, seed=seed)
        interval = draws.interval(Counts.of(said, truth).f1, resampled_f1(said, truth, draws).micro)
        covered += interval.low <= true <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


def test_clips_of_one_recording_are_no_new_information() -> None:
    said, truth = decisions(np.random.default_rng(1), 100, 0.8)
    names = tuple(map(str, range(100)))
    alone, copied = Resamples(names), Resamples(names * 4)
    f1 = Counts.of(said, truth).f1
    one = alone.interval(f1, resampled_f1(said, truth, alone).micro)
    four = np.tile(said, (4, 1)), np.tile(truth, (4, 1))
    assert copied.interval(f1, resampled_f1(*four, copied).micro) == one
    wrong = Resamples(tuple(map(str, range(400))))
    narrow = wrong.interval(f1, resampled_f1(*four, wrong).micro)
    assert narrow.high - narrow.low < 0.6 * (one.high - one.low)


def test_weighted_average_precision_is_that_of_repeated_clips() -> None:
    rng = np.random.default_rng(2)
    scores, truth = np.round(rng.random((60, 2)), 1), rng.random((60, 2)) < 0.3
    scores[:5] = np.nan
    draws = Resamples(tuple(f"r{i // 2}" for i in range(60)), 20)
    found = resampled_ap(scores, truth, draws)
    for row, weights in zip(found, draws.draws[:, draws.member], strict=True):
        rows = np.repeat(np.arange(60), weights)
        np.testing.assert_allclose(row, class_average_precision(scores[rows], truth[rows]))


def test_a_class_without_positives_is_left_out_of_the_mean() -> None:
    values = np.array([[0.5, math.nan], [math.nan, math.nan]])
    np.testing.assert_array_equal(mean_over_classes(values), [0.5, 0.0])


def test_the_recordings_of_a_manifest_are_used(tmp_path: Path) -> None:
    rows = [f"c{i}.wav,Car,take {i // 4}" for i in range(8)]
    (tmp_path / "t.csv").write_text("\n".join(["file,labels,recording", *rows]) + "\n")
    found = read_truth(tmp_path / "t.csv")
    assert recordings_of(list(found.tags), found.recordings) == ("take 0",) * 4 + ("take 1",) * 4


def test_unknown_labels_of_single_classes_leave_the_others_of_the_clip(tmp_path: Path) -> None:
    rows = ["a.wav,Car,,Bus|Bicycle", "b.wav,,,Car|Bus", "c.wav,Bus,,Bus"]
    (tmp_path / "t.csv").write_text("\n".join(["file,labels,recording,unknown", *rows]) + "\n")
    partly = read_truth(tmp_path / "t.csv", partly=True)
    assert dict(partly.tags) == {"a": ("Car",), "c": ("Bus",)}
    assert dict(partly.unknown) == {"a": frozenset({"Bus"})}, "of the classes that are scored"
    assert partly.left_out == 1, "nothing is known of b"
    with pytest.raises(UsageError, match="whose labels are all known"):
        read_truth(tmp_path / "t.csv", ClassList((SoundClass("Car"), SoundClass("Bus"))))


def test_looking_helps_or_misleads_per_class() -> None:
    truth = np.array([[1, 1], [1, 0], [0, 0]], np.bool_)
    heard = np.array([[0, 1], [0, 0], [0, 0]], np.bool_)
    fused = np.array([[1, 0], [0, 0], [0, 1]], np.bool_)
    assert looking({"heard": heard, "fused": fused}, truth, LABELS) == {
        "Car": {"helped": 1, "misled": 0},
        "Bus": {"helped": 0, "misled": 2},
    }


def test_few_recordings_have_no_interval() -> None:
    said, truth = decisions(np.random.default_rng(3), 90, 1.0)
    draws = Resamples(tuple(f"r{i % 9}" for i in range(90)))
    interval = draws.interval(1.0, resampled_f1(said, truth, draws).micro)
    assert math.isnan(interval.low), "all right in few recordings is not [1, 1]"


def predictions(said: np.ndarray, scores: np.ndarray | None = None) -> Predictions:
    clips = {}
    for i, row in enumerate(said):
        rows = None if scores is None else dict(zip(LABELS, scores[i], strict=True))
        branches = {} if rows is None else dict.fromkeys(("fused", "heard", "seen"), rows)
        clips[f"c{i}"] = Prediction(tuple(np.array(LABELS)[row]), scores=branches)
    return Predictions(NONE, clips)


def truth_of(table: np.ndarray) -> dict[str, tuple[str, ...]]:
    return {f"c{i}": tuple(np.array(LABELS)[row]) for i, row in enumerate(table)}


def test_a_better_system_is_told_from_an_equal_one() -> None:
    rng = np.random.default_rng(5)
    truth = rng.random((300, 2)) < 0.3
    noise = [np.where(rng.random(truth.shape) < p, truth, ~truth) for p in (0.8, 0.8, 0.95)]
    scores = [np.clip(n * 0.6 + 0.3 * rng.random(truth.shape), 0, 1) for n in noise]
    old, equal, better = map(predictions, noise, scores)
    found = compare(old, better, truth_of(truth), LABELS)
    assert found.f1.value > 0.1
    assert found.f1_p < 0.01
    assert found.mean_ap is not None
    assert found.mean_ap.excludes_zero
    assert found.lines()[1].endswith("a real difference")
    same = compare(old, equal, truth_of(truth), LABELS)
    assert same.f1_p > 0.05
    assert "may be chance" in same.lines()[1]
    assert compare(old, old, truth_of(truth), LABELS).f1_p == 1.0


def test_equal_systems_differ_no_more_often_than_the_level() -> None:
    rng, wrong = np.random.default_rng(6), 0
    for _ in range(200):
        truth = rng.random((80, 2)) < 0.3
        one, two = (np.where(rng.random(truth.shape) < 0.8, truth, ~truth) for _ in "ab")
        wrong += swap_test(one, two, truth, Resamples(tuple(map(str, range(80))))) < 0.05
    assert wrong / 200 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_random_scores_are_not_told_from_the_share_of_positives() -> None:
    """The interval of AP covers the prevalence, which is what random scores reach."""
    rng = np.random.default_rng(7)
    truth, scores = rng.random((400, 2)) < 0.2, rng.random((400, 2))
    found = uncertainty(predictions(scores > 0.5, scores), truth_of(truth), LABELS)
    interval = found.mean_ap["fused"]
    assert interval.low <= truth.mean() <= interval.high
    assert found.gain is not None
    assert not found.gain.excludes_zero
    assert found.lines()[-1].endswith("may be chance")


def test_submissions_without_scores_have_intervals_of_f1_alone() -> None:
    truth = np.random.default_rng(8).random((40, 2)) < 0.4
    found = uncertainty(predictions(truth), truth_of(truth), LABELS)
    assert found.micro.value == 1.0
    assert found.mean_ap == {}
    assert found.as_json()["classes"]["Car"]["ap"] is None
    few = replace(found, recordings=5)
    assert few.lines() == ["no intervals: 5 recordings are too few"]


@pytest.mark.parametrize("names", [("x",), ()])
def test_nothing_in_common_is_an_error(names: tuple[str, ...]) -> None:
    from av_tagger.errors import UsageError

    empty = Predictions(NONE, dict.fromkeys(names, Prediction()))
    with pytest.raises(UsageError, match="no clip of the ground truth in common"):
        compare(empty, empty, {"c0": ("Car",)}, LABELS)

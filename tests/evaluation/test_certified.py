"""A fusion with guaranteed thresholds: the split, the rows, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import UsageError
from av_tagger.evaluation.certified import certified, certify, halves, refuse_failed
from av_tagger.evaluation.guarantees import ALARMS, PRECISION, RECALL, Goal
from av_tagger.evaluation.labelled import LabelledScores
from av_tagger.fusion.fit import FitSettings
from av_tagger.labels import dcase2017
from tests.evaluation.runs import run_folder

HOURS = np.full(600, 10 / 3600)


def table(skill: float, clips: int = 600, pictures: bool = True) -> LabelledScores:
    """Two classes with many clips and one with 3; two clips of each recording are the same."""
    rng = np.random.default_rng(4)
    truth = rng.random((clips // 2, 3)) < (0.4, 0.3, 0.005)
    odds = rng.normal(size=truth.shape) + skill * truth - 2
    heard = np.repeat(1 / (1 + np.exp(-odds)), 2, axis=0)
    seen = heard if pictures else np.full_like(heard, np.nan)
    names = tuple(
        f"video{i // 2:06d}_{10 * (i % 2)}.000_{10 * (i % 2) + 10}.000" for i in range(clips)
    )
    rows = np.repeat(truth, 2, axis=0)
    return LabelledScores(names, ("Car", "Bus", "Train"), heard, heard, seen, rows, 0)


def test_recordings_are_never_split_and_count_once() -> None:
    groups = table(3.0).groups
    fit, test = halves(groups, 0)
    names = np.array(groups)
    assert not set(names[fit]) & set(names[test])
    assert len(set(names[test])) == test.sum() == 200
    assert fit.sum() == 200, "both clips of 100 recordings"


@pytest.mark.parametrize("method", ["logit", "ear", "even"])
@pytest.mark.parametrize("pictures", [True, False])
def test_classes_with_enough_clips_hold_and_others_are_off(method: str, pictures: bool) -> None:
    data = table(4.0, pictures=pictures)
    done = certified(data, HOURS, FitSettings(method), Goal(PRECISION, 0.7))
    car, bus, train = done.classes
    assert car.result.holds
    assert bus.result.holds
    assert car.row == ("both" if pictures else "ear")
    assert car.result.bound >= 0.7
    assert not train.result.holds
    said = done.fusion.decide(data.heard, data.seen)
    if method != "logit" or pictures:  # `decide` of logit takes it that the eye could look
        assert said[:, 0].any()
    assert not said[:, 2].any()
    assert "same distribution" in done.fusion.note
    assert done.together == pytest.approx(0.9)


def test_the_refusal_says_how_many_clips_are_missing() -> None:
    done = certified(table(4.0), HOURS, FitSettings(), Goal(PRECISION, 0.9))
    with pytest.raises(UsageError, match=r"needs at least \d+ more clips of Train"):
        refuse_failed(done, Path("run"))


@pytest.mark.parametrize("kind", [PRECISION, RECALL, ALARMS])
def test_random_scores_get_no_optimistic_threshold(kind: str) -> None:
    goal = Goal(kind, 5.0 if kind == ALARMS else 0.9)
    data = table(0.0)
    done = certified(data, HOURS, FitSettings(), goal)
    for c in done.classes[:2]:
        recall = c.right / c.positives
        if kind == PRECISION:
            assert not c.result.holds
            assert c.result.bound < 0.7
        elif kind == RECALL:
            assert recall > 0.85, "held only by tagging nearly everything"
            assert c.tagged > 0.8 * done.test_clips
        else:
            assert recall < 0.1, "few false tags only by tagging next to nothing"


def test_rows_of_unscored_branches_are_off() -> None:
    data = table(4.0, pictures=False)
    rows = certified(data, HOURS, FitSettings(), Goal(RECALL, 0.8)).fusion.rows
    assert rows.ear[0] < 1
    assert rows.eye[0] > 1


def test_files_are_read(tmp_path: Path) -> None:
    folder, truth = run_folder(tmp_path, clips=800)
    goal = Goal(ALARMS, 30.0)
    done = certify(folder, truth, dcase2017(), FitSettings(), goal)
    assert not done.failed
    content = json.loads(json.dumps(done.as_json()))
    assert set(content["classes"]) == set(dcase2017().labels)
    assert all(row["bound"] <= 30 for row in content["classes"].values())

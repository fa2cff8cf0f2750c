"""From results and ground truth to a fitted fusion and its cross-validated scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import TableError
from av_tagger.evaluation.tuning import tune
from av_tagger.fusion.fit import FITS, FitSettings
from av_tagger.labels import ClassList, dcase2017
from tests.evaluation.runs import EAR_SKILL, EYE_SKILL, run_folder

CLASSES = dcase2017()


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, Path]:
    return run_folder(tmp_path)


def labels_without(skill: np.ndarray) -> set[str]:
    return {CLASSES.labels[k] for k in np.flatnonzero(skill == 0)}


def test_weights_follow_the_better_branch(run: tuple[Path, Path]) -> None:
    tuning = tune(*run, CLASSES, FitSettings("joint"))
    assert (tuning.clips, tuning.unanswered) == (390, 10)
    blind_ear, blind_eye = labels_without(EAR_SKILL), labels_without(EYE_SKILL)
    assert blind_ear <= set(tuning.eye_beats_ear)
    assert not blind_eye & set(tuning.eye_beats_ear)
    weights = dict(zip(tuning.labels, tuning.weights, strict=True))
    assert max(weights[label] or 0 for label in blind_ear) < 0.4
    assert min(weights[label] or 0 for label in blind_eye) > 0.6


def test_scores_on_held_out_clips(run: tuple[Path, Path]) -> None:
    tuning = tune(*run, CLASSES, FitSettings("joint"))
    held_out, points = tuning.held_out, tuning.points
    assert held_out.fused.f1 > max(held_out.heard.f1, held_out.seen.f1) + 0.1
    assert tuning.fitted.f1 >= held_out.fused.f1
    assert points["precision"].precision > points["f1"].precision > points["recall"].precision
    assert f"{held_out.fused.f1:.3f} fused" in tuning.fusion.note


def test_rows_and_json_hold_the_same_numbers(run: tuple[Path, Path]) -> None:
    tuning = tune(*run, CLASSES, FitSettings("paper-rule"), folds=2)
    rows, content = tuning.rows(), tuning.as_json()
    assert [row["label"] for row in rows] == list(CLASSES.labels)
    for row in rows:
        stored = content["classes"][row.pop("label")]
        assert stored == row
        assert row["weight"] in (0.2, 0.8)
    assert sum(row["positives"] for row in rows) == tuning.held_out.fused.positives.sum()
    assert content["cross_validated"]["fused"]["f1"] == tuning.held_out.fused.f1
    assert content["trusts_eye"] == list(tuning.eye_beats_ear)


def test_a_method_without_weights(run: tuple[Path, Path]) -> None:
    tuning = tune(*run, CLASSES, FitSettings("max"), folds=2)
    assert set(tuning.weights) == {None}
    assert {row["weight"] for row in tuning.rows()} == {None}


def test_all_methods_can_be_compared(run: tuple[Path, Path]) -> None:
    tuning = tune(*run, CLASSES, FitSettings("even"), folds=2, compare=True)
    assert tuning.methods.keys() == FITS.keys()
    assert tuning.methods["even"].f1 == tuning.held_out.fused.f1
    assert tuning.methods["ear"].f1 == tuning.held_out.heard.f1


def test_results_of_another_class_list_are_rejected(run: tuple[Path, Path]) -> None:
    with pytest.raises(TableError, match="is not a class"):
        tune(*run, ClassList(CLASSES.classes[:5]), FitSettings())

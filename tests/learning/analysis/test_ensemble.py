"""Weighted votes of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from av_tagger.errors import StorageError, UsageError
from av_tagger.learning.analysis.ensemble import read_scores, vote, weighted_vote


def write_run(
    folder: Path,
    scores: Any,
    targets: Any,
    figure: float,
    metric: str = "micro_f1",
    threshold: float = 0.5,
) -> Path:
    folder.mkdir()
    labels = [f"class {k}" for k in range(len(targets[0]))]
    np.savez(
        folder / "validation.npz",
        scores=np.array(scores, np.float32),
        targets=np.array(targets, np.float32),
        labels=np.array(labels),
    )
    classes = [
        {"label": label, "training": 10 * (k + 1), "validation": 2, "threshold": threshold}
        for k, label in enumerate(labels)
    ]
    figures = {"micro_f1": figure, "accuracy": figure}
    card = {
        "recipe": {"name": folder.name, "keep": {"metric": metric}},
        "classes": classes,
        "figures": figures,
    }
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def test_a_vote_by_hand() -> None:
    decisions = np.array([[[1, 0]], [[1, 1]], [[0, 1]]], bool)
    np.testing.assert_allclose(weighted_vote(decisions, [3, 1, 1]), [[0.8, 0.4]], rtol=1e-6)
    for weights in ([1, 1], [-1, 1, 1], [0, 0, 0], [1, np.nan, 1]):
        with pytest.raises(ValueError, match="one weight per model"):
            weighted_vote(decisions, weights)


def test_a_vote_corrects_independent_errors(tmp_path: Path) -> None:
    truth = [[1, 0], [0, 1], [1, 1]]
    runs = []
    for i in range(3):
        scores = np.array(truth, float) * 0.8 + 0.1
        scores[i] = 1 - scores[i]
        runs.append(read_scores(write_run(tmp_path / f"run-{i}", scores, truth, 0.7)))
    shares, validation = vote(runs)
    np.testing.assert_array_equal(shares > 0.5, np.array(truth, bool))
    assert validation.micro_f1 == 1.0
    assert max(vote([run])[1].micro_f1 for run in runs) < 1.0


def test_a_better_run_outvotes_two_others(tmp_path: Path) -> None:
    truth = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    good = read_scores(write_run(tmp_path / "good", np.eye(3), truth, 0.9, "accuracy"))
    bad = [
        read_scores(
            write_run(tmp_path / f"bad-{i}", np.roll(np.eye(3), 1, axis=0), truth, 0.3, "accuracy")
        )
        for i in range(2)
    ]
    assert vote([good, *bad])[1].accuracy == 1.0
    assert vote(bad)[1].accuracy == 0.0


def test_a_vote_needs_the_same_validation_clips(tmp_path: Path) -> None:
    one = read_scores(write_run(tmp_path / "one", [[0.5, 0.5]], [[1, 0]], 0.5))
    other = read_scores(write_run(tmp_path / "other", [[0.5, 0.5]], [[0, 1]], 0.5))
    with pytest.raises(UsageError, match="same --valid"):
        vote([one, other])
    with pytest.raises(StorageError, match="not the folder of a finished run"):
        read_scores(tmp_path)

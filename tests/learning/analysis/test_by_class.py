"""Metrics per class against scikit-learn and by hand, correlations, confusions, label quality."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics

from av_tagger.errors import TableError, UsageError
from av_tagger.learning.analysis.by_class import (
    analyse,
    confusions,
    correlation,
    read_qualities,
)
from av_tagger.metrics import d_prime
from tests.learning.analysis.runs import LABELS


def test_correlation_by_hand() -> None:
    found = correlation(np.array([1.0, 2.0, np.nan, 4.0]), np.array([1.0, 2.0, 9.0, 2.0]))
    assert found is not None
    x, y = np.array([-4 / 3, -1 / 3, 5 / 3]), np.array([-2 / 3, 1 / 3, 1 / 3])
    assert found.r == pytest.approx((x @ y) / math.sqrt((x @ x) * (y @ y)))
    assert found.classes == 3
    assert correlation(np.ones(5), np.arange(5.0)) is None
    assert correlation(np.arange(2.0), np.arange(2.0)) is None


def test_confusions_by_hand() -> None:
    scores = np.array(
        [[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.2, 0.8, 0.7], [0.1, 0.2, 0.3]], np.float32
    )
    targets = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], np.float32)
    # the third clip says horn and rain: horn is right, bird was taken for rain
    assert confusions(scores, targets).tolist() == [[1, 0, 1], [1, 1, 0], [0, 0, 0]]


def test_label_quality_is_a_share_or_percent(tmp_path: Path) -> None:
    file = tmp_path / "quality.csv"
    file.write_text('label,quality\nbird,0.4\n"horn, loud",90%\n')
    assert read_qualities(file) == {"bird": 0.4, "horn, loud": 0.9}
    for text in ("bird,much\n", "bird,1.5\n", "0.5\n"):
        file.write_text(text)
        with pytest.raises(TableError, match="line 1: has no quality"):
            read_qualities(file)


def test_metrics_per_class_equal_scikit_learn(group: Path, tmp_path: Path) -> None:
    (tmp_path / "quality.csv").write_text("bird,0.4\nhorn,0.9\nrain,0.7\n")
    found = analyse(group / "pnl", tmp_path / "quality.csv")
    assert [c.label for c in found.classes] == list(LABELS)
    assert [c.training for c in found.classes] == [16, 16, 16]
    assert found.by_count is None  # all counts are alike
    assert found.by_quality is not None or found.mean("ap") == 1.0
    scores = np.load(group / "pnl" / "validation.npz")
    aps = [
        sklearn.metrics.average_precision_score(scores["targets"][:, k], scores["scores"][:, k])
        for k in range(3)
    ]
    assert [c.ap for c in found.classes] == pytest.approx(aps)
    assert found.confusion.sum() == 48


def test_auc_and_d_prime_are_those_of_the_validation_scores(group: Path) -> None:
    found = analyse(group / "vanilla")
    scores = np.load(group / "vanilla" / "validation.npz")
    for k, c in enumerate(found.classes):
        auc = sklearn.metrics.roc_auc_score(scores["targets"][:, k], scores["scores"][:, k])
        assert c.auc == pytest.approx(auc)
        assert c.d_prime == pytest.approx(d_prime(auc))
    assert found.d_prime == pytest.approx(d_prime(found.mean("auc")))
    assert math.isnan(found.mean("quality"))  # no table was given


def test_a_missing_table_of_label_quality_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"quality\.csv: cannot be read"):
        read_qualities(tmp_path / "quality.csv")

"""Figures of an analysis, checked by their contents."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import MissingExtra
from av_tagger.learning.analysis.by_class import analyse
from av_tagger.learning.analysis.figures import (
    confidences,
    masked_spectrograms,
    neighbours,
    precision_beside_counts,
    tsne,
)
from av_tagger.learning.analysis.instances import Instances, hear_instances
from tests.learning.analysis.runs import LABELS, stored_bags


@pytest.fixture(scope="module")
def instances(group: Path) -> Instances:
    return hear_instances(group / "pnl", stored_bags(group), 30)


def test_figures_show_the_results(group: Path, instances: Instances) -> None:
    analysis = analyse(group / "pnl")
    upper, lower = precision_beside_counts(analysis).axes
    assert len(upper.patches) == len(lower.patches) == 3
    assert sorted(p.get_height() for p in lower.patches) == sorted(c.ap for c in analysis.classes)  # type: ignore[attr-defined]
    (axes,) = confidences({"pnl": instances}).axes
    assert f"{100 * instances.found():.0f} %" in axes.get_legend().get_texts()[0].get_text()  # type: ignore[union-attr]
    masked = masked_spectrograms(instances, LABELS).axes
    assert len(masked) == 3
    assert all(axes.images for axes in masked)
    (plane,) = neighbours(instances, LABELS, most=60).axes
    assert sum(len(c.get_offsets()) for c in plane.collections) == 60


def test_label_quality_is_drawn_and_correlated(group: Path, tmp_path: Path) -> None:
    table = tmp_path / "quality.csv"
    table.write_text("bird,0.4\nhorn,0.9\nrain,0.7\n")
    _, lower = precision_beside_counts(analyse(group / "pnl", table)).axes
    assert [len(line.get_xdata()) for line in lower.lines] == [3]
    texts = [text.get_text() for text in lower.get_legend().get_texts()]  # type: ignore[union-attr]
    assert any(text.startswith("label quality") for text in texts)


def test_many_classes_have_no_names_below_their_bars(group: Path) -> None:
    analysis = analyse(group / "pnl")
    many = replace(analysis, classes=analysis.classes * 21)
    _, lower = precision_beside_counts(many).axes
    assert lower.get_xlabel() == "63 classes"
    assert list(lower.get_xticks()) == []


def test_spectrograms_are_of_different_classes(instances: Instances) -> None:
    titles = [axes.get_title() for axes in masked_spectrograms(instances, LABELS).axes]
    assert {title.split(":")[0] for title in titles} == set(LABELS)


def test_few_points_need_no_tsne() -> None:
    points = np.arange(12, dtype=np.float32).reshape(4, 3)
    assert tsne(points, 0).tolist() == points[:, :2].tolist()


def test_missing_libraries_are_named(
    group: Path, instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(MissingExtra, match="pip install scikit-learn"):
        neighbours(instances, LABELS)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match="pip install matplotlib"):
        precision_beside_counts(analyse(group / "pnl"))

"""Figures show the numbers they are given; they need no window and no global state."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from av_tagger.clip import Waveform
from av_tagger.fusion import load_fusion
from av_tagger.fusion.counts import Counts
from av_tagger.labels import dcase2017
from av_tagger.reports import plots
from av_tagger.reports.plots.scores import precision_recall_points
from av_tagger.reports.simulated import simulated_scores

if TYPE_CHECKING:
    from pathlib import Path

    from av_tagger.scores import Tagged

LABELS = dcase2017().labels
EXAMPLES = simulated_scores(LABELS, LABELS[:7], clips=120)


def shown_labels(axes: object) -> list[str]:
    return [t.get_text() for t in axes.get_yticklabels()]  # type: ignore[attr-defined]


def test_class_f1_has_a_bar_per_class_and_branch_sorted_by_the_last() -> None:
    scores = {
        "heard": np.linspace(0, 1, 17),
        "seen": np.full(17, 0.5),
        "fused": np.linspace(1, 0, 17),
    }
    figure = plots.class_f1(scores, LABELS, {"fused": 0.5})
    (axes,) = figure.axes
    assert len(axes.patches) == 3 * 17
    widths = [bar.get_width() for bar in axes.containers[2]]
    assert widths == sorted(widths)
    assert shown_labels(axes) == list(LABELS[::-1])
    assert [line.get_xdata()[0] for line in axes.lines] == [0.5]


def test_weight_map_writes_every_weight() -> None:
    paper = load_fusion("paper", LABELS).weights  # type: ignore[attr-defined]
    axes = plots.weight_map({"paper": paper, "even": np.full(17, 0.5)}, LABELS).axes[0]
    assert [t.get_text() for t in axes.texts] == [f"{w:g}" for w in paper] + ["0.5"] * 17
    assert shown_labels(axes) == ["paper", "even"]


def test_threshold_curves_are_precision_recall_and_f1() -> None:
    figure = plots.threshold_curves(
        EXAMPLES.heard, EXAMPLES.truth, LABELS, chosen=np.full(17, 0.3), only=["Bus"]
    )
    axes = figure.axes[0]
    k, at = LABELS.index("Bus"), 60  # of the grid: threshold 0.3
    expected = Counts.of(EXAMPLES.heard[:, [k]] >= 0.3, EXAMPLES.truth[:, [k]])
    curves = [line.get_ydata() for line in axes.lines[:3]]
    assert [c[at] for c in curves] == pytest.approx(
        [expected.precision, expected.recall, expected.f1]
    )
    assert axes.lines[3].get_xdata()[0] == 0.3


def test_precision_recall_points_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.8, 0.1, np.nan])
    truth = np.array([True, True, False, True, True])
    recall, precision = precision_recall_points(scores, truth)
    assert recall.tolist() == [0, 0.25, 0.5, 0.75]  # the unscored clip is never found
    assert precision.tolist() == [1, 1, 2 / 3, 3 / 4]


def test_precision_recall_agrees_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    has = np.isfinite(EXAMPLES.heard[:, 3])
    recall, precision = precision_recall_points(EXAMPLES.heard[has, 3], EXAMPLES.truth[has, 3])
    theirs_precision, theirs_recall, _ = metrics.precision_recall_curve(
        EXAMPLES.truth[has, 3], EXAMPLES.heard[has, 3]
    )
    np.testing.assert_allclose(recall[1:], theirs_recall[:-1][::-1])
    np.testing.assert_allclose(precision[1:], theirs_precision[:-1][::-1])


def test_precision_recall_has_a_panel_per_class_and_a_line_per_branch() -> None:
    figure = plots.precision_recall(
        {"heard": EXAMPLES.heard, "seen": EXAMPLES.seen}, EXAMPLES.truth, LABELS, only=LABELS[:3]
    )
    assert len([a for a in figure.axes if a.axison]) == 3
    assert {len(a.lines) for a in figure.axes[:3]} == {3}


def test_a_class_without_scores_has_no_curve() -> None:
    silent = np.full_like(EXAMPLES.heard, np.nan)
    plots.precision_recall({"heard": silent}, EXAMPLES.truth, LABELS, only=LABELS[:1])
    plots.threshold_curves(silent, EXAMPLES.truth, LABELS, only=LABELS[:1])
    recall, precision = precision_recall_points(silent[:, 0], EXAMPLES.truth[:, 0])
    assert recall.tolist() == [0]
    assert np.isnan(precision).all()


def test_timeline_has_a_lane_per_tag_with_its_events(tagged: Tagged) -> None:
    figure = plots.timeline(tagged, Waveform(np.zeros(200_000, np.float32), 20_000))
    sound, horn, bus = figure.axes
    assert len(sound.images) == 1
    spans = list(horn.patches)
    assert [(round(p.get_x(), 2), round(p.get_x() + p.get_width(), 2)) for p in spans] == [
        (1.0, 2.5),
        (6.0, 7.25),
    ]
    assert not bus.patches
    assert horn.get_xlim() == (0, 10)
    assert [line.get_xdata()[0] for line in bus.lines if line.get_marker() == "D"] == [3.2, 8.1]


def test_results_without_tags_and_key_frames_can_be_drawn(tagged: Tagged) -> None:
    assert len(plots.timeline(replace(tagged, tags=(), activity=None, keyframes=())).axes) == 1
    assert len(plots.contact_sheet(()).axes) == 1


def test_the_contact_sheet_shows_each_key_frame(tagged: Tagged) -> None:
    figure = plots.contact_sheet(tagged.keyframes)
    assert [len(a.images) for a in figure.axes] == [1, 1]
    assert "electric locomotive  0.42" in figure.axes[0].texts[0].get_text()


def test_rows_of_a_heat_map_carry_their_names() -> None:
    figure = plots.heat(np.zeros((4, 2)), "t", "", ("Bus", "Car"))
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["Bus", "Car"]


def test_axes_over_time_carry_seconds_and_colours_their_unit() -> None:
    figure = plots.heat(np.zeros((40, 2)), "t", "mel bands", rate=10.0, unit="log energy")
    axes, bar = figure.axes
    assert axes.get_xlabel() == "seconds"
    assert axes.images[0].get_extent() == [0.0, 4.0, -0.5, 1.5]
    assert bar.get_ylabel() == "log energy"
    axes, bar = plots.pairs(np.eye(12), "t", 6.0, "distance").axes
    assert (axes.get_xlabel(), axes.get_ylabel(), bar.get_ylabel()) == (
        "seconds",
        "seconds",
        "distance",
    )
    assert axes.images[0].get_extent() == [0.0, 2.0, 0.0, 2.0]


def test_a_spectrogram_is_read_in_kilohertz() -> None:
    """A tone is as high on the axis as the frequency that the axis names there."""
    rate = 20_000
    tone = np.sin(2 * np.pi * 1_000 * np.arange(rate) / rate).astype(np.float32)
    axes = plots.sound(Waveform(tone, rate)).axes[0]
    assert axes.get_ylabel() == "frequency in kHz"
    assert [t.get_text() for t in axes.get_yticklabels()] == ["0.2", "1", "4", "10"]
    loudest = int(np.asarray(axes.images[0].get_array()).sum(axis=1).argmax()) + 0.5
    assert loudest == pytest.approx(axes.get_yticks()[1], abs=1.0)


def test_heat_confusion_and_cost_show_their_tables() -> None:
    table = np.arange(6).reshape(3, 2)
    assert plots.heat(table, "t", "y").axes[0].images[0].get_array().tolist() == table.T.tolist()
    assert [t.get_text() for t in plots.confusion([[2, 1], [0, 3]], ["a", "b"]).axes[0].texts] == [
        "2",
        "1",
        "3",
    ]
    assert plots.cost_map(table, ["a", "b", "c"]).axes[0].images[0].get_array().shape == (3, 2)


def test_figures_are_saved_and_unknown_to_pyplot(tagged: Tagged, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    from matplotlib import pyplot as plt

    plots.save(plots.contact_sheet(tagged.keyframes), tmp_path / "sheet.png")
    plots.save(plots.sound(Waveform(np.zeros(2000, np.float32), 20_000)), tmp_path / "sound.svg")
    assert plt.get_fignums() == []
    with image.open(io.BytesIO((tmp_path / "sheet.png").read_bytes())) as picture:
        assert picture.width > 400
    assert b"<svg" in (tmp_path / "sound.svg").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2

"""Figures of scores against truth: thresholds, precision and recall, confusion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from av_tagger.metrics import Counts, threshold_counts
from av_tagger.reports.plots.figure import INK, colour_of, panels_of, short, single, tidy_bar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

_RATIOS = {"precision": "#9aa0ad", "recall": "#c8b06a", "F1": "#1f2a44"}
_THRESHOLDS = np.linspace(0, 1, 201)


def threshold_curves(
    scores: ArrayLike,
    truth: ArrayLike,
    labels: Sequence[str],
    chosen: ArrayLike | None = None,
    only: Sequence[str] | None = None,
) -> Figure:
    """Precision, recall and F1 at every threshold, one panel per class.

    `scores` and `truth` are (clips, classes); `chosen` thresholds are dashed lines; `only` names
    the classes to show.
    """
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=bool)
    shown = [labels.index(label) for label in (only or labels)]
    with panels_of(len(shown)) as (figure, panels):
        for axes, k in zip(panels, shown, strict=False):
            first = k == shown[0]
            _ratio_lines(axes, s[:, k], y[:, k], named=first)
            threshold = np.nan if chosen is None else float(np.asarray(chosen)[k])
            if np.isfinite(threshold):
                style = {"color": "#d9590b", "linewidth": 1.2, "linestyle": "--"}
                label = "chosen" if first else None
                axes.axvline(threshold, label=label, **style)  # type: ignore[arg-type]
            axes.set(xlim=(0, 1), ylim=(0, 1.05), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
            axes.set_title(short(labels[k], f" ({int(y[:, k].sum())})"), fontsize=9)
        figure.supxlabel("threshold", fontsize=10)
        figure.supylabel("share (in brackets: clips of the class)", fontsize=10)
        figure.legend(loc="outside lower right", ncols=4)
    return figure


def _ratio_lines(
    axes: Axes, scores: NDArray[np.float64], truth: NDArray[np.bool_], *, named: bool
) -> None:
    """Precision, recall and F1 of one class; no precision where nothing is predicted."""
    predicted = scores[:, None] >= _THRESHOLDS  # NaN is never predicted
    counts = Counts.of(predicted, np.repeat(truth[:, None], len(_THRESHOLDS), axis=1))
    precision = np.where(counts.predicted > 0, counts.class_precision, np.nan)
    ratios = (precision, counts.class_recall, counts.class_f1)
    for (name, colour), values in zip(_RATIOS.items(), ratios, strict=True):
        width, label = 2 if name == "F1" else 1.2, name if named else None
        axes.plot(_THRESHOLDS, values, color=colour, linewidth=width, label=label)


def precision_recall(
    scores: Mapping[str, ArrayLike],
    truth: ArrayLike,
    labels: Sequence[str],
    only: Sequence[str] | None = None,
) -> Figure:
    """Precision-recall curves, one panel per class and one line per entry of `scores`."""
    y = np.asarray(truth, dtype=bool)
    shown = [labels.index(label) for label in (only or labels)]
    with panels_of(len(shown)) as (figure, panels):
        for axes, k in zip(panels, shown, strict=False):
            for number, (name, table) in enumerate(scores.items()):
                recall, precision = precision_recall_points(np.asarray(table)[:, k], y[:, k])
                label = name if k == shown[0] else None
                style = {"color": colour_of(name, number), "linewidth": 1.6}
                axes.step(recall, precision, where="pre", label=label, **style)  # type: ignore[arg-type]
            axes.axhline(y[:, k].mean(), color="#c4c6cc", linewidth=1, linestyle=":")
            axes.set(xlim=(0, 1.02), ylim=(0, 1.05), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
            axes.set_title(short(labels[k]), fontsize=9)
        figure.supxlabel("recall", fontsize=10)
        figure.supylabel("precision", fontsize=10)
        figure.legend(loc="outside lower right", ncols=len(scores))
    return figure


def precision_recall_points(
    scores: ArrayLike, truth: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(recall, precision) at every distinct score, highest first, from recall 0 on.

    Unscored clips are never found, so the curve may end below recall 1.
    """
    at = threshold_counts(scores, truth)
    scored = np.isfinite(at.thresholds)
    if not scored.any():
        return np.array([0.0]), np.array([np.nan])
    right, predicted = at.true_positives[scored], at.predicted[scored]
    precision, recall = right / predicted, right / max(1, at.positives)
    return np.concatenate([[0.0], recall]), np.concatenate([precision[:1], precision])


def confusion(table: ArrayLike, labels: Sequence[str], title: str = "Confusion") -> Figure:
    """A table of counts, (true, predicted); the colour is the share of the row."""
    counts = np.asarray(table, dtype=np.float64)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with single(0.5 * len(labels) + 2.6, 0.42 * len(labels) + 2.2) as (figure, axes):
        image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(counts):
            if value:
                colour = "white" if share[row, column] > 0.55 else INK
                place = {"ha": "center", "va": "center", "fontsize": 8, "color": colour}
                axes.text(column, row, f"{value:g}", **place)  # type: ignore[arg-type]
        axes.set_xticks(range(counts.shape[1]), labels[: counts.shape[1]], rotation=40, ha="right")
        axes.set_yticks(range(len(counts)), labels[: len(counts)])
        axes.set(title=title, xlabel="predicted", ylabel="true (numbers: tags)")
        tidy_bar(figure, image, axes, pad=0.02, shrink=0.5, label="share of the row")
    return figure

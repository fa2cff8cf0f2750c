"""Figures of fusion: F1 by branch, the ear's weights, and what a weight is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from av_tagger.reports.plots.figure import (
    BRANCHES,
    CYCLE,
    INK,
    colour_of,
    panels_of,
    short,
    single,
    tidy_bar,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

_BARS = 0.8  # height of all bars of a class
_DASHES = (0, (4, 3))


def class_f1(
    scores: Mapping[str, ArrayLike], labels: Sequence[str], micro: Mapping[str, float] | None = None
) -> Figure:
    """F1 per class and branch as bars (AV figure 3), micro-averages as lines.

    Classes are sorted by the last entry of `scores`, the best on top.
    """
    values = {name: np.asarray(column, dtype=np.float64) for name, column in scores.items()}
    order = np.argsort(next(reversed(values.values())), kind="stable")
    with single(8.0, 0.42 * len(labels) + 1.6) as (figure, axes):
        height = _BARS / len(values)
        for number, (name, column) in enumerate(values.items()):
            places = np.arange(len(labels)) + _BARS / 2 - (number + 0.5) * height
            colour = colour_of(name, number)
            axes.barh(places, column[order], height * 0.92, color=colour, label=name)
        for number, (name, value) in enumerate((micro or {}).items()):
            colour, label = colour_of(name, number), f"{name}, micro-average {value:.2f}"
            axes.axvline(value, color=colour, linewidth=1.2, linestyle=_DASHES, label=label)
        axes.set(xlim=(0, 1), xlabel="F1", title="F1 per class")
        axes.set(ylim=(-0.6, len(labels) - 0.4))
        axes.set_yticks(range(len(labels)), [labels[i] for i in order])
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def weight_map(weights: Mapping[str, ArrayLike], labels: Sequence[str]) -> Figure:
    """The ear's weight per class, one row per entry of `weights`."""
    table = np.array([np.asarray(row, dtype=np.float64) for row in weights.values()])
    with single(0.62 * len(labels) + 2.0, 0.5 * len(table) + 2.4) as (figure, axes):
        image = axes.imshow(table, cmap="coolwarm_r", vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(table):
            colour = "white" if abs(value - 0.5) > 0.35 else INK
            place = {"ha": "center", "va": "center", "fontsize": 8, "color": colour}
            axes.text(column, row, f"{value:.2g}", **place)  # type: ignore[arg-type]
        axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
        axes.set_yticks(range(len(table)), list(weights))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_title("Weight of the ear per class")
        bar = tidy_bar(figure, image, axes, pad=0.015, ticks=[0, 0.5, 1])
        bar.ax.set_yticklabels(["eye only", "even", "ear only"])
    return figure


def weight_curves(
    curves: ArrayLike, labels: Sequence[str], chosen: Mapping[str, ArrayLike] | None = None
) -> Figure:
    """The best F1 of each class against the ear's weight.

    `curves` is (classes, weights) over an even grid from 0 to 1; `chosen` weights are dots.
    """
    table = np.asarray(curves, dtype=np.float64)
    grid = np.linspace(0, 1, table.shape[1])
    with panels_of(len(labels)) as (figure, panels):
        for k, (label, axes) in enumerate(zip(labels, panels, strict=False)):
            axes.plot(grid, table[k], color=BRANCHES["fused"], linewidth=1.6)
            for number, (name, weights) in enumerate((chosen or {}).items()):
                weight = float(np.asarray(weights)[k])
                best, shown = np.interp(weight, grid, table[k]), name if k == 0 else None
                axes.plot(weight, best, "o", color=CYCLE[number], markersize=6, label=shown)
            axes.set(xlim=(-0.03, 1.03), ylim=(0, 1.05), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
            axes.set_title(short(label), fontsize=9)
        figure.supxlabel("weight of the ear (0: eye only, 1: ear only)", fontsize=10)
        figure.supylabel("best F1 of the class", fontsize=10)
        if chosen:
            figure.legend(loc="outside lower right", ncols=len(chosen))
    return figure


def cost_map(points: ArrayLike, labels: Sequence[str]) -> Figure:
    """The micro-F1 lost when one class has another weight.

    `points` is (classes, weights): percentage points, over an even grid of weights from 0 to 1.
    """
    table = np.asarray(points, dtype=np.float64)
    extent = (-0.025, 1.025, len(labels) - 0.5, -0.5)
    with single(7.0, 0.3 * len(labels) + 1.6) as (figure, axes):
        image = axes.imshow(table, cmap="YlOrBr", aspect="auto", extent=extent, vmin=0)
        axes.set_yticks(range(len(labels)), labels)
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel="weight of the ear in this class", title="Loss by a wrong weight")
        tidy_bar(figure, image, axes, pad=0.02, label="points of micro-F1")
    return figure

"""Exploring fusion weights: the F1 of every weight of every class, and sliders for notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError, missing_library
from av_tagger.fusion.joint import weigh
from av_tagger.fusion.thresholds import CandidateCuts, Tuned, best_alone, cuts_of, exact
from av_tagger.metrics import Counts
from av_tagger.reports import plots

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Floats = NDArray[np.float64]
STEPS = 20  # weights are tried in steps of 1/20


@dataclass(frozen=True)
class SavedScores:
    """Scores of the ear and the eye, and the truth; all (clips, classes)."""

    labels: tuple[str, ...]
    heard: Floats
    seen: Floats
    truth: NDArray[np.bool_]

    def half(self, which: int) -> SavedScores:
        """Every second clip: 0 for fitting, 1 for testing."""
        rows = slice(which, None, 2)
        return SavedScores(self.labels, self.heard[rows], self.seen[rows], self.truth[rows])


class FusionExplorer:
    """Micro-F1 as a function of the class weights, always with the best thresholds for them."""

    def __init__(self, examples: SavedScores) -> None:
        self.examples = examples
        self.labels = examples.labels
        self.grid = np.linspace(0, 1, STEPS + 1)
        self._cuts: dict[tuple[int, float], CandidateCuts] = {}

    def curves(self) -> Floats:
        """(classes, weights): the best F1 of every class at every weight."""
        cuts = [self._cut(k, a) for k in range(len(self.labels)) for a in self.grid]
        return best_alone(cuts).reshape(len(self.labels), -1)

    def best(self) -> Floats:
        """(classes,): the weight with the best F1 of the class; of equals the nearest to 0.5."""
        near = -np.abs(self.grid - 0.5)
        return np.array([self.grid[np.lexsort((near, row))[-1]] for row in self.curves()])

    def tuned(self, weights: ArrayLike) -> Tuned:
        """The best micro-F1 with these weights, and its thresholds."""
        chosen = self._checked(weights)
        return exact([self._cut(k, float(a)) for k, a in enumerate(chosen)])

    def costs(self, weights: ArrayLike) -> Floats:
        """(classes, weights): micro-F1 if one class has another weight and all others stay."""
        chosen = self._checked(weights)
        table = np.empty((len(self.labels), len(self.grid)))
        for k in range(len(self.labels)):
            for i, a in enumerate(self.grid):
                table[k, i] = self.tuned(np.where(np.arange(len(chosen)) == k, a, chosen)).score()
        return table

    def score(self, weights: ArrayLike, thresholds: ArrayLike) -> Counts:
        """Counts on these clips with given weights and thresholds."""
        fused = weigh(self.examples.heard, self.examples.seen, self._checked(weights))
        return Counts.of(fused >= np.asarray(thresholds, dtype=np.float64), self.examples.truth)

    def _cut(self, k: int, weight: float) -> CandidateCuts:
        """All thresholds of class k at one weight, cached."""
        key = (k, round(weight, 6))
        if key not in self._cuts:
            fused = weigh(self.examples.heard[:, k], self.examples.seen[:, k], weight)
            self._cuts[key] = cuts_of(fused, self.examples.truth[:, k])
        return self._cuts[key]

    def _checked(self, weights: ArrayLike) -> Floats:
        values = np.asarray(weights, dtype=np.float64)
        if values.shape != (len(self.labels),):
            raise UsageError(
                f"there are {len(self.labels)} classes and {values.size} weights;"
                " give one weight per class"
            )
        return values

    def sliders(self, weights: ArrayLike) -> Any:
        """For a notebook: a slider per class over its F1 curve, and the micro-F1 of all."""
        widgets = _ipywidgets()
        chosen = zip(self.labels, self._checked(weights), strict=True)
        rows = [_Row.of(widgets, label, float(weight)) for label, weight in chosen]
        total, picture = widgets.HTML(), widgets.Image(format="png")
        curves = self.curves()

        def refresh(_: object = None) -> None:
            values = np.array([row.slider.value for row in rows])
            tuned = self.tuned(values)
            total.value = f"<b style='font-size:1.3em'>micro-F1 {tuned.score():.3f}</b>"
            for row, curve, threshold in zip(rows, curves, tuned.thresholds, strict=True):
                row.show(float(np.interp(row.slider.value, self.grid, curve)), float(threshold))
            figure = plots.weight_curves(curves, self.labels, {"your weights": values})
            picture.value = plots.png(figure)

        for row in rows:
            row.slider.observe(refresh, names="value")
        refresh()
        layout = {"grid_template_columns": "1fr 1fr"}
        return widgets.VBox([total, widgets.GridBox([r.box for r in rows], layout=layout), picture])


@dataclass(frozen=True)
class _Row:
    """The slider of a class and its numbers."""

    box: Any
    slider: Any
    text: Any

    @classmethod
    def of(cls, widgets: Any, label: str, weight: float) -> _Row:
        slider = widgets.FloatSlider(
            value=weight,
            min=0,
            max=1,
            step=1 / STEPS,
            description=label,
            continuous_update=False,
            readout_format=".2f",
            style={"description_width": "12em"},
            layout={"width": "26em"},
        )
        text = widgets.Label()
        return cls(widgets.HBox([slider, text]), slider, text)

    def show(self, f1: float, threshold: float) -> None:
        mark = f"threshold {threshold:.2f}" if np.isfinite(threshold) else "never tagged"
        self.text.value = f"best F1 {f1:.2f}, {mark}"


def _ipywidgets() -> Any:
    try:
        import ipywidgets
    except ImportError as error:
        raise missing_library("sliders need", "ipywidgets", error, "notebook") from error
    return ipywidgets

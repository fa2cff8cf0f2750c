"""Playing with fusion weights: what every weight of every class is worth, and sliders over it for a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError, missing_library
from av_tagger.fusion.counts import Counts
from av_tagger.fusion.joint import weigh
from av_tagger.fusion.thresholds import CandidateCuts, Tuned, best_alone, cuts_of, exact
from av_tagger.reports import plots

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Floats = NDArray[np.float64]
STEPS = 20  # weights are tried in twentieths


@dataclass(frozen=True)
class SavedScores:
    """Saved scores: what ear and eye said of clips, and the truth; all (clips, classes)."""

    labels: tuple[str, ...]
    heard: Floats
    seen: Floats
    truth: NDArray[np.bool_]

    def half(self, which: int) -> SavedScores:
        """Every second clip: 0 to fit on, 1 to judge with."""
        return SavedScores(
            self.labels, self.heard[which::2], self.seen[which::2], self.truth[which::2]
        )


class FusionExplorer:
    """Micro-F1 as a function of the class weights; thresholds are always the best ones for the weights given."""

    def __init__(self, examples: SavedScores) -> None:
        self.examples = examples
        self.labels = examples.labels
        self.grid = np.linspace(0, 1, STEPS + 1)
        self._cuts: dict[tuple[int, float], CandidateCuts] = {}

    def curves(self) -> Floats:
        """(classes, weights) the best F1 of every class at every weight."""
        cuts = [self._cut(k, a) for k in range(len(self.labels)) for a in self.grid]
        return best_alone(cuts).reshape(len(self.labels), -1)

    def best(self) -> Floats:
        """(classes,) of the weights at which a class does best by itself, the one nearest to even-handed."""
        curves = self.curves()
        near = -np.abs(self.grid - 0.5)
        return np.array([self.grid[np.lexsort((near, row))[-1]] for row in curves])

    def tuned(self, weights: ArrayLike) -> Tuned:
        """The best micro-F1 that these weights allow, and the thresholds that reach it."""
        chosen = self._checked(weights)
        return exact([self._cut(k, float(a)) for k, a in enumerate(chosen)])

    def costs(self, weights: ArrayLike) -> Floats:
        """(classes, weights) micro-F1 when one class's weight is changed and all others stay: what a wrong one costs."""
        chosen = self._checked(weights)
        table = np.empty((len(self.labels), len(self.grid)))
        for k in range(len(self.labels)):
            for i, a in enumerate(self.grid):
                table[k, i] = self.tuned(np.where(np.arange(len(chosen)) == k, a, chosen)).score()
        return table

    def score(self, weights: ArrayLike, thresholds: ArrayLike) -> Counts:
        """Right, said and true of every class on these clips."""
        fused = weigh(self.examples.heard, self.examples.seen, self._checked(weights))
        return Counts.of(fused >= np.asarray(thresholds, dtype=np.float64), self.examples.truth)

    def _cut(self, k: int, weight: float) -> CandidateCuts:
        key = (k, round(weight, 6))
        if key not in self._cuts:
            fused = weigh(self.examples.heard[:, k], self.examples.seen[:, k], weight)
            self._cuts[key] = cuts_of(fused, self.examples.truth[:, k])
        return self._cuts[key]

    def _checked(self, weights: ArrayLike) -> Floats:
        values = np.asarray(weights, dtype=np.float64)
        if values.shape != (len(self.labels),):
            raise UsageError(
                f"there are {len(self.labels)} classes and each needs a weight; {values.size} were given"
            )
        return values

    def sliders(self, weights: ArrayLike) -> Any:
        """One slider a class over its F1 curve, and the micro-F1 that they come to together; for a notebook."""
        widgets = _ipywidgets()
        rows = [
            _Row.of(widgets, label, float(a))
            for label, a in zip(self.labels, self._checked(weights), strict=True)
        ]
        total, picture = widgets.HTML(), widgets.Image(format="png")
        curves = self.curves()

        def refresh(_: object = None) -> None:
            chosen = np.array([row.slider.value for row in rows])
            tuned = self.tuned(chosen)
            total.value = f"<b style='font-size:1.3em'>micro-F1 {tuned.score():.3f}</b>"
            for row, curve, threshold in zip(rows, curves, tuned.thresholds, strict=True):
                row.tell(float(np.interp(row.slider.value, self.grid, curve)), float(threshold))
            picture.value = plots.png(
                plots.weight_curves(curves, self.labels, {"your weights": chosen})
            )

        for row in rows:
            row.slider.observe(refresh, names="value")
        refresh()
        return widgets.VBox(
            [
                total,
                widgets.GridBox(
                    [row.box for row in rows], layout={"grid_template_columns": "1fr 1fr"}
                ),
                picture,
            ]
        )


@dataclass(frozen=True)
class _Row:
    """A class's slider with its numbers."""

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

    def tell(self, f1: float, threshold: float) -> None:
        self.text.value = f"F1 at best {f1:.2f}, threshold " + (
            f"{threshold:.2f}" if np.isfinite(threshold) else "never"
        )


def _ipywidgets() -> Any:
    try:
        import ipywidgets
    except ImportError as error:
        raise missing_library("sliders need", "ipywidgets", error, "notebook") from error
    return ipywidgets

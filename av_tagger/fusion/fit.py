"""Fit a fusion to labelled scores: weights or coefficients, and three rows of thresholds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from av_tagger.errors import MissingExtra, UsageError, did_you_mean
from av_tagger.fusion.file import COLUMNS, TEXTS, Row, build
from av_tagger.fusion.joint import GRID_STEPS, Steadiness, joint, steady
from av_tagger.fusion.logit_fit import fit_gains, fit_shift
from av_tagger.fusion.thresholds import (
    OPERATING_POINTS,
    Floats,
    all_cuts,
    best_alone,
    checked,
    cuts_of,
    exact,
    two_step,
)
from av_tagger.fusion.weighing import NEUTRAL_THRESHOLD, NEUTRAL_WEIGHT, Weighing
from av_tagger.labels import families

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Bools = NDArray[np.bool_]
PAPER_WEIGHTS = (0.2, 0.8)  # of the ear: where the eye is better, and elsewhere (AV §3.4)


@dataclass(frozen=True)
class FitSettings:
    """How to fit. Classes with fewer than `few` positives are drawn towards neutral: wholly when
    they have none.

    With few = 0 and slack = 0 the method `joint` reaches the highest micro-F1 that there is on the
    clips it is given.
    """

    method: str = "logit"
    point: str = "f1"
    few: int = 10
    slack: float = 0.5  # weights this near to the best are equals (see `joint.steady`)
    steps: int = GRID_STEPS  # weights tried: 0, 1/steps ... 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in FITS:
            raise UsageError(
                f"there is no fit method {self.method!r}; {did_you_mean(self.method, FITS)}"
            )
        if self.point not in OPERATING_POINTS:
            raise UsageError(
                f"there is no operating point {self.point!r}; "
                f"{did_you_mean(self.point, OPERATING_POINTS)}"
            )
        if self.few < 0 or self.slack < 0 or self.steps < 1:
            raise UsageError(
                "few and slack are at least 0 and steps at least 1; "
                f"got {self.few}, {self.slack} and {self.steps}"
            )


@dataclass(frozen=True)
class DevelopmentScores:
    """Development scores: (clips, classes) heard and seen, NaN without opinion, and the truth."""

    heard: Floats
    seen: Floats
    truth: Bools
    labels: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        heard: ArrayLike,
        seen: ArrayLike,
        truth: ArrayLike,
        labels: Sequence[str] | None = None,
    ) -> DevelopmentScores:
        h, y = checked(heard, truth)
        s, _ = checked(seen, truth)
        if not y.any():
            raise UsageError("no clip has any of the classes: there is nothing to tune on")
        if not (np.isfinite(h).any() or np.isfinite(s).any()):
            raise UsageError(
                "neither ear nor eye has an opinion of any clip: there is nothing to tune on"
            )
        names = tuple(labels or (f"class {k}" for k in range(y.shape[1])))
        if len(names) != y.shape[1]:
            raise UsageError(f"there are {len(names)} labels for {y.shape[1]} classes")
        return cls(h, s, y, names)

    def rows(self, which: NDArray[np.int64] | Bools) -> DevelopmentScores:
        return replace(
            self, heard=self.heard[which], seen=self.seen[which], truth=self.truth[which]
        )

    @property
    def both(self) -> Bools:
        return np.isfinite(self.heard) & np.isfinite(self.seen)


Columns = dict[str, Floats]


class FusionFitter:
    """Fits one way of weighing; what was fitted ends in `_`."""

    fusion_: Weighing
    positives_: NDArray[np.int64]

    def __init__(self, settings: FitSettings | None = None) -> None:
        self.settings = settings or FitSettings()

    def fit(
        self,
        heard: ArrayLike,
        seen: ArrayLike,
        truth: ArrayLike,
        labels: Sequence[str] | None = None,
    ) -> Self:
        table = DevelopmentScores.of(heard, seen, truth, labels)
        names = table.labels
        self.positives_ = table.truth.sum(0)
        method, columns = FITS[self.settings.method](table, self.settings)
        unfit = build(method, names, _as_table(method, names, columns))
        rows = _threshold_rows(table, unfit.combine(table.heard, table.seen), self.settings)
        self.fusion_ = build(method, names, _as_table(method, names, columns | rows))
        return self

    def predict(self, heard: ArrayLike, seen: ArrayLike) -> Bools:
        return self.fusion_.decide(
            np.asarray(heard, dtype=np.float64), np.asarray(seen, dtype=np.float64)
        )


def joint_weights(table: DevelopmentScores, settings: FitSettings) -> tuple[str, Columns]:
    """Weight and threshold of every class together: the exact best of all weights tried, then
    steadied against chance.
    """
    beta2 = OPERATING_POINTS[settings.point]
    weights, tuned = joint(table.heard, table.seen, table.truth, beta2, settings.steps)
    if settings.slack:
        steadiness = Steadiness(settings.slack, beta2, settings.steps)
        weights = steady(table.heard, table.seen, table.truth, tuned.score(beta2), steadiness)
    return "weighted", {
        "weight": _drawn(weights, NEUTRAL_WEIGHT, (table.truth & table.both).sum(0), settings.few)
    }


def logit_shift(table: DevelopmentScores, _settings: FitSettings) -> tuple[str, Columns]:
    """A gain for each class, drawn to a common one, and what speaks against one of a family."""
    shift = fit_shift(table.heard, table.seen, table.truth, families(table.labels))
    gains = fit_gains(table.heard, table.seen, table.truth, shift)
    return "logit", {"gain": gains, "against": np.full(len(gains), shift.against)}


def paper_rule(table: DevelopmentScores, _settings: FitSettings) -> tuple[str, Columns]:
    """AV §3.4: the eye gets 0.8 where its F1 beats the ear's on the same clips, else 0.2."""
    heard = best_alone(all_cuts(np.where(table.both, table.heard, np.nan), table.truth))
    seen = best_alone(all_cuts(np.where(table.both, table.seen, np.nan), table.truth))
    return "weighted", {"weight": np.where(seen > heard, *PAPER_WEIGHTS)}


def stacked(table: DevelopmentScores, settings: FitSettings) -> tuple[str, Columns]:
    """A logistic regression per class on (heard, seen)."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtra(
            f"the method 'stacked' needs scikit-learn, which does not load ({error}); "
            "pip install scikit-learn"
        ) from error
    neutral = np.array([column.neutral for column in COLUMNS["stacked"].values()])
    numbers = np.tile(neutral, (table.truth.shape[1], 1))
    for k, both in enumerate(table.both.T):
        y = table.truth[both, k]
        if 0 < y.sum() < len(y):
            model = LogisticRegression().fit(
                np.column_stack((table.heard[both, k], table.seen[both, k])), y
            )
            numbers[k] = *model.coef_[0], model.intercept_[0]
    found = (table.truth & table.both).sum(0)
    drawn = (
        _drawn(numbers[:, i], float(neutral[i]), found, settings.few) for i in range(len(neutral))
    )
    return "stacked", dict(zip(COLUMNS["stacked"], drawn, strict=True))


def even(table: DevelopmentScores, _settings: FitSettings) -> tuple[str, Columns]:
    """Both count the same; only the thresholds are fitted."""
    return "weighted", {"weight": np.full(table.truth.shape[1], NEUTRAL_WEIGHT)}


def _without_columns(
    method: str,
) -> Callable[[DevelopmentScores, FitSettings], tuple[str, Columns]]:
    return lambda _table, _settings: (method, {})


def _threshold_rows(table: DevelopmentScores, fused: Floats, settings: FitSettings) -> Columns:
    """Three rows, each for the best micro-F of the clips that have those scores.

    A class that one branch never scores is tuned on the scores of the other, as it will be decided.
    """
    lone = ~table.both.any(0)
    together = np.where(table.both | lone, fused, np.nan)
    heard = fused if settings.method == "logit" else together  # an eye without evidence takes part
    rows = {
        "both": _tuned(heard, table.truth, settings),
        "ear": _tuned(table.heard, table.truth, settings),
        "eye": _tuned(table.seen, table.truth, settings),
    }
    rows["ear"] = np.where(lone & ~np.isfinite(table.seen).any(0), rows["both"], rows["ear"])
    rows["eye"] = np.where(lone & ~np.isfinite(table.heard).any(0), rows["both"], rows["eye"])
    return rows


def _tuned(scores: Floats, truth: Bools, settings: FitSettings) -> Floats:
    cuts = all_cuts(scores, truth)
    if settings.method == "paper-rule" and settings.point == "f1":
        return two_step(cuts, settings.seed).thresholds
    beta2 = OPERATING_POINTS[settings.point]
    common = (
        exact([cuts_of(scores.ravel(), truth.ravel())], beta2)
        if any(cut.positives for cut in cuts)
        else None
    )
    neutral = float(common.thresholds[0]) if common else NEUTRAL_THRESHOLD
    return _drawn(
        exact(cuts, beta2).thresholds,
        neutral,
        np.array([cut.positives for cut in cuts]),
        settings.few,
    )


def _drawn(fitted: Floats, neutral: float, positives: NDArray[np.int64], few: int) -> Floats:
    """Fitted values, drawn towards neutral by 1 - n / few where only n < few positives speak for
    them.
    """
    trust = np.minimum(1.0, positives / few) if few else np.ones(len(positives))
    drawn: Floats = np.where(
        trust == 1.0, fitted, np.round(trust * fitted + (1.0 - trust) * neutral, 4)
    )
    return drawn


def _as_table(method: str, names: Sequence[str], columns: Mapping[str, Floats]) -> dict[str, Row]:
    rows = dict.fromkeys(("both", "ear", "eye"), np.full(len(names), NEUTRAL_THRESHOLD))
    rows |= columns
    family = families(names) if "family" in TEXTS.get(method, ()) else ("",) * len(names)
    return {
        name: {"family": word} | {column: float(values[k]) for column, values in rows.items()}
        for k, (name, word) in enumerate(zip(names, family, strict=True))
    }


FITS: Mapping[str, Callable[[DevelopmentScores, FitSettings], tuple[str, Columns]]] = {
    "logit": logit_shift,
    "joint": joint_weights,
    "paper-rule": paper_rule,
    "stacked": stacked,
    "even": even,
    "max": _without_columns("max"),
    "ear": _without_columns("ear"),
    "eye": _without_columns("eye"),
}

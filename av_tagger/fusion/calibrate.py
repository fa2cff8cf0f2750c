"""Fitting scales: Platt or isotonic per class, whichever has the lower held-out log loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError, did_you_mean
from av_tagger.fusion.logit import logit
from av_tagger.fusion.scales import Scales, ScoreScale

if TYPE_CHECKING:
    from av_tagger.fusion.weighing import Weighing

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

FEWEST = 10  # positives of a class below which its scores are kept
POINTS = 12  # most points of an isotonic scale
FLATTEST = 0.01  # slope of scores that say nothing: still rising, so that the order is kept
RISE = 1e-3  # mixed into flat parts of an isotonic scale for the same reason
CHOICES = ("auto", "platt", "isotonic", "none")


@dataclass(frozen=True)
class CalibratedRow:
    """Scales of one row of thresholds, and the scores after scales that never saw their fold."""

    scales: tuple[ScoreScale | None, ...]
    held_out: Floats  # (clips, classes)
    names: tuple[str, ...]  # platt, isotonic or none, per class


def check_choice(choice: str) -> None:
    if choice not in CHOICES:
        raise UsageError(f"there is no calibration {choice!r}; {did_you_mean(choice, CHOICES)}")


def calibrate(scores: Floats, truth: Bools, folds: Ints, choice: str = "auto") -> CalibratedRow:
    """Scores and truth (clips, classes); `folds` keeps clips of one recording together."""
    names = FITS if choice == "auto" else {n: f for n, f in FITS.items() if n == choice}
    held = scores.copy()
    scales: list[ScoreScale | None] = []
    chosen = []
    for k in range(truth.shape[1]):
        has = np.isfinite(scores[:, k])
        s, y, parts = scores[has, k], truth[has, k], folds[has]
        found = {"none": s} | {n: _held_out(f, s, y, parts) for n, f in names.items() if _fits(y)}
        name = min(found, key=lambda n: _loss(found[n], y)) if len(y) else "none"
        if choice != "auto" and choice in found:
            name = choice
        held[has, k] = found[name]
        scales.append(names[name](s, y) if name != "none" else None)
        chosen.append(name)
    return CalibratedRow(tuple(scales), held, tuple(chosen))


def with_scales(fusion: Weighing, rows: Mapping[str, CalibratedRow]) -> Weighing:
    """The fusion with these scales. Thresholds move along, so that all decisions stay."""
    scales = Scales(**{name: row.scales for name, row in rows.items()})
    moved = {name: scales.thresholds(name, getattr(fusion.rows, name)) for name in rows}
    return replace(fusion.with_thresholds(**moved), scales=scales)


def fit_platt(scores: Floats, truth: Bools) -> ScoreScale:
    """Logistic regression on the log-odds; scores without skill keep their order."""
    from sklearn.linear_model import LogisticRegression

    z = logit(scores)
    model = LogisticRegression(C=100.0).fit(z[:, None], truth)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope < FLATTEST:
        share = (truth.sum() + 1) / (len(truth) + 2)
        slope, intercept = FLATTEST, float(np.log(share / (1 - share)) - FLATTEST * z.mean())
    return ScoreScale(float(f"{slope:.4g}"), float(f"{intercept:.4g}"))


def fit_isotonic(scores: Floats, truth: Bools) -> ScoreScale:
    """A few points of the isotonic regression; never certain, and rising everywhere."""
    from sklearn.isotonic import IsotonicRegression

    least = 1 / (len(truth) + 2)
    model = IsotonicRegression(y_min=least, y_max=1 - least).fit(scores, truth)
    inner = np.unique(np.append(model.X_thresholds_, scores[truth]))
    if len(inner) > POINTS - 2:
        inner = np.quantile(inner, np.linspace(0, 1, POINTS - 2))
    x = np.unique(np.round(np.concatenate([[0.0], inner, [1.0]]), 4))
    clipped = np.clip(x, scores.min(), scores.max())
    y = (1 - RISE) * np.maximum.accumulate(model.predict(clipped)) + RISE * x
    return ScoreScale(
        points=tuple((float(a), round(float(b), 8)) for a, b in zip(x, y, strict=True))
    )


FITS: Mapping[str, Callable[[Floats, Bools], ScoreScale]] = {
    "platt": fit_platt,
    "isotonic": fit_isotonic,
}


def _fits(truth: Bools) -> bool:
    return FEWEST <= int(truth.sum()) <= len(truth) - FEWEST


def _held_out(
    fit: Callable[[Floats, Bools], ScoreScale], scores: Floats, truth: Bools, folds: Ints
) -> Floats:
    out = scores.copy()
    for fold in np.unique(folds):
        mine = folds == fold
        if 0 < truth[~mine].sum() < (~mine).sum():
            out[mine] = fit(scores[~mine], truth[~mine])(scores[mine])
    return out


def _loss(scores: Floats, truth: Bools) -> float:
    p = np.clip(scores, 1e-6, 1 - 1e-6)
    return float(-np.where(truth, np.log(p), np.log1p(-p)).sum())

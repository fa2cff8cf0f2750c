"""Calibrating the sum of logits: Platt scaling with shrunk class biases, and its thresholds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from av_tagger.audio.calibration import sigmoid
from av_tagger.metrics import average_precision

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

RIDGES = (1.0, 3.0, 10.0, 30.0)
MOST_FALSE = 0.02  # share of the clips without any class that may get a tag, on held-out folds
PRECISION = 0.8  # of the tags at the operating point `precision`, on held-out folds


@dataclass(frozen=True, eq=False)
class Platt:
    """`logit(p) = slope * z + bias`: one slope for all classes, a bias for each."""

    slope: float
    bias: Floats  # (classes,)

    def probabilities(self, z: Floats) -> Floats:
        return sigmoid(self.slope * z + self.bias)


@dataclass(frozen=True, eq=False)
class Held:
    """Held-out probabilities of one way to calibrate, and how good they are."""

    ridge: float
    probabilities: Floats  # (clips, classes)
    log_loss: float  # summed over the known pairs


def fit_platt(z: Floats, truth: Floats, ridge: float) -> Platt:
    """Logistic regression; class biases are drawn to the common one by `ridge`."""
    known = np.isfinite(truth)
    classes = truth.shape[1]
    column = np.broadcast_to(np.arange(classes), truth.shape)[known]
    x, y = z[known], truth[known]

    def loss(v: Floats) -> tuple[float, Floats]:
        logits = v[0] * x + v[1] + v[2 + column]
        error = sigmoid(logits) - y
        bias = np.bincount(column, error, classes) + 2 * ridge * v[2:]
        value = float((np.logaddexp(0, logits) - y * logits).sum() + ridge * (v[2:] ** 2).sum())
        return value, np.concatenate([[error @ x, error.sum()], bias])

    begin = np.concatenate([[1.0, 0.0], np.zeros(classes)])
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return Platt(float(found[0]), found[1] + found[2:])


def held_out(z: Floats, truth: Floats, folds: Ints, ridge: float) -> Held:
    """Every fold by a calibration fitted to the others."""
    p = np.full(truth.shape, np.nan)
    for fold in np.unique(folds):
        rest = folds != fold
        p[~rest] = fit_platt(z[rest], truth[rest], ridge).probabilities(z[~rest])
    known = np.isfinite(truth)
    q = np.clip(p[known], 1e-12, 1 - 1e-12)
    loss = -(truth[known] * np.log(q) + (1 - truth[known]) * np.log(1 - q)).sum()
    return Held(ridge, p, float(loss))


def best_held_out(z: Floats, truth: Floats, folds: Ints) -> Held:
    """The ridge with the lowest held-out log loss."""
    return min((held_out(z, truth, folds, r) for r in RIDGES), key=lambda h: h.log_loss)


def f1_threshold(p: Floats, truth: Floats) -> float:
    """One threshold for all classes with the best micro-F1, few false tags where nothing is.

    The middle of all thresholds that are nearly as good: less at the mercy of single clips.
    """
    cuts = np.round(np.arange(0.05, 0.91, 0.01), 2)
    quiet = [false_tags(p, truth, t) <= MOST_FALSE for t in cuts]
    scores = np.array(
        [micro_f1(p, truth, t) if ok else -1.0 for t, ok in zip(cuts, quiet, strict=True)]
    )
    return float(np.median(cuts[scores >= scores.max() - 0.005]).round(2))


def precision_threshold(p: Floats, truth: Floats, least: float) -> float:
    """The lowest threshold from `least` on whose tags are mostly right."""
    cuts = np.round(np.arange(least, 0.99, 0.01), 2)
    right = [precision(p, truth, t) >= PRECISION for t in cuts]
    return float(cuts[int(np.argmax(right))]) if any(right) else 0.99


def micro_f1(p: Floats, truth: Floats, threshold: float | Floats) -> float:
    hits, said, positives = _counts(p, truth, threshold)
    return 2 * hits / max(1, said + positives)


def precision(p: Floats, truth: Floats, threshold: float | Floats) -> float:
    hits, said, _ = _counts(p, truth, threshold)
    return hits / max(1, said)


def false_tags(p: Floats, truth: Floats, threshold: float | Floats) -> float:
    """Share of the clips that surely hold none of the classes and yet get a tag."""
    empty = without_any(truth)
    return float((p[empty] >= threshold).any(axis=1).mean()) if empty.any() else 0.0


def without_any(truth: Floats) -> Bools:
    return np.asarray(np.nan_to_num(truth, nan=1.0).max(axis=1) == 0)


def mean_precision(p: Floats, truth: Floats, least: int = 2) -> float:
    """Mean average precision over the classes with at least `least` positives; NaN: none."""
    columns = [k for k in range(truth.shape[1]) if np.nansum(truth[:, k]) >= least]
    found = [average_precision(p[:, k], truth[:, k]) for k in columns]
    return float(np.mean(found)) if found else math.nan


def _counts(p: Floats, truth: Floats, threshold: float | Floats) -> tuple[int, int, int]:
    said = (p >= threshold) & np.isfinite(truth)
    return int((said & (truth == 1)).sum()), int(said.sum()), int((truth == 1).sum())

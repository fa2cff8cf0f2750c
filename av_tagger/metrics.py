"""Metrics: average precision, ROC AUC, d', and precision, recall and F1 from counts; numpy only.

Conventions, equal to scikit-learn unless stated:

- Ties: equal scores share one threshold.
- Truth is boolean, 0/1, or NaN where a label is unknown; unknown pairs are left out.
- An unscored item (score NaN) ranks below every scored one, tied with the other unscored ones.
- No positive: average precision and AUC are NaN, and means skip NaN (scikit-learn warns and gives
  0.0 for average precision).
- All positive: average precision is 1.0, AUC is NaN.
- Precision, recall or F1 with a zero denominator is 0.0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class ThresholdCounts(NamedTuple):
    """Counts at every distinct score, taken as a threshold (score >= threshold), highest first."""

    thresholds: Floats
    true_positives: Ints
    predicted: Ints
    positives: int
    negatives: int


def threshold_counts(scores: ArrayLike, truth: ArrayLike) -> ThresholdCounts:
    """The counts behind precision-recall and ROC curves; unscored items have threshold -inf."""
    s, y = _known(scores, truth)
    order = np.argsort(-s, kind="stable")
    ordered = s[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], len(ordered) > 0))
    hits = np.cumsum(y[order], dtype=np.int64)[last]
    return ThresholdCounts(ordered[last], hits, last + 1, int(y.sum()), int((~y).sum()))


def average_precision(scores: ArrayLike, truth: ArrayLike) -> float:
    """Precision at each threshold, weighted by the recall it adds; NaN without positives."""
    at = threshold_counts(scores, truth)
    if not at.positives:
        return math.nan
    added = np.diff(at.true_positives, prepend=0)
    return float((added * at.true_positives / at.predicted).sum() / at.positives)


def roc_auc(scores: ArrayLike, truth: ArrayLike) -> float:
    """Probability that a positive scores above a negative, ties half; NaN if either is missing."""
    at = threshold_counts(scores, truth)
    if not at.positives or not at.negatives:
        return math.nan
    hits = np.append(0, at.true_positives)
    alarms = np.append(0, at.predicted - at.true_positives)
    area = (np.diff(alarms) * (hits[1:] + hits[:-1])).sum()
    return float(area / (2 * at.positives * at.negatives))


def d_prime(auc: float) -> float:
    """sqrt(2) * Phi^-1(AUC): the distance of positives and negatives in standard deviations."""
    if not 0 < auc < 1:
        return {0.0: -math.inf, 1.0: math.inf}.get(auc, math.nan)
    return math.sqrt(2) * NormalDist().inv_cdf(auc)


def class_average_precision(scores: ArrayLike, truth: ArrayLike) -> Floats:
    """Average precision of each column of (items, classes)."""
    columns = zip(np.asarray(scores).T, np.asarray(truth).T, strict=True)
    return np.array([average_precision(s, y) for s, y in columns], np.float64)


def class_roc_auc(scores: ArrayLike, truth: ArrayLike) -> Floats:
    """ROC AUC of each column of (items, classes)."""
    columns = zip(np.asarray(scores).T, np.asarray(truth).T, strict=True)
    return np.array([roc_auc(s, y) for s, y in columns], np.float64)


def mean_average_precision(scores: ArrayLike, truth: ArrayLike) -> float:
    """mAP: the mean over the classes that have a positive; NaN if no class has one."""
    return mean_of_defined(class_average_precision(scores, truth))


def mean_of_defined(values: ArrayLike) -> float:
    """The mean of the values that are not NaN; NaN if there is none."""
    v = np.asarray(values, np.float64)
    v = v[~np.isnan(v)]
    return float(v.mean()) if len(v) else math.nan


@dataclass(frozen=True)
class Counts:
    """True positives, predicted and positive (item, class) pairs of every class."""

    right: Ints  # true positives
    predicted: Ints  # true and false positives
    positives: Ints  # true positives and false negatives

    @classmethod
    def of(cls, predicted: ArrayLike, truth: ArrayLike) -> Counts:
        """From decisions and truth, both (items, classes)."""
        said, real, known = _pairs(predicted, truth)
        return cls((said & real).sum(0), (said & known).sum(0), real.sum(0))

    @classmethod
    def pooled(cls, parts: Sequence[Counts]) -> Counts:
        """The sum of several counts, as over folds."""
        names = ("right", "predicted", "positives")
        return cls(*(np.sum([getattr(p, name) for p in parts], axis=0) for name in names))

    @property
    def false_positives(self) -> Ints:
        return self.predicted - self.right

    @property
    def false_negatives(self) -> Ints:
        return self.positives - self.right

    @property
    def precision(self) -> float:
        """Micro-average, over all pairs, as `recall` and `f1`."""
        return float(_ratio(self.right.sum(), self.predicted.sum()))

    @property
    def recall(self) -> float:
        return float(_ratio(self.right.sum(), self.positives.sum()))

    @property
    def f1(self) -> float:
        return float(_ratio(2 * self.right.sum(), (self.predicted + self.positives).sum()))

    @property
    def class_precision(self) -> Floats:
        return _ratio(self.right, self.predicted)

    @property
    def class_recall(self) -> Floats:
        return _ratio(self.right, self.positives)

    @property
    def class_f1(self) -> Floats:
        return _ratio(2 * self.right, self.predicted + self.positives)

    @property
    def occurs(self) -> Bools:
        """Classes with a positive or a prediction."""
        return np.asarray((self.positives + self.predicted) > 0)


def _known(scores: ArrayLike, truth: ArrayLike) -> tuple[Floats, Bools]:
    """Scores and truth of the items whose label is known; unscored ones at -inf."""
    s, y = np.asarray(scores, np.float64), np.asarray(truth, np.float64)
    if s.shape != y.shape or s.ndim != 1:
        raise ValueError(f"scores and truth are vectors of one length; got {s.shape}, {y.shape}")
    known = ~np.isnan(y)
    return np.where(np.isnan(s), -np.inf, s)[known], y[known] > 0.5


def _pairs(predicted: ArrayLike, truth: ArrayLike) -> tuple[Bools, Bools, Bools]:
    """Decisions, truth, and where the truth is known."""
    said, y = np.asarray(predicted, np.bool_), np.asarray(truth)
    if said.shape != y.shape or said.ndim != 2:
        raise ValueError(
            f"decisions and truth are both (items, classes); got {said.shape}, {y.shape}"
        )
    if y.dtype == np.bool_:
        return said, y, np.ones_like(said)
    return said, y > 0.5, ~np.isnan(y)


def _ratio(above: ArrayLike, below: ArrayLike) -> Floats:
    """above / below, 0 where below is 0."""
    a, b = np.asarray(above, np.float64), np.asarray(below, np.float64)
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=b > 0)

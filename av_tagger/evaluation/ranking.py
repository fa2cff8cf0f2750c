"""How well probabilities rank the clips, without any threshold: AP, AUC, d', and the curves behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_MOST_POINTS = 400  # of a curve that is written for people to look at


@dataclass(frozen=True)
class Ranking:
    """Per class, NaN where all clips have the class or none has; means are over the others."""

    labels: tuple[str, ...]
    ap: Floats
    auc: Floats

    @property
    def mean_ap(self) -> float:
        return _mean(self.ap)

    @property
    def mean_auc(self) -> float:
        return _mean(self.auc)

    @property
    def d_prime(self) -> float:
        return d_prime(self.mean_auc)

    def as_json(self) -> dict[str, Any]:
        rows = zip(self.labels, self.ap, self.auc, strict=True)
        classes = {
            label: {"ap": float(ap), "auc": float(auc), "d_prime": d_prime(float(auc))}
            for label, ap, auc in rows
        }
        return {
            "map": self.mean_ap,
            "mauc": self.mean_auc,
            "d_prime": self.d_prime,
            "classes": classes,
        }


@dataclass(frozen=True)
class Curves:
    """One class: precision over recall, and true over false positive rate, from the highest threshold down."""

    thresholds: Floats
    precision: Floats
    recall: Floats
    false_positive_rate: Floats

    def as_json(self) -> dict[str, list[float]]:
        keep = np.unique(
            np.linspace(0, len(self.recall) - 1, min(len(self.recall), _MOST_POINTS))
            .round()
            .astype(int)
        )
        return {
            name: [round(float(v), 6) for v in values[keep]] for name, values in vars(self).items()
        }


def rank(scores: Floats, truth: Bools, labels: Sequence[str]) -> Ranking:
    """Clips without an opinion (NaN) come last."""
    sure = np.where(np.isfinite(scores), scores, -1.0)
    pairs = [(sure[:, k], truth[:, k]) for k in range(len(labels))]
    return Ranking(
        tuple(labels),
        np.array([average_precision(s, y) for s, y in pairs]),
        np.array([roc_auc(s, y) for s, y in pairs]),
    )


def average_precision(scores: Floats, truth: Bools) -> float:
    """Precision summed over the steps of recall; clips of equal score enter together. NaN for a class without positives or negatives."""
    right, predicted, _ = _cumulative(scores, truth)
    if not truth.any() or truth.all():
        return math.nan
    return float((np.diff(right, prepend=0) / right[-1] * right / predicted).sum())


def roc_auc(scores: Floats, truth: Bools) -> float:
    """The chance that a positive stands above a negative, ties half."""
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return math.nan
    right, predicted, _ = _cumulative(scores, truth)
    hits, alarms = np.append(0, right), np.append(0, predicted - right)
    return float((np.diff(alarms) * (hits[1:] + hits[:-1])).sum() / (2 * positives * negatives))


def d_prime(auc: float) -> float:
    """sqrt(2) * Phi^-1(AUC): how many standard deviations apart positives and negatives are."""
    if not 0 < auc < 1:
        return {0.0: -math.inf, 1.0: math.inf}.get(auc, math.nan)
    return math.sqrt(2) * NormalDist().inv_cdf(auc)


def curves(scores: Floats, truth: Bools) -> Curves:
    """The points of both curves of one class; the first is that of `nothing predicted`."""
    right, predicted, values = _cumulative(np.where(np.isfinite(scores), scores, -1.0), truth)
    positives, negatives = max(1, int(truth.sum())), max(1, int((~truth).sum()))
    return Curves(
        thresholds=np.append(1.01, values),
        precision=np.append(1.0, right / predicted),
        recall=np.append(0.0, right / positives),
        false_positive_rate=np.append(0.0, (predicted - right) / negatives),
    )


def _cumulative(
    scores: Floats, truth: Bools
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Right and predicted when every score down to each distinct value is accepted, and those values."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], len(ordered) > 0))
    found = np.cumsum(truth[order], dtype=np.int64)
    return found[last], last + 1, ordered[last]


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan

"""Ranking metrics per class and branch (AP, AUC, d'), and the curves behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.metrics import (
    class_average_precision,
    class_roc_auc,
    d_prime,
    mean_of_defined,
    threshold_counts,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_CURVE_POINTS = 400  # at most, in JSON
_ABOVE_ALL = 1.01  # the threshold at which nothing is predicted


@dataclass(frozen=True)
class Ranking:
    """AP and AUC per class, as `av_tagger.metrics` defines them; means skip undefined classes."""

    labels: tuple[str, ...]
    ap: Floats
    auc: Floats

    @property
    def mean_ap(self) -> float:
        return mean_of_defined(self.ap)

    @property
    def mean_auc(self) -> float:
        return mean_of_defined(self.auc)

    @property
    def d_prime(self) -> float:
        return d_prime(self.mean_auc)

    def as_json(self) -> dict[str, Any]:
        rows = zip(self.labels, self.ap, self.auc, strict=True)
        return {
            "map": self.mean_ap,
            "mauc": self.mean_auc,
            "d_prime": self.d_prime,
            "classes": {
                label: {"ap": float(ap), "auc": float(auc), "d_prime": d_prime(float(auc))}
                for label, ap, auc in rows
            },
        }


@dataclass(frozen=True)
class Curves:
    """Precision-recall and ROC curve of one class, from the highest threshold down."""

    thresholds: Floats
    precision: Floats
    recall: Floats
    false_positive_rate: Floats

    def as_json(self) -> dict[str, list[float]]:
        """At most 400 points, ends included."""
        count = len(self.recall)
        keep = np.linspace(0, count - 1, min(count, _CURVE_POINTS)).round().astype(int)
        return {
            name: [round(float(v), 6) for v in values[np.unique(keep)]]
            for name, values in vars(self).items()
        }


def rank(
    scores: Floats, truth: Bools, labels: Sequence[str], known: Bools | None = None
) -> Ranking:
    """All tables are (clips, classes). Clips without a score (NaN) rank last.

    Pairs that are not `known` take no part.
    """
    if known is None or known.all():
        ap, auc = class_average_precision(scores, truth), class_roc_auc(scores, truth)
        return Ranking(tuple(labels), ap, auc)
    columns = [(scores[mask, k, None], truth[mask, k, None]) for k, mask in enumerate(known.T)]
    ap, auc = (
        np.array([float(metric(s, y)[0]) for s, y in columns])
        for metric in (class_average_precision, class_roc_auc)
    )
    return Ranking(tuple(labels), ap, auc)


def curves(scores: Floats, truth: Bools) -> Curves:
    """The curves of one class; the first point is the one at which nothing is predicted."""
    at = threshold_counts(scores, truth)
    right, predicted = at.true_positives, at.predicted
    return Curves(
        thresholds=np.append(_ABOVE_ALL, np.nan_to_num(at.thresholds, neginf=-1.0)),
        precision=np.append(1.0, right / predicted),
        recall=np.append(0.0, right / max(1, at.positives)),
        false_positive_rate=np.append(0.0, (predicted - right) / max(1, at.negatives)),
    )

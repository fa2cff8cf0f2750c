"""Counting decisions against the truth: what precision, recall and F1 are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from av_tagger.fusion.thresholds import f_score

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """Right, predicted and positive (clip, class) pairs of every class."""

    right: Ints
    predicted: Ints
    positives: Ints

    @classmethod
    def of(cls, said: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Counts:
        return cls((said & truth).sum(0), said.sum(0), truth.sum(0))

    @property
    def precision(self) -> float:
        return _ratio(self.right.sum(), self.predicted.sum())

    @property
    def recall(self) -> float:
        return _ratio(self.right.sum(), self.positives.sum())

    @property
    def f1(self) -> float:
        """Micro-average: over all pairs."""
        return f_score(int(self.right.sum()), int(self.predicted.sum()), int(self.positives.sum()))

    @property
    def class_precision(self) -> NDArray[np.float64]:
        return np.array([_ratio(t, p) for t, p in zip(self.right, self.predicted, strict=True)])

    @property
    def class_recall(self) -> NDArray[np.float64]:
        return np.array([_ratio(t, n) for t, n in zip(self.right, self.positives, strict=True)])

    @property
    def class_f1(self) -> NDArray[np.float64]:
        return np.array(
            [
                f_score(int(t), int(p), int(n))
                for t, p, n in zip(self.right, self.predicted, self.positives, strict=True)
            ]
        )

    @property
    def occurs(self) -> NDArray[np.bool_]:
        """Classes that stand in the truth or in the predictions."""
        found: NDArray[np.bool_] = (self.positives + self.predicted) > 0
        return found


def _ratio(above: np.int64, below: np.int64) -> float:
    return float(above / below) if below else 0.0

"""Subtask A, tagging: precision, recall and F1, micro-averaged and per class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError
from av_tagger.metrics import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Averages:
    """Precision, recall and F1, each from 0 to 1."""

    precision: float
    recall: float
    f1: float

    @classmethod
    def of(cls, precision: float, recall: float) -> Averages:
        """With the F1 of these two numbers."""
        total = precision + recall
        return cls(precision, recall, 2 * precision * recall / total if total else 0.0)


@dataclass(frozen=True)
class ClipCoverage:
    """How many clips of the truth have predictions, and how many predictions are of other clips."""

    clips: int
    answered: int
    other: int

    @property
    def share(self) -> float:
        return self.answered / self.clips

    def as_json(self) -> dict[str, float]:
        return vars(self) | {"share": self.share}


@dataclass(frozen=True)
class TagScores:
    """Counts over every clip of the truth; a clip without predictions counts as untagged."""

    labels: tuple[str, ...]
    counts: Counts
    coverage: ClipCoverage

    @property
    def micro(self) -> Averages:
        """Over all (clip, label) pairs: the metric that ranks the challenge."""
        return Averages(self.counts.precision, self.counts.recall, self.counts.f1)

    @property
    def macro(self) -> Averages:
        """Mean precision and recall of the classes that occur, and the F1 of these two means."""
        occurs = self.counts.occurs
        if not occurs.any():
            return Averages(0.0, 0.0, 0.0)
        precision, recall = self.counts.class_precision[occurs], self.counts.class_recall[occurs]
        return Averages.of(float(precision.mean()), float(recall.mean()))

    def as_json(self) -> dict[str, Any]:
        c = self.counts
        columns = {
            "precision": c.class_precision,
            "recall": c.class_recall,
            "f1": c.class_f1,
            "right": c.right,
            "predicted": c.predicted,
            "positives": c.positives,
        }
        return {
            "micro": vars(self.micro),
            "macro": vars(self.macro),
            "coverage": self.coverage.as_json(),
            "classes": {
                label: {name: column[k].item() for name, column in columns.items()}
                for k, label in enumerate(self.labels)
            },
        }


def score_tags(
    truth: Mapping[str, Sequence[str]],
    predicted: Mapping[str, Sequence[str]],
    labels: Sequence[str],
) -> TagScores:
    """Both mappings are clip keys to labels."""
    coverage = coverage_of(truth, predicted)
    said = label_matrix((predicted.get(name, ()) for name in truth), labels)
    return TagScores(tuple(labels), Counts.of(said, label_matrix(truth.values(), labels)), coverage)


def coverage_of(truth: Mapping[str, object], predicted: Mapping[str, object]) -> ClipCoverage:
    """An error if the two have no clip in common: they are then of different sets."""
    answered = len(truth.keys() & predicted.keys())
    if not answered:
        names = (
            f" (such as {next(iter(predicted))!r} and {next(iter(truth))!r})" if predicted else ""
        )
        raise UsageError(
            f"predictions and ground truth have no clip in common{names}; use the same data set"
        )
    return ClipCoverage(len(truth), answered, len(predicted) - answered)


def label_matrix(rows: Iterable[Iterable[str]], labels: Sequence[str]) -> Bools:
    """(clips, classes): True where a clip has a label."""
    column = {label: k for k, label in enumerate(labels)}
    listed = [[column[label] for label in row] for row in rows]
    table = np.zeros((len(listed), len(labels)), dtype=np.bool_)
    for i, ks in enumerate(listed):
        table[i, ks] = True
    return table


def confusion(truth: Bools, predicted: Bools) -> NDArray[np.int64]:
    """Multi-label confusion matrix, (classes + 1, classes + 1): rows are true, columns predicted.

    Diagonal: clips in which the label was found. Elsewhere: clips that got a label which they do
    not have; correct labels of the same clip are no confusion. Last column: clips without any
    prediction. Last row: clips without any true label.
    """
    wrong = predicted & ~truth
    size = truth.shape[1]
    table = np.zeros((size + 1, size + 1), dtype=np.int64)
    table[:size, :size] = truth.astype(np.int64).T @ wrong.astype(np.int64)
    table[np.arange(size), np.arange(size)] = (truth & predicted).sum(0)
    untagged, unlabelled = ~predicted.any(1), ~truth.any(1)
    table[:size, size] = truth[untagged].sum(0)
    table[size, :size] = predicted[unlabelled].sum(0)
    table[size, size] = (untagged & unlabelled).sum()
    return table

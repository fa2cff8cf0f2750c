"""Subtask A: which tags of which clips are right, in micro-average (which ranks) and class-based, and what went unanswered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError
from av_tagger.fusion.counts import Counts

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
    def of_two(cls, precision: float, recall: float) -> Averages:
        total = precision + recall
        return cls(precision, recall, 2 * precision * recall / total if total else 0.0)


@dataclass(frozen=True)
class Coverage:
    """How many clips of the truth were answered, and how many answers are about other clips."""

    clips: int
    answered: int
    other: int

    @property
    def share(self) -> float:
        return self.answered / self.clips


@dataclass(frozen=True)
class TagScores:
    """Every clip of the truth counts; one without an answer misses all of its labels."""

    labels: tuple[str, ...]
    counts: Counts
    coverage: Coverage

    @property
    def micro(self) -> Averages:
        """Over (clip, label) pairs: the challenge's ranking metric."""
        return Averages(self.counts.precision, self.counts.recall, self.counts.f1)

    @property
    def macro(self) -> Averages:
        """Mean precision and mean recall of the classes that occur, and the F1 of these two means, as the challenge has it."""
        occurs = self.counts.occurs
        if not occurs.any():
            return Averages(0.0, 0.0, 0.0)
        return Averages.of_two(
            float(self.counts.class_precision[occurs].mean()),
            float(self.counts.class_recall[occurs].mean()),
        )

    def as_json(self) -> dict[str, Any]:
        c, names = self.counts, ("precision", "recall", "f1", "right", "predicted", "positives")
        ratios = (c.class_precision.tolist(), c.class_recall.tolist(), c.class_f1.tolist())
        per_class = zip(
            self.labels,
            *ratios,
            c.right.tolist(),
            c.predicted.tolist(),
            c.positives.tolist(),
            strict=True,
        )
        return {
            "micro": vars(self.micro),
            "macro": vars(self.macro),
            "coverage": vars(self.coverage) | {"share": self.coverage.share},
            "classes": {
                label: dict(zip(names, values, strict=True)) for label, *values in per_class
            },
        }


def score_tags(
    truth: Mapping[str, Sequence[str]], said: Mapping[str, Sequence[str]], labels: Sequence[str]
) -> TagScores:
    """Counts over every clip of the truth."""
    coverage = coverage_of(truth, said)
    names = tuple(truth)
    told = matrix((said.get(name, ()) for name in names), labels)
    return TagScores(tuple(labels), Counts.of(told, matrix(truth.values(), labels)), coverage)


def coverage_of(truth: Mapping[str, object], said: Mapping[str, object]) -> Coverage:
    """An error when the two have no clip in common: then they are about different things."""
    answered = len(truth.keys() & said.keys())
    if not answered:
        mine, theirs = next(iter(said), None), next(iter(truth), None)
        example = f" ({mine!r} is not among {theirs!r} ...)" if mine is not None else ""
        raise UsageError(
            f"predictions and truth have no clip in common{example}; are they of the same set?"
        )
    return Coverage(len(truth), answered, len(said) - answered)


def matrix(rows: Iterable[Iterable[str]], labels: Sequence[str]) -> Bools:
    """(clips, classes) which clip has which label."""
    place = {label: k for k, label in enumerate(labels)}
    listed = [[place[label] for label in row] for row in rows]
    table = np.zeros((len(listed), len(labels)), dtype=np.bool_)
    for i, ks in enumerate(listed):
        table[i, ks] = True
    return table


def confusion(truth: Bools, said: Bools) -> NDArray[np.int64]:
    """(classes + 1, classes + 1) clips: row = a true label (last: clips without one), column = what was said of them (last: nothing).

    On the diagonal the label was found. Beside it another label was said that the clip does not have; right labels of the same clip
    are nobody's confusion.
    """
    wrong = said & ~truth
    size = truth.shape[1]
    table = np.zeros((size + 1, size + 1), dtype=np.int64)
    table[:size, :size] = truth.astype(np.int64).T @ wrong.astype(np.int64)
    table[np.arange(size), np.arange(size)] = (truth & said).sum(0)
    silent, unlabelled = ~said.any(1), ~truth.any(1)
    table[:size, size] = truth[silent].sum(0)
    table[size, :size] = said[unlabelled].sum(0)
    table[size, size] = (silent & unlabelled).sum()
    return table

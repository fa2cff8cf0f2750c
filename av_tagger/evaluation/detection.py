"""Subtask B, event detection: error rate and F1 over segments of one second."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.dcase import SoundEvent
from av_tagger.evaluation.tagging import Averages, ClipCoverage, coverage_of
from av_tagger.metrics import Counts

SEGMENT_SECONDS = 1.0

Events = Mapping[str, Sequence[SoundEvent]]
Roll = NDArray[np.bool_]  # (segments, classes), True where a class is active


@dataclass(frozen=True)
class EventScores:
    """Segment-based scores. Rates are relative to the active (segment, class) pairs of the truth.

    In each segment, a missed class and a false one together count as one substitution; the rest
    are deletions (missed) and insertions (false).
    """

    labels: tuple[str, ...]
    counts: Counts  # of (segment, class) pairs
    substitutions: int
    deletions: int
    insertions: int
    coverage: ClipCoverage

    @property
    def error_rate(self) -> float:
        errors = self.substitutions + self.deletions + self.insertions
        return _rate(errors, int(self.counts.positives.sum()))

    @property
    def overall(self) -> Averages:
        return Averages(self.counts.precision, self.counts.recall, self.counts.f1)

    @property
    def class_error_rate(self) -> NDArray[np.float64]:
        """Deletions and insertions relative to active segments; NaN for a class without any."""
        errors = self.counts.false_positives + self.counts.false_negatives
        pairs = zip(errors, self.counts.positives, strict=True)
        return np.array([_rate(int(e), int(n)) for e, n in pairs])

    def as_json(self) -> dict[str, Any]:
        positives = int(self.counts.positives.sum())
        names = ("substitutions", "deletions", "insertions")
        rates = {name: _rate(getattr(self, name), positives) for name in names}
        return {
            "overall": vars(self.overall) | {"error_rate": self.error_rate} | rates,
            "coverage": self.coverage.as_json(),
            "classes": self._classes(),
        }

    def _classes(self) -> dict[str, dict[str, float]]:
        c = self.counts
        columns = (self.class_error_rate, c.class_f1, c.positives, c.predicted)
        return {
            label: {
                "error_rate": float(er),
                "f1": float(f1),
                "active": int(active),
                "predicted": int(predicted),
            }
            for label, er, f1, active, predicted in zip(self.labels, *columns, strict=True)
        }


def score_events(
    truth: Events, predicted: Events, labels: Sequence[str], segment: float = SEGMENT_SECONDS
) -> EventScores:
    """Every clip of the truth counts, up to the end of its last event, true or predicted."""
    coverage = coverage_of(truth, predicted)
    pairs = [
        _rolls(events, predicted.get(name, ()), labels, segment) for name, events in truth.items()
    ]
    real = np.concatenate([roll for roll, _ in pairs])
    said = np.concatenate([roll for _, roll in pairs])
    missed, false = (real & ~said).sum(1), (said & ~real).sum(1)
    substitutions = np.minimum(missed, false)
    return EventScores(
        tuple(labels),
        Counts.of(said, real),
        substitutions=int(substitutions.sum()),
        deletions=int((missed - substitutions).sum()),
        insertions=int((false - substitutions).sum()),
        coverage=coverage,
    )


def _rolls(
    truth: Sequence[SoundEvent],
    predicted: Sequence[SoundEvent],
    labels: Sequence[str],
    segment: float,
) -> tuple[Roll, Roll]:
    last = max((event.end for event in (*truth, *predicted)), default=0.0)
    length = math.ceil(last / segment)
    return _roll(truth, labels, length, segment), _roll(predicted, labels, length, segment)


def _roll(events: Iterable[SoundEvent], labels: Sequence[str], length: int, segment: float) -> Roll:
    """A class is active in every segment that one of its events touches."""
    column = {label: k for k, label in enumerate(labels)}
    roll = np.zeros((length, len(labels)), dtype=np.bool_)
    for event in events:
        first, end = math.floor(event.start / segment), math.ceil(event.end / segment)
        roll[first:end, column[event.label]] = True
    return roll


def _rate(above: int, below: int) -> float:
    return above / below if below else math.nan

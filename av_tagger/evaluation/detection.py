"""Subtask B: when the sounds happen, in segments of one second: error rate (substitutions, deletions, insertions) and F1."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.dcase import SoundEvent
from av_tagger.evaluation.tagging import Averages, Coverage, coverage_of
from av_tagger.fusion.counts import Counts

SEGMENT_SECONDS = 1.0

Events = Mapping[str, Sequence[SoundEvent]]
Roll = NDArray[np.bool_]


@dataclass(frozen=True)
class EventScores:
    """Segment-based scores; rates are relative to the active (segment, class) pairs of the truth."""

    labels: tuple[str, ...]
    counts: Counts  # of (segment, class) pairs
    substitutions: int
    deletions: int
    insertions: int
    coverage: Coverage

    @property
    def error_rate(self) -> float:
        return _rate(
            self.substitutions + self.deletions + self.insertions, int(self.counts.positives.sum())
        )

    @property
    def overall(self) -> Averages:
        return Averages(self.counts.precision, self.counts.recall, self.counts.f1)

    @property
    def class_error_rate(self) -> NDArray[np.float64]:
        """Deletions and insertions of a class over its active segments; NaN for a class that is never active."""
        errors = self.counts.positives + self.counts.predicted - 2 * self.counts.right
        return np.array(
            [_rate(int(e), int(n)) for e, n in zip(errors, self.counts.positives, strict=True)]
        )

    def as_json(self) -> dict[str, Any]:
        positives = int(self.counts.positives.sum())
        parts = {
            "substitutions": self.substitutions,
            "deletions": self.deletions,
            "insertions": self.insertions,
        }
        rows = zip(
            self.labels,
            self.class_error_rate,
            self.counts.class_f1,
            self.counts.positives,
            self.counts.predicted,
            strict=True,
        )
        return {
            "overall": vars(self.overall)
            | {"error_rate": self.error_rate}
            | {name: _rate(n, positives) for name, n in parts.items()},
            "coverage": vars(self.coverage) | {"share": self.coverage.share},
            "classes": {
                label: {
                    "error_rate": float(er),
                    "f1": float(f1),
                    "active": int(n),
                    "predicted": int(p),
                }
                for label, er, f1, n, p in rows
            },
        }


def score_events(
    truth: Events, said: Events, labels: Sequence[str], segment: float = SEGMENT_SECONDS
) -> EventScores:
    """Every clip of the truth counts, as long as the last event in it, true or predicted."""
    coverage = coverage_of(truth, said)
    pairs = [_rolls(events, said.get(name, ()), labels, segment) for name, events in truth.items()]
    real = np.concatenate([roll for roll, _ in pairs])
    told = np.concatenate([roll for _, roll in pairs])
    n_real, n_told, n_both = real.sum(1), told.sum(1), (real & told).sum(1)
    return EventScores(
        tuple(labels),
        Counts.of(told, real),
        substitutions=int((np.minimum(n_real, n_told) - n_both).sum()),
        deletions=int(np.maximum(0, n_real - n_told).sum()),
        insertions=int(np.maximum(0, n_told - n_real).sum()),
        coverage=coverage,
    )


def _rolls(
    truth: Sequence[SoundEvent], said: Sequence[SoundEvent], labels: Sequence[str], segment: float
) -> tuple[Roll, Roll]:
    last = max((event.end for event in (*truth, *said)), default=0.0)
    length = math.ceil(last / segment)
    return _roll(truth, labels, length, segment), _roll(said, labels, length, segment)


def _roll(events: Iterable[SoundEvent], labels: Sequence[str], length: int, segment: float) -> Roll:
    """(segments, classes): a segment is active when an event touches it."""
    place = {label: k for k, label in enumerate(labels)}
    roll = np.zeros((length, len(labels)), dtype=np.bool_)
    for event in events:
        roll[
            math.floor(event.start / segment) : math.ceil(event.end / segment), place[event.label]
        ] = True
    return roll


def _rate(above: int, below: int) -> float:
    return above / below if below else math.nan

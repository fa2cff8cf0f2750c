"""Scores of windows brought together: the same classes in one order, one timeline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from av_tagger.scores import Activity, Scores

Table = NDArray[np.float64]


def align(scores: Scores, labels: tuple[str, ...]) -> Scores:
    """The same scores for other classes in another order; NaN for unknown classes."""
    if scores.labels == labels:
        return scores
    position = {label: k for k, label in enumerate(scores.labels)}
    columns = np.array([position.get(label, -1) for label in labels])
    probabilities = np.where(columns >= 0, scores.probabilities[columns], np.nan)
    activity = scores.activity
    if activity is not None:
        values = np.where(columns >= 0, activity.values[:, columns], np.float32(np.nan)).astype(
            np.float32
        )
        activity = replace(activity, values=values)
    return replace(scores, labels=labels, probabilities=probabilities, activity=activity)


def stitch(
    pieces: Sequence[Activity | None], spans: Sequence[tuple[float, float]]
) -> Activity | None:
    """One timeline from overlapping windows, cut in the middle of each overlap; NaN where none."""
    known = next((p for p in pieces if p is not None), None)
    if known is None:
        return None
    if len(pieces) == 1:
        return known
    start, rate = spans[0][0], known.rate
    cuts = [
        start,
        *((spans[i][1] + spans[i + 1][0]) / 2 for i in range(len(spans) - 1)),
        spans[-1][1],
    ]
    values = np.full(
        (round((cuts[-1] - start) * rate), known.values.shape[1]), np.nan, dtype=np.float32
    )
    for piece, begin, end in zip(pieces, cuts, cuts[1:], strict=False):
        if piece is not None:
            _lay(values, piece, (begin, end), start)
    return Activity(values, rate, start)


def _lay(
    values: NDArray[np.float32], piece: Activity, span: tuple[float, float], start: float
) -> None:
    rate = piece.rate
    first, last = round((span[0] - start) * rate), min(round((span[1] - start) * rate), len(values))
    offset = round((piece.start_seconds - start) * rate)
    rows = piece.values[max(first - offset, 0) : max(last - offset, 0)]
    first = max(first, offset)
    values[first : first + len(rows)] = rows


def best_windows(fused: Table, thresholds: Table) -> list[int]:
    """Per class the window with the largest margin over its threshold; the first of equal ones."""
    margins = fused - thresholds  # (windows, classes)
    best: list[int] = np.where(np.isnan(margins), -np.inf, margins).argmax(axis=0).tolist()
    return best


def of_windows(best: Sequence[int], table: Table) -> list[float | None]:
    """Each class from its own window of a table (windows, classes); None for NaN."""
    values = table[best, np.arange(len(best))].tolist()
    return [None if math.isnan(value) else value for value in values]

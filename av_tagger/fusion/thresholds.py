"""Class thresholds for the best micro-average F: the two-step procedure of AV §3.3, and the exact
optimum.

A class's scores, sorted, give a curve: with the p highest predicted, t of them are right. For given
t the fewest predictions are best whatever the other classes do, so only the cuts just below a
positive can be optimal: `Cuts` keeps those and loses nothing. Micro-F_beta = (1 + beta²) sum t /
(sum p + beta² sum T) is a ratio of sums over classes. For a fixed value F of it, the best choice
maximises (1 + beta²) t - F p in every class on its own; raising F to what that choice reaches
(Dinkelbach) ends at the exact maximum.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from av_tagger.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EVERYTHING = 0.0  # every clip with an opinion
NOTHING = 1.01  # above every probability
F1 = Fraction(1)
OPERATING_POINTS = {
    "precision": Fraction(1, 4),
    "f1": F1,
    "recall": Fraction(4),
}  # beta²: F0.5, F1, F2


@dataclass(frozen=True)
class CandidateCuts:
    """The cuts of one class that can be optimal, from `nothing` to the one that finds every
    positive.
    """

    right: Ints  # t: positives among the predicted, rising from 0
    predicted: Ints  # p
    low: Floats  # the threshold lies in (low, high]
    high: Floats
    positives: int
    weight: Floats | None = (
        None  # the ear's weight under which the cut exists, when weights are searched, too
    )


@dataclass(frozen=True)
class Tuned:
    """A threshold for every class, and what they come to on the data that they were tuned on."""

    thresholds: Floats
    chosen: Ints  # the cut of each class
    right: int
    predicted: int
    positives: int
    start: float  # micro-F before the search

    def score(self, beta2: Fraction = F1) -> float:
        return f_score(self.right, self.predicted, self.positives, beta2)


def f_score(right: int, predicted: int, positives: int, beta2: Fraction = F1) -> float:
    """F_beta from counts; 0 where there is nothing to find and nothing was found."""
    below = predicted + beta2 * positives
    return float((1 + beta2) * right / below) if below else 0.0


def checked(scores: ArrayLike, truth: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Scores (clips, classes) in [0, 1] or NaN and truth of the same shape, or an error."""
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(truth)
    if s.ndim != 2 or s.shape != y.shape:
        raise UsageError(f"scores and truth are both clips x classes; got {s.shape} and {y.shape}")
    if y.dtype != np.bool_ and not np.isin(y, (0, 1)).all():
        raise UsageError("truth is 0 or 1 for every clip and class")
    if s.size and bool(((s < 0) | (s > 1)).any()):
        worst = float(s[(s < 0) | (s > 1)][0])
        raise UsageError(f"a probability is {worst:g}; all must lie between 0 and 1")
    return s, y.astype(np.bool_)


def cuts_of(scores: Floats, truth: NDArray[np.bool_]) -> CandidateCuts:
    """The cuts of one class; clips without an opinion (NaN) take no part."""
    has = np.isfinite(scores)
    everyone = np.sort(scores[has])
    values, counts = np.unique(scores[has & truth], return_counts=True)
    values, found = values[::-1], np.cumsum(counts[::-1])
    place = np.searchsorted(everyone, values)
    below = (
        np.where(place > 0, everyone[np.maximum(place - 1, 0)], -np.inf)
        if len(everyone)
        else values
    )
    top = everyone[-1] if len(everyone) else 0.0
    return CandidateCuts(
        right=np.concatenate(([0], found)).astype(np.int64),
        predicted=np.concatenate(([0], len(everyone) - place)).astype(np.int64),
        low=np.concatenate(([top], below)),
        high=np.concatenate(([np.inf], values)),
        positives=int(found[-1]) if len(found) else 0,
    )


def all_cuts(scores: ArrayLike, truth: ArrayLike) -> list[CandidateCuts]:
    """One a class."""
    s, y = checked(scores, truth)
    by_class = zip(
        np.ascontiguousarray(s.T), np.ascontiguousarray(y.T), strict=True
    )  # columns side by side in memory: a third faster
    return [cuts_of(*column) for column in by_class]


def two_step(cuts: Sequence[CandidateCuts], seed: int = 0, start: Ints | None = None) -> Tuned:
    """AV §3.3: (1) the best F1 of each class, (2) random classes re-tuned for micro-F1 until none
    improves.
    """
    chosen = (
        np.array([_best_alone(cut) for cut in cuts], dtype=np.int64)
        if start is None
        else start.copy()
    )
    right, predicted, positives = _totals(cuts, chosen)
    before = f_score(right, predicted, positives)
    rng = np.random.default_rng(seed)
    waiting = list(range(len(cuts)))  # classes that could still improve
    while waiting:
        k = waiting.pop(int(rng.integers(len(waiting))))
        cut, now = cuts[k], chosen[k]
        others = (right - int(cut.right[now]), predicted - int(cut.predicted[now]))
        best = _best_among(cut, *others, positives)
        t, p = others[0] + int(cut.right[best]), others[1] + int(cut.predicted[best])
        if t * (predicted + positives) > right * (
            p + positives
        ):  # strictly better, in exact integers
            chosen[k], right, predicted = best, t, p
            waiting = [c for c in range(len(cuts)) if c != k]
    return Tuned(_thresholds(cuts, chosen), chosen, right, predicted, positives, before)


def exact(cuts: Sequence[CandidateCuts], beta2: Fraction = F1) -> Tuned:
    """The highest micro-F_beta that any thresholds reach, by Dinkelbach's iteration in exact
    integers.
    """
    n, d = beta2.numerator, beta2.denominator
    right = np.concatenate([cut.right for cut in cuts])
    predicted = np.concatenate([cut.predicted for cut in cuts])
    first = np.cumsum([0] + [len(cut.right) for cut in cuts[:-1]])
    positives = sum(cut.positives for cut in cuts)
    above, below = 0, max(1, n * positives)  # F = above / below, from `nothing` upwards
    chosen = np.zeros(len(cuts), dtype=np.int64)
    while True:
        gain = (d + n) * right * below - above * d * predicted
        best = _argmax_each(gain, first)
        if int(gain[first + best].sum()) <= above * n * positives:
            break
        chosen = best
        t, p = int(right[first + best].sum()), int(predicted[first + best].sum())
        above, below = (d + n) * t, d * p + n * positives
    t, p, _ = _totals(cuts, chosen)
    return Tuned(_thresholds(cuts, chosen), chosen, t, p, positives, 0.0)


def best_alone(cuts: Sequence[CandidateCuts]) -> Floats:
    """The best F1 of each class by itself; 0 for a class without positives."""
    picked = [(cut, _best_alone(cut)) for cut in cuts]
    return np.array(
        [f_score(int(cut.right[i]), int(cut.predicted[i]), cut.positives) for cut, i in picked]
    )


def counts_at(
    scores: Floats, truth: NDArray[np.bool_], thresholds: Floats
) -> tuple[Ints, Ints, Ints]:
    """Right, predicted and positive clips of every class; NaN is never predicted."""
    said = scores >= thresholds
    return (said & truth).sum(0), said.sum(0), truth.sum(0)


def simplest_between(low: float, high: float) -> float:
    """A short decimal in (low, high], so that a file of thresholds can be read: the middle, with as
    few digits as fit.
    """
    if not np.isfinite(high):
        return NOTHING
    low = low if np.isfinite(low) else EVERYTHING
    if high <= low:
        return high
    middle = low + (high - low) / 2
    for digits in range(2, 16):
        short = round(middle, digits)
        if low < short <= high:
            return short
    return high


def _best_alone(cut: CandidateCuts) -> int:
    f1 = 2 * cut.right / np.maximum(cut.predicted + cut.positives, 1)
    return int(np.argmax(f1))


def _best_among(cut: CandidateCuts, right: int, predicted: int, positives: int) -> int:
    f1 = 2 * (right + cut.right) / np.maximum(predicted + cut.predicted + positives, 1)
    return int(np.argmax(f1))


def _totals(cuts: Sequence[CandidateCuts], chosen: Ints) -> tuple[int, int, int]:
    right = sum(int(cut.right[i]) for cut, i in zip(cuts, chosen, strict=True))
    predicted = sum(int(cut.predicted[i]) for cut, i in zip(cuts, chosen, strict=True))
    return right, predicted, sum(cut.positives for cut in cuts)


def _argmax_each(values: Ints, first: Ints) -> Ints:
    """The index of the first maximum in each run of `values`, from the run's start."""
    best = np.maximum.reduceat(values, first)
    runs = np.diff(np.append(first, len(values)))
    places = np.flatnonzero(values == np.repeat(best, runs))
    owner = np.searchsorted(first, places, side="right") - 1
    _, earliest = np.unique(owner, return_index=True)
    result: Ints = places[earliest] - first
    return result


def _thresholds(cuts: Sequence[CandidateCuts], chosen: Ints) -> Floats:
    return np.array(
        [
            simplest_between(float(cut.low[i]), float(cut.high[i]))
            for cut, i in zip(cuts, chosen, strict=True)
        ]
    )

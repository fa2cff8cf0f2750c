"""Thresholds of one class that hold a precision, a recall or a false-alarm rate on new clips.

The assumption: clips are independent draws from the distribution that the new clips come from.

- Precision: Learn-then-Test (Angelopoulos et al. 2021) with split fixed-sequence testing. The
  thresholds are ordered on clips that take no further part, then tested in this order on the others
  with the exact binomial test of "precision is below the target", until one test fails. With the
  stated confidence, no threshold that passed has a lower precision.
- Recall: an exact order-statistic bound. Recall falls as the threshold rises, so the number of
  positives that may be missed follows from the binomial distribution alone.
- Alarms per hour: the exact Poisson bound on the count of false tags, which is conservative for
  independent clips with at most one false tag each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from av_tagger.errors import UsageError
from av_tagger.fusion.thresholds import EVERYTHING, NOTHING, simplest_between

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PRECISION, RECALL, ALARMS = "precision", "recall", "alarms-per-hour"
GOALS = (PRECISION, RECALL, ALARMS)
MOST_TESTS = 100  # thresholds of a class that are ordered and tested


@dataclass(frozen=True)
class Goal:
    """What must hold, and with which confidence per class."""

    kind: str  # one of GOALS
    value: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.kind not in GOALS:
            raise ValueError(f"{self.kind = }, expected one of {GOALS}")
        if not 0 < self.confidence < 1:
            raise UsageError(
                f"--confidence is {self.confidence:g}; it lies between 0 and 1, such as 0.95"
            )
        if self.kind == ALARMS and not 0 < self.value < math.inf:
            raise UsageError(f"--alarms-per-hour is {self.value:g}; give a number above 0")
        if self.kind != ALARMS and not 0 < self.value < 1:
            raise UsageError(
                f"--{self.kind} is {self.value:g}; it lies between 0 and 1, such as 0.9"
            )

    @property
    def delta(self) -> float:
        """The accepted probability that the guarantee of a class does not hold."""
        return 1.0 - self.confidence

    @property
    def fewest(self) -> int:
        """Clips (tagged, or positive) without which no test can pass, even without an error."""
        return math.ceil(math.log(self.delta) / math.log(self.value))


@dataclass(frozen=True)
class ClassClips:
    """The clips of one class that a threshold is chosen with."""

    scores: Floats  # (clips,) NaN: no score, never tagged
    truth: Bools
    hours: Floats  # (clips,) length of each clip

    def of(self, which: Bools) -> ClassClips:
        return ClassClips(self.scores[which], self.truth[which], self.hours[which])


@dataclass(frozen=True)
class Guarantee:
    """A threshold and what is known of it; `holds` is False where the data are too few."""

    threshold: float
    holds: bool
    bound: float  # confidence bound at this threshold, or the best that was reached
    missing: int = 0  # at least so many more clips with the class (or hours) are needed

    @classmethod
    def failed(cls, bound: float, missing: int) -> Guarantee:
        return cls(NOTHING, False, bound, missing)


def guarantee(goal: Goal, order: ClassClips, test: ClassClips) -> Guarantee:
    """The lowest (recall: highest) threshold that holds the goal on `test`.

    `order` holds other clips; only the goal `precision` uses them.
    """
    if goal.kind == PRECISION:
        return _precise(goal, order, test)
    return _recalling(goal, test) if goal.kind == RECALL else _quiet(goal, test)


def lower_bound(right: ArrayLike, tagged: ArrayLike, delta: float) -> Floats:
    """Clopper-Pearson: the true share is above this with confidence 1 - delta."""
    from scipy.special import betaincinv

    r, n = np.asarray(right, np.float64), np.asarray(tagged, np.float64)
    bound: Floats = np.where(r > 0, betaincinv(np.maximum(r, 1), n - r + 1, delta), 0.0)
    return bound


def rate_bound(events: ArrayLike, hours: float, delta: float) -> Floats:
    """Exact Poisson bound: the true rate per hour is below this with confidence 1 - delta."""
    from scipy.special import gammaincinv

    k = np.asarray(events, np.float64)
    bound: Floats = gammaincinv(k + 1, 1.0 - delta) / hours if hours else k + math.inf
    return bound


def _precise(goal: Goal, order: ClassClips, test: ClassClips) -> Guarantee:
    best, lowest = 0.0, None
    for threshold in _ordered(goal, order, test):
        right, tagged = _counts(test, threshold)
        bound = float(lower_bound(right, tagged, goal.delta))
        best = max(best, bound)
        if bound < goal.value:
            break
        if lowest is None or threshold < lowest[0]:
            lowest = threshold, bound
    if lowest is None:
        positives = int((test.truth & np.isfinite(test.scores)).sum())
        return Guarantee.failed(best, max(0, goal.fewest - positives))
    return Guarantee(lowest[0], True, lowest[1])


def _ordered(goal: Goal, order: ClassClips, test: ClassClips) -> list[float]:
    """Thresholds, the most promising first. Nothing of `test` is looked at but its size."""
    has = np.isfinite(order.scores)
    everyone, found = np.sort(order.scores[has]), np.sort(order.scores[has & order.truth])
    values = np.unique(found)
    if len(values) > MOST_TESTS:
        values = values[np.linspace(0, len(values) - 1, MOST_TESTS).round().astype(int)]
    place = np.searchsorted(everyone, values)
    scale = len(test.scores) / max(1, len(order.scores))
    tagged = np.round(scale * (len(everyone) - place))
    right = np.round(scale * (len(found) - np.searchsorted(found, values)))
    promise = lower_bound(right, tagged, goal.delta)
    low = np.where(place > 0, everyone[np.maximum(place - 1, 0)], -np.inf)
    return [
        simplest_between(float(low[i]), float(values[i])) for i in np.lexsort((values, -promise))
    ]


def _recalling(goal: Goal, test: ClassClips) -> Guarantee:
    """At most `missed` positives lie below the threshold, as many as the binomial test allows."""
    from scipy.special import bdtr

    scores = np.sort(np.nan_to_num(test.scores[test.truth], nan=-1.0))
    count = len(scores)
    allowed = np.flatnonzero(bdtr(np.arange(count), count, 1 - goal.value) <= goal.delta)
    if not len(allowed):
        bound = float(lower_bound(count, count, goal.delta))
        return Guarantee.failed(bound, max(1, goal.fewest - count))
    missed = int(allowed[-1])
    highest = float(scores[missed])  # tagged from here up
    if highest < 0:  # so many positives have no score at all
        bound = float(lower_bound((scores >= 0).sum(), count, goal.delta))
        return Guarantee.failed(bound, 0)
    low = float(scores[missed - 1]) if missed else EVERYTHING
    threshold = simplest_between(max(low, EVERYTHING), highest) if highest > 0 else EVERYTHING
    return Guarantee(threshold, True, float(lower_bound(count - missed, count, goal.delta)))


def _quiet(goal: Goal, test: ClassClips) -> Guarantee:
    """The lowest threshold whose count of false tags is within the Poisson bound."""
    hours = float(test.hours.sum())
    false = np.sort(test.scores[np.isfinite(test.scores) & ~test.truth])[::-1]
    bounds = rate_bound(np.arange(len(false) + 1), hours, goal.delta)
    allowed = int(np.searchsorted(bounds, goal.value, side="right")) - 1  # bounds rise
    if allowed < 0:
        needed = float(rate_bound(0, 1.0, goal.delta)) / goal.value
        return Guarantee.failed(float(bounds[0]), math.ceil(needed - hours))
    if allowed == len(false):
        return Guarantee(EVERYTHING, True, float(bounds[allowed]))
    highest = float(false[allowed])  # this clip must stay below the threshold
    clear = false[false > highest]
    above = float(clear[-1]) if len(clear) else min(1.0, highest + (1 - highest) / 2)
    threshold = NOTHING if highest >= 1 else simplest_between(highest, above)
    return Guarantee(threshold, True, float(bounds[len(clear)]))


def _counts(clips: ClassClips, threshold: float) -> tuple[int, int]:
    """Right and tagged clips."""
    said = clips.scores >= threshold
    return int((said & clips.truth).sum()), int(said.sum())

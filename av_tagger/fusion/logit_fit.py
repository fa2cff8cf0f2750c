"""Fitting a logit fusion by likelihood, within limits: a common gain, and one for each class."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from av_tagger.fusion.logit import logit, rivals
from av_tagger.fusion.thresholds import Floats

MOST = 4.0  # log-odds: an ear that says 1 % ends below 36 % whatever is seen
STEP = 0.25
EXPECTED, SPREAD = 3.0, 2.0  # of gain and against, before any clip was looked at
CLASS_SPREAD = 0.7  # of the gains of classes about the common one
ROUNDS = 8


@dataclass(frozen=True)
class Shift:
    """What looking may do to the log-odds, the same for all classes."""

    gain: float
    against: float


@dataclass(frozen=True)
class Expected:
    """A normal prior."""

    shift: Shift
    spread: float


BEFORE = Expected(Shift(EXPECTED, EXPECTED), SPREAD)


def fit_shift(
    heard: Floats,
    seen: Floats,
    truth: NDArray[np.bool_] | Floats,
    family: tuple[str, ...],
    most: float = MOST,
) -> Shift:
    """The most probable gain and against, each from 0 to `most`, given (clips, classes) scores.

    One number for all classes: development clips hold few positives per class. A normal prior
    stands in where there are almost none. Unknown pairs (NaN in heard or truth) count for nothing.
    """
    evidence = np.nan_to_num(seen)
    surpassed = rivals(evidence, family)
    use = np.isfinite(heard) & np.isfinite(truth) & ((evidence > 0) | (surpassed > 0))
    pairs = Pairs(logit(heard[use]), evidence[use], surpassed[use], truth[use] > 0)
    steps = np.arange(0.0, most + STEP / 2, STEP)
    found = [Shift(min(EXPECTED, most), min(EXPECTED, most))]
    for _ in range(ROUNDS):  # convex in both: coordinate by coordinate ends at the minimum
        last = found[-1]
        gain = steps[np.argmin([pairs.loss(Shift(g, last.against)) for g in steps])]
        against = steps[np.argmin([pairs.loss(Shift(gain, a)) for a in steps])]
        found.append(Shift(float(gain), float(against)))
        if any(a == b for a, b in pairwise(found[-2:])):
            break
    return found[-1]


def fit_gains(
    heard: Floats,
    seen: Floats,
    truth: NDArray[np.bool_] | Floats,
    shift: Shift,
    most: float = MOST,
) -> Floats:
    """(classes,) a gain for each class, drawn to the common one: the more, the fewer its clips."""
    evidence = np.nan_to_num(seen)
    use = np.isfinite(heard) & np.isfinite(truth) & (evidence > 0)
    steps = np.arange(0.0, most + STEP / 2, STEP)
    gains = np.full(heard.shape[1], shift.gain)
    for k, mine in enumerate(use.T):
        x, e = logit(heard[mine, k]), evidence[mine, k]
        pairs = Pairs(x, e, np.zeros_like(e), truth[mine, k] > 0)
        common = Expected(Shift(shift.gain, 0.0), CLASS_SPREAD)
        gains[k] = steps[np.argmin([pairs.loss(Shift(g, 0.0), common) for g in steps])]
    return gains


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a clip and a class on which the eye has something to say."""

    heard: Floats  # log-odds
    evidence: Floats
    surpassed: Floats
    truth: NDArray[np.bool_]

    def loss(self, shift: Shift, expected: Expected = BEFORE) -> float:
        """Cross-entropy in nats, and how far the shift is from what is expected of it."""
        x = self.heard + shift.gain * self.evidence - shift.against * self.surpassed
        mean = expected.shift
        far = (shift.gain - mean.gain) ** 2 + (shift.against - mean.against) ** 2
        prior = far / (2 * expected.spread**2)
        return float((np.logaddexp(0.0, x) - self.truth * x).sum() + prior)

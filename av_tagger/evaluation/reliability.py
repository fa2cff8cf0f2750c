"""Calibration: reliability diagrams, expected calibration error, and log loss of probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from av_tagger.evaluation.guarantees import lower_bound
from av_tagger.metrics import mean_of_defined

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BINS = 10
CLAIMED = 0.1  # most pairs score near 0 and are right; above this a score says something
LEAST = 1e-6  # probabilities are kept this far from 0 and 1 for the log loss
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Bin:
    """(clip, class) pairs with scores in one tenth of the range."""

    low: float
    high: float
    pairs: int
    score: float  # mean
    share: float  # of pairs that are positive
    bounds: tuple[float, float]  # exact 95 % interval of the share


@dataclass(frozen=True)
class Reliability:
    """How well scores agree with the shares of positives. Errors: 0 is best.

    `ece` is dominated by the many pairs near 0; `ece_claimed` is over pairs of 0.1 or more.
    """

    bins: tuple[Bin, ...]
    pairs: int
    ece: float
    ece_claimed: float  # NaN if no score is that high
    class_ece: float  # mean over classes with a positive
    log_loss: float
    constant_log_loss: float  # of the share of positives of each class, as a score for all clips

    @property
    def informative(self) -> bool:
        """Whether the scores say more than how often each class occurs."""
        return self.log_loss < self.constant_log_loss

    def as_json(self) -> dict[str, Any]:
        return vars(self) | {"bins": [vars(b) for b in self.bins], "informative": self.informative}

    def lines(self, branch: str) -> list[str]:
        than = "below" if self.informative else "NOT below"
        claimed = "none" if math.isnan(self.ece_claimed) else f"{self.ece_claimed:.3f}"
        return [
            f"{branch}: calibration error {self.ece:.3f} (scores of 0.1 or more: {claimed})",
            f"  log loss {self.log_loss:.3f}, {than} {self.constant_log_loss:.3f} without skill",
        ]


def reliability(scores: ArrayLike, truth: ArrayLike) -> Reliability | None:
    """Scores and truth (clips, classes); unscored and unknown pairs (NaN) are left out."""
    s, y = np.asarray(scores, np.float64), np.asarray(truth, np.float64)
    known = np.isfinite(s) & np.isfinite(y)
    if not known.any():
        return None
    shares = np.array([_mean(y[rows, k]) for k, rows in enumerate(known.T)])
    constant = np.broadcast_to(shares, y.shape)
    by_class = [
        ece(s[rows, k], y[rows, k]) if y[rows, k].any() else math.nan
        for k, rows in enumerate(known.T)
    ]
    claimed = known & (np.nan_to_num(s) >= CLAIMED)
    return Reliability(
        tuple(_bins(s[known], y[known])),
        int(known.sum()),
        ece(s[known], y[known]),
        ece(s[claimed], y[claimed]),
        mean_of_defined(by_class),
        log_loss(s[known], y[known]),
        log_loss(constant[known], y[known]),
    )


def ece(scores: Floats, truth: Floats) -> float:
    """Expected calibration error over ten bins of equal width; NaN without pairs."""
    bins = list(_bins(scores, truth))
    total = sum(b.pairs for b in bins)
    if not total:
        return math.nan
    return sum(b.pairs * abs(b.score - b.share) for b in bins) / total


def log_loss(scores: Floats, truth: Floats) -> float:
    """Mean over pairs, in nats."""
    p = np.clip(scores, LEAST, 1 - LEAST)
    return float(-(truth * np.log(p) + (1 - truth) * np.log1p(-p)).mean())


def diagram(found: Reliability) -> list[str]:
    """The reliability diagram as text: one line per bin."""
    lines = ["   scores     pairs  mean  positive  95 % interval"]
    for b in found.bins:
        bar = _BARS[min(7, int(8 * b.share))]
        low, high = b.bounds
        lines.append(
            f"{b.low:.1f} to {b.high:.1f} {b.pairs:8d}  {b.score:.2f}      {b.share:.2f}"
            f"  [{low:.2f}, {high:.2f}] {bar}"
        )
    return lines


def _bins(scores: Floats, truth: Floats) -> list[Bin]:
    """Bins that hold pairs."""
    place = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    return [
        _bin(b, scores[place == b], truth[place == b]) for b in range(BINS) if (place == b).any()
    ]


def _bin(b: int, scores: Floats, truth: Floats) -> Bin:
    count, right = len(scores), int(truth.sum())
    low = float(lower_bound(right, count, 0.025))
    high = 1.0 - float(lower_bound(count - right, count, 0.025))
    return Bin(b / BINS, (b + 1) / BINS, count, _mean(scores), _mean(truth), (low, high))


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan

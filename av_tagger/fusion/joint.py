"""Fusion weight and threshold of every class found together, for the best micro-average F.

For a fixed F the classes decouple (see `thresholds`), so the search over weights needs no joint
grid: each class keeps, for every number of positives found, the fewest predictions that any weight
allows, and the exact search runs over what is left. It is exact over the weights that are looked
at. Those are all that matter where a class has few pairs of a positive and a negative clip (the
order of two clips changes at one weight only: between two such weights nothing changes), else an
even grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from av_tagger.fusion.thresholds import F1, CandidateCuts, Floats, Tuned, checked, cuts_of, exact

if TYPE_CHECKING:
    from fractions import Fraction

GRID_STEPS = 20  # weights 0, 0.05 ... 1
MOST_SWAPS = 400  # pairs up to which every order of the clips is tried

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Steadiness:
    """How far from the best a weight may be, in roots of the class's positives, and which weights
    there are.
    """

    slack: float
    beta2: Fraction = F1
    steps: int = GRID_STEPS


def weigh(heard: Floats, seen: Floats, weights: Floats | float) -> Floats:
    """p = a heard + (1 - a) seen (AV §2.3); where one has no opinion, the other decides."""
    mixed = weights * heard + (1.0 - weights) * seen
    alone: Floats = np.where(np.isfinite(heard), heard, seen)
    fused: Floats = np.where(np.isfinite(heard) & np.isfinite(seen), mixed, alone)
    return fused


def joint(
    heard: ArrayLike,
    seen: ArrayLike,
    truth: ArrayLike,
    beta2: Fraction = F1,
    steps: int = GRID_STEPS,
) -> tuple[Floats, Tuned]:
    """The ear's weight of every class and the thresholds; clips without both scores for a class are
    left out of it.
    """
    h, y = checked(heard, truth)
    s, _ = checked(seen, truth)
    cuts = [weighted_cuts(h[:, k], s[:, k], y[:, k], steps) for k in range(h.shape[1])]
    tuned = exact(cuts, beta2)
    chosen = [
        cut.weight[i] for cut, i in zip(cuts, tuned.chosen, strict=True) if cut.weight is not None
    ]
    return np.array(chosen), tuned


def weighted_cuts(
    heard: Floats, seen: Floats, truth: Bools, steps: int = GRID_STEPS
) -> CandidateCuts:
    """The cuts of one class over all its weights: for each number of positives found, the fewest
    predictions.
    """
    both = np.isfinite(heard) & np.isfinite(seen)
    h, s, y = heard[both], seen[both], truth[both]
    weights = candidate_weights(h, s, y, steps)
    positives = int(y.sum())
    fewest = np.full(positives + 1, np.iinfo(np.int64).max)
    kept = np.zeros((3, positives + 1))  # low, high, weight
    for a in weights:  # from even-handed to one-sided: of equals the first stays
        cut = cuts_of(weigh(h, s, a), y)
        better = cut.predicted < fewest[cut.right]
        at = cut.right[better]
        fewest[at] = cut.predicted[better]
        kept[:, at] = cut.low[better], cut.high[better], np.full(len(at), a)
    reached = np.flatnonzero(fewest < np.iinfo(np.int64).max)
    return CandidateCuts(
        reached, fewest[reached], kept[0, reached], kept[1, reached], positives, kept[2, reached]
    )


def steady(heard: Floats, seen: Floats, truth: Bools, f: float, settings: Steadiness) -> Floats:
    """For every class, of the weights that are as good as the best one at micro-F = f but for
    chance, the one that ranks best.

    The best weight on some hundred clips is in part luck: a useless branch gets a share when it
    happens to lift one clip over the threshold. What a weight is worth to its class, (1 + beta²) t
    - f p, is uncertain by about the root of the positives; within `slack` of that the average
    precision decides, which looks at all clips and not at one cut.
    """
    return np.array(
        [
            _steady_one(heard[:, k], seen[:, k], truth[:, k], f, settings)
            for k in range(truth.shape[1])
        ]
    )


def candidate_weights(heard: Floats, seen: Floats, truth: Bools, steps: int = GRID_STEPS) -> Floats:
    """Weights to try, the even-handed first: one between any two swaps when there are few, with the
    grid in any case.
    """
    grid = np.linspace(0.0, 1.0, steps + 1)
    if 0 < truth.sum() * (~truth).sum() <= MOST_SWAPS:
        grid = np.union1d(grid, _between_swaps(heard, seen, truth))
    order = np.lexsort((grid, np.abs(grid - 0.5)))
    return grid[order]


def _between_swaps(heard: Floats, seen: Floats, truth: Bools) -> Floats:
    """One weight in each part of [0, 1] in which no positive swaps with a negative."""
    by_ear = heard[truth][:, None] - heard[~truth][None, :]
    by_eye = seen[truth][:, None] - seen[~truth][None, :]
    slope = by_ear - by_eye  # positive minus negative = a slope + by_eye
    with np.errstate(divide="ignore", invalid="ignore"):
        swaps = -by_eye / slope
    inside = np.unique(swaps[(swaps > 0) & (swaps < 1)])  # NaN compares false
    edges = np.concatenate(([0.0], inside, [1.0]))
    return (edges[:-1] + edges[1:]) / 2


def _steady_one(heard: Floats, seen: Floats, truth: Bools, f: float, settings: Steadiness) -> float:
    both = np.isfinite(heard) & np.isfinite(seen)
    h, s, y = heard[both], seen[both], truth[both]
    weights = candidate_weights(h, s, y, settings.steps)
    cuts = [cuts_of(weigh(h, s, a), y) for a in weights]
    worth = np.array(
        [(float(1 + settings.beta2) * cut.right - f * cut.predicted).max() for cut in cuts]
    )
    good = worth >= worth.max() - settings.slack * np.sqrt(y.sum())
    return float(
        weights[np.argmax(np.where(good, [_average_precision(cut) for cut in cuts], -1.0))]
    )


def _average_precision(cut: CandidateCuts) -> float:
    """Every positive enters at one of the cuts, so they hold the whole precision-recall curve that
    counts.
    """
    steps = np.diff(cut.right)
    return float((steps * cut.right[1:] / cut.predicted[1:]).sum() / max(1, cut.positives))

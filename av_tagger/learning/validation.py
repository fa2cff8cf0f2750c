"""Validation: metrics of scores against targets, with the thresholds tuned on the same data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError, did_you_mean
from av_tagger.fusion.thresholds import CandidateCuts, Tuned, all_cuts, best_alone, exact, two_step
from av_tagger.learning.data.examples import Targets
from av_tagger.metrics import Counts, class_average_precision, mean_of_defined

Tuning = Literal["two-step", "exact", "few-false-alarms"]
Probabilities = NDArray[np.float32]  # (clips, classes)


@dataclass(frozen=True)
class Validation:
    """Metrics on the validation data."""

    loss: float
    micro_f1: float  # at the tuned thresholds
    macro_f1: float  # mean over the classes that occur, each at its own best threshold
    map: float  # mean average precision over the classes that occur; 0 if none does
    accuracy: float  # share of clips whose highest score is one of their classes
    thresholds: tuple[float, ...]
    average_precision: tuple[float | None, ...]  # per class; None: no positive clip

    def figure(self, metric: str) -> float:
        """The value of a metric by name; higher is better."""
        if metric not in METRICS:
            hint = did_you_mean(metric, METRICS)
            raise UsageError(f"there is no metric {metric!r} to choose weights by; {hint}")
        return METRICS[metric](self)


def validate(
    scores: Probabilities, targets: Targets, loss: float, tuning: Tuning = "two-step", seed: int = 0
) -> Validation:
    """AV §3.3: thresholds tuned for micro-F1; unknown labels (NaN) are left out."""
    truth = targets > 0.5
    known = np.where(np.isnan(targets), np.nan, scores.astype(np.float64))
    cuts = all_cuts(known, truth)
    tuned = TUNINGS[tuning](cuts, seed)
    thresholds = tuned.thresholds
    micro_f1 = tuned.score()
    if tuning == "few-false-alarms":
        thresholds = guarded(known, truth, thresholds)
        micro_f1 = Counts.of(known >= thresholds, truth).f1
    precisions = class_average_precision(scores, targets)
    mean = mean_of_defined(precisions)
    occurring = truth.any(axis=0)
    return Validation(
        loss=loss,
        micro_f1=micro_f1,
        macro_f1=float(best_alone(cuts)[occurring].mean()) if occurring.any() else 0.0,
        map=0.0 if math.isnan(mean) else mean,
        accuracy=accuracy(scores, truth),
        thresholds=tuple(float(t) for t in thresholds),
        average_precision=tuple(None if math.isnan(p) else float(p) for p in precisions),
    )


def guarded(
    scores: NDArray[np.float64], truth: NDArray[np.bool_], thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Thresholds of so few clips that they are the luck of these: raised above other sounds.

    To at least half way from the highest clip without the class to certainty, but no higher than
    the middle of the clips with it, so that half of them are still found.
    """
    raised = thresholds.copy()
    for k, (column, real) in enumerate(zip(scores.T, truth.T, strict=True)):
        others, own = column[~real & np.isfinite(column)], column[real & np.isfinite(column)]
        if len(others) and len(own):
            guard = float(others.max()) + GUARD * (1 - float(others.max()))
            raised[k] = max(thresholds[k], min(guard, float(np.median(own))))
    return raised


def accuracy(scores: Probabilities, truth: NDArray[np.bool_]) -> float:
    """Share of clips whose highest score is one of their classes; 0 without clips."""
    if not len(scores):
        return 0.0
    return float(np.take_along_axis(truth, scores.argmax(axis=1)[:, None], axis=1).mean())


def _two_step(cuts: list[CandidateCuts], seed: int) -> Tuned:
    return two_step(cuts, seed)


def _exact(cuts: list[CandidateCuts], seed: int) -> Tuned:  # noqa: ARG001 - deterministic
    return exact(cuts)


GUARD = 0.5  # of the way from the highest score of other clips to 1
TUNINGS: dict[Tuning, Callable[[list[CandidateCuts], int], Tuned]] = {
    "two-step": _two_step,
    "exact": _exact,
    "few-false-alarms": _two_step,
}
METRICS: dict[str, Callable[[Validation], float]] = {
    "micro_f1": lambda v: v.micro_f1,
    "macro_f1": lambda v: v.macro_f1,
    "map": lambda v: v.map,
    "accuracy": lambda v: v.accuracy,
    "loss": lambda v: -v.loss,
}

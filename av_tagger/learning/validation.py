"""Validation: scores against targets, in numpy; thresholds come tuned with the figures that they give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError, did_you_mean
from av_tagger.fusion.thresholds import CandidateCuts, Tuned, all_cuts, best_alone, exact, two_step
from av_tagger.learning.data.manifests import Targets

Tuning = Literal["two-step", "exact"]
Probabilities = NDArray[np.float32]  # (clips, classes)


@dataclass(frozen=True)
class Validation:
    """What a model is worth on data whose labels are known."""

    loss: float
    micro_f1: float  # at the tuned thresholds
    macro_f1: float  # mean over the classes that occur, each at its own best threshold
    map: float  # mean average precision over the classes that occur
    accuracy: (
        float  # share of clips whose likeliest class is one of theirs, for data of one label a clip
    )
    thresholds: tuple[float, ...]
    average_precision: tuple[float | None, ...]  # by class; None: no clip of it

    def figure(self, metric: str) -> float:
        """The figure to keep a model by: higher is better."""
        if metric not in METRICS:
            raise UsageError(
                f"there is no metric {metric!r} to keep a model by; {did_you_mean(metric, METRICS)}"
            )
        return METRICS[metric](self)


def validate(
    scores: Probabilities, targets: Targets, loss: float, tuning: Tuning = "two-step", seed: int = 0
) -> Validation:
    """AV §3.3: thresholds tuned for micro-F1; where a label is unknown, the clip takes no part in that class."""
    truth = targets > 0.5
    opinions = np.where(np.isnan(targets), np.nan, scores.astype(np.float64))
    cuts = all_cuts(opinions, truth)
    tuned = TUNINGS[tuning](cuts, seed)
    precisions = [average_precision(opinions[:, k], truth[:, k]) for k in range(truth.shape[1])]
    known = [ap for ap in precisions if ap is not None]
    occurring = truth.any(axis=0)
    return Validation(
        loss=loss,
        micro_f1=tuned.score(),
        macro_f1=float(best_alone(cuts)[occurring].mean()) if occurring.any() else 0.0,
        map=float(np.mean(known)) if known else 0.0,
        accuracy=float(np.take_along_axis(truth, scores.argmax(axis=1)[:, None], axis=1).mean())
        if len(scores)
        else 0.0,
        thresholds=tuple(float(t) for t in tuned.thresholds),
        average_precision=tuple(precisions),
    )


def average_precision(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float | None:
    """Precision at every threshold, weighted by the recall it adds; ties count as one threshold; NaN takes no part."""
    known = np.isfinite(scores)
    scores, truth = scores[known], truth[known]
    if not truth.any():
        return None
    order = np.argsort(-scores, kind="stable")
    last = np.append(
        np.flatnonzero(np.diff(scores[order])), len(order) - 1
    )  # of each run of equal scores
    found = np.cumsum(truth[order])[last]
    added = np.diff(found, prepend=0)
    return float((added * found / (last + 1)).sum() / found[-1])


def _two_step(cuts: list[CandidateCuts], seed: int) -> Tuned:
    return two_step(cuts, seed)


def _exact(cuts: list[CandidateCuts], seed: int) -> Tuned:  # noqa: ARG001 - nothing is left to chance
    return exact(cuts)


TUNINGS: dict[Tuning, Callable[[list[CandidateCuts], int], Tuned]] = {
    "two-step": _two_step,
    "exact": _exact,
}
METRICS: dict[str, Callable[[Validation], float]] = {
    "micro_f1": lambda j: j.micro_f1,
    "macro_f1": lambda j: j.macro_f1,
    "map": lambda j: j.map,
    "accuracy": lambda j: j.accuracy,
    "loss": lambda j: -j.loss,
}

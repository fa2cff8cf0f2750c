"""Several models as one: averaged predictions of checkpoints (ATT), and a weighted majority vote of runs (SMALL)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import StorageError, UsageError, sentence
from av_tagger.learning.validation import Validation, validate

Scores = NDArray[np.float32]  # (clips, classes)


@dataclass(frozen=True)
class Opinion:
    """What one run says of its validation data, and how good it is at that."""

    run: Path
    scores: Scores
    targets: NDArray[np.float32]
    labels: tuple[str, ...]
    thresholds: NDArray[np.float64]
    figure: float  # its weight: micro-F1, or accuracy where clips have one label


def averaged(scores: Sequence[Scores]) -> Scores:
    """ATT §VI-C: the mean of the predictions of several models, which a single one's chance matters less in."""
    if not scores:
        raise UsageError("there is nothing to average: give the predictions of one model at least")
    if len({s.shape for s in scores}) > 1:
        raise UsageError(
            f"predictions of different data cannot be averaged: shapes {sorted({s.shape for s in scores})}"
        )
    return np.asarray(np.mean(np.stack(scores).astype(np.float64), axis=0), np.float32)


def weighted_vote(decisions: NDArray[np.bool_], weights: Sequence[float]) -> Scores:
    """The share of the models' weight that votes for a class, from decisions (models, clips, classes); above a half it is heard."""
    w = np.asarray(weights, np.float64)
    if w.shape != decisions.shape[:1] or not np.isfinite(w).all() or (w < 0).any() or w.sum() <= 0:
        raise ValueError(f"a weight a model, none negative, not all zero: {w.tolist()}")
    return np.asarray(np.tensordot(w / w.sum(), decisions.astype(np.float64), axes=1), np.float32)


def read_opinion(run: Path) -> Opinion:
    """From a run's folder: the scores of its best epoch and the thresholds that were tuned on them."""
    try:
        card = json.loads((run / "card.json").read_text(encoding="utf-8"))
        with np.load(run / "validation.npz", allow_pickle=False) as found:
            scores, targets, labels = (found[key] for key in ("scores", "targets", "labels"))
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(
            sentence(run, f"is no finished run ({error})", "give the folder of av-tag train")
        ) from error
    figure = "accuracy" if card["recipe"]["keep"]["metric"] == "accuracy" else "micro_f1"
    thresholds = np.array([c["threshold"] for c in card["classes"]], np.float64)
    return Opinion(
        run,
        scores,
        targets.astype(np.float32),
        tuple(map(str, labels)),
        thresholds,
        card["figures"][figure],
    )


def vote(opinions: Sequence[Opinion]) -> tuple[Scores, Validation]:
    """SMALL §4: late fusion of models with different hyper-parameters, weighted by their validation figures.

    The weights come from the same clips as the figure, as every figure on validation data does: believe one on other data.
    """
    first = opinions[0]
    for other in opinions[1:]:
        if other.labels != first.labels or not np.array_equal(
            other.targets, first.targets, equal_nan=True
        ):
            raise UsageError(
                f"{other.run} and {first.run} were validated on other clips or classes; train both with one --valid"
            )
    single = bool((first.targets.sum(axis=1) == 1).all()) and all(
        o.scores.shape[1] > 1 for o in opinions
    )
    decisions = np.stack(
        [_one_hot(o.scores) if single else o.scores >= o.thresholds for o in opinions]
    )
    shares = weighted_vote(decisions, [max(o.figure, 0.0) for o in opinions])
    return shares, validate(shares, first.targets, float("nan"))


def _one_hot(scores: Scores) -> NDArray[np.bool_]:
    return np.asarray(np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None])

"""Ensembles: mean predictions of checkpoints (ATT), and a weighted vote of runs (SMALL)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import StorageError, UsageError, sentence
from av_tagger.learning.validation import Probabilities, Validation, validate


@dataclass(frozen=True)
class RunScores:
    """Validation scores of a run, with its thresholds and its metric."""

    run: Path
    scores: Probabilities
    targets: NDArray[np.float32]
    labels: tuple[str, ...]
    thresholds: NDArray[np.float64]
    metric: float  # micro-F1, or accuracy where clips have one label; the weight of its vote


def weighted_vote(decisions: NDArray[np.bool_], weights: Sequence[float]) -> Probabilities:
    """The weighted share of votes per class, from decisions (models, clips, classes)."""
    w = np.asarray(weights, np.float64)
    if w.shape != decisions.shape[:1] or not np.isfinite(w).all() or (w < 0).any() or w.sum() <= 0:
        raise ValueError(f"one weight per model, none negative, not all zero: {w.tolist()}")
    return np.asarray(np.tensordot(w / w.sum(), decisions.astype(np.float64), axes=1), np.float32)


def read_scores(run: Path) -> RunScores:
    """The scores of the best epoch of a run, and the thresholds tuned on them."""
    try:
        card = json.loads((run / "card.json").read_text(encoding="utf-8"))
        with np.load(run / "validation.npz", allow_pickle=False) as found:
            scores, targets, labels = (found[key] for key in ("scores", "targets", "labels"))
    except (OSError, ValueError, KeyError) as error:
        reason = f"is not the folder of a finished run ({error})"
        raise StorageError(sentence(run, reason, "give the folder of av-tag train")) from error
    metric = "accuracy" if card["recipe"]["keep"]["metric"] == "accuracy" else "micro_f1"
    thresholds = np.array([c["threshold"] for c in card["classes"]], np.float64)
    return RunScores(
        run,
        scores,
        targets.astype(np.float32),
        tuple(map(str, labels)),
        thresholds,
        card["figures"][metric],
    )


def vote(runs: Sequence[RunScores]) -> tuple[Probabilities, Validation]:
    """SMALL §4: late fusion of runs, each weighted by its metric on the validation data.

    The weights are chosen on the same clips as the result, which is therefore too optimistic.
    """
    first = runs[0]
    for other in runs[1:]:
        same_clips = np.array_equal(other.targets, first.targets, equal_nan=True)
        if other.labels != first.labels or not same_clips:
            raise UsageError(
                f"{other.run} and {first.run} were validated on different clips or classes;"
                " train both with the same --valid"
            )
    one_label = bool((first.targets.sum(axis=1) == 1).all()) and len(first.labels) > 1
    decisions = [_one_hot(r.scores) if one_label else r.scores >= r.thresholds for r in runs]
    shares = weighted_vote(np.stack(decisions), [max(r.metric, 0.0) for r in runs])
    return shares, validate(shares, first.targets, float("nan"))


def _one_hot(scores: Probabilities) -> NDArray[np.bool_]:
    return np.asarray(np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None])

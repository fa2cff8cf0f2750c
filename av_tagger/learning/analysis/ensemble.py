"""Ensembles: mean predictions of checkpoints (ATT), and a weighted vote of runs (SMALL)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.ensemble_file import Ensemble, Member, write_ensemble
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
    one = one_label(first)
    decisions = [_one_hot(r.scores) if one else r.scores >= r.thresholds for r in runs]
    shares = weighted_vote(np.stack(decisions), [max(r.metric, 0.0) for r in runs])
    return shares, validate(shares, first.targets, float("nan"))


def _one_hot(scores: Probabilities) -> NDArray[np.bool_]:
    return np.asarray(np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None])


@dataclass(frozen=True)
class Combined:
    """An ear made of runs, and what it scores on their validation clips."""

    folder: Path
    micro_f1: float
    alone: dict[str, float]  # metric of each run


def combine(runs: Sequence[Path], folder: Path, mode: Literal["mean", "vote"]) -> Combined:
    """Write the ensemble file of a vote (decided at one half) or of the mean score."""
    if len(runs) < 2:
        raise UsageError("an ensemble needs at least two runs; give more of them")
    found = [read_scores(run) for run in runs]
    first = found[0]
    shares, _ = vote(found)
    if mode == "vote":
        thresholds: tuple[float, ...] = (0.5,) * len(first.labels)
    else:
        shares = np.mean([r.scores for r in found], axis=0, dtype=np.float32)
        thresholds = validate(shares, first.targets, float("nan")).thresholds
    members = tuple(_member(r, first) for r in found)
    if mode == "mean":
        members = tuple(Member(m.path) for m in members)
    write_ensemble(folder, Ensemble(mode, members, first.labels, thresholds, folder.name))
    decided, truth = shares >= np.array(thresholds), first.targets > 0.5
    right = int((decided & truth).sum())
    f1 = 2 * right / max(1, int(decided.sum() + truth.sum()))
    return Combined(folder, f1, {str(r.run): r.metric for r in found})


def _member(run: RunScores, first: RunScores) -> Member:
    """A run with the weight of its vote and the thresholds at which it decides."""
    thresholds = () if one_label(first) else tuple(run.thresholds.tolist())
    return Member(str(run.run.resolve()), max(run.metric, 1e-6), thresholds)


def one_label(run: RunScores) -> bool:
    """Every clip has exactly one class, as in scene classification."""
    return bool((run.targets.sum(axis=1) == 1).all()) and len(run.labels) > 1

"""The mean prediction of several checkpoints of a run (ATT §VI-C), as its result and as its ear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.ensemble_file import Ensemble, Member, write_ensemble
from av_tagger.errors import StorageError, sentence
from av_tagger.learning.run import TrainingRun
from av_tagger.learning.validation import Validation, validate


def average_checkpoints(run: TrainingRun, steps_done: int) -> Validation | None:
    """Validate the mean prediction; None if the recipe keeps no checkpoints, or one at most.

    Its scores replace those of the best epoch in the run's folder, and an ensemble file makes the
    folder an ear that averages.
    """
    steps = [s for s in run.recipe.keep.average if s <= steps_done]
    files = [run.folder.checkpoint(step) for step in steps]
    if len(files) < 2:
        return None
    for file in files:
        if not (file.is_file() and file.with_suffix(".npy").is_file()):
            reason = "is missing, so that the mean prediction cannot be made"
            raise StorageError(sentence(file, reason, "start the run again in another folder"))
    kept = np.stack([np.load(f.with_suffix(".npy")) for f in files])
    scores: NDArray[np.float32] = kept.mean(axis=0, dtype=np.float32)
    keep, bags = run.recipe.keep, run.data.validation
    loss = cross_entropy(scores, bags.targets)
    found = validate(scores, bags.targets, loss, keep.thresholds, run.recipe.seed)
    run.folder.save_scores(scores, bags)
    members = tuple(Member(str(f.relative_to(run.folder.path))) for f in files)
    thresholds = run.data.tuned(found.thresholds)
    labels, name = run.data.training.labels, run.recipe.name
    write_ensemble(run.folder.path, Ensemble("mean", members, labels, thresholds, name))
    return found


def cross_entropy(scores: NDArray[np.float32], targets: NDArray[np.float32]) -> float:
    """Binary cross-entropy, averaged over clips and classes with a known label."""
    p = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.nanmean(targets * np.log(p) + (1 - targets) * np.log(1 - p)))

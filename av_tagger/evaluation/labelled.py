"""Predicted scores and ground truth as tables with one row per clip, for ranking and tuning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError
from av_tagger.evaluation.intervals import recordings_of
from av_tagger.evaluation.predictions import BRANCHES
from av_tagger.evaluation.tagging import coverage_of, label_matrix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from av_tagger.evaluation.predictions import Prediction, Predictions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelledScores:
    """Scores and truth, both (clips, classes), of the clips that have both; truth's order."""

    names: tuple[str, ...]
    labels: tuple[str, ...]
    fused: Floats
    heard: Floats
    seen: Floats
    truth: NDArray[np.bool_]
    unanswered: int  # clips of the truth without scores
    recordings: Mapping[str, str] = field(default_factory=dict)  # by clip, where the truth says it

    @property
    def groups(self) -> tuple[str, ...]:
        """A group per clip: clips of one video are never split between folds."""
        return recordings_of(self.names, self.recordings)


def labelled_scores(
    predictions: Predictions,
    truth: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    recordings: Mapping[str, str] | None = None,
) -> LabelledScores:
    """An error if no clip has both scores and truth."""
    if not predictions.has_scores:
        raise UsageError(
            f"{predictions.path}: has tags but no scores; use the JSON lines of av-tag --json"
        )
    coverage_of(truth, predictions.clips)
    clips = predictions.clips
    names = tuple(name for name in truth if name in clips and clips[name].scores)
    if not names:
        raise UsageError(
            f"{predictions.path}: no clip of the ground truth has scores; use the same data set"
        )
    tables = {branch: _table([clips[n] for n in names], branch, labels) for branch in BRANCHES}
    return LabelledScores(
        names,
        tuple(labels),
        truth=label_matrix((truth[n] for n in names), labels),
        unanswered=len(truth) - len(names),
        recordings=recordings or {},
        **tables,
    )


def _table(clips: Sequence[Prediction], branch: str, labels: Sequence[str]) -> Floats:
    rows = [[clip.scores[branch].get(label, np.nan) for label in labels] for clip in clips]
    return np.array(rows, dtype=np.float64)

"""Putting results and truth side by side as tables of numbers, for ranking and for tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from av_tagger.dcase import parse_name
from av_tagger.errors import UsageError
from av_tagger.evaluation.tagging import coverage_of, matrix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from av_tagger.evaluation.predictions import Prediction, Predictions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Development:
    """Labelled scores, one row for each clip that has both, in the order of the truth."""

    names: tuple[str, ...]
    labels: tuple[str, ...]
    fused: Floats
    heard: Floats
    seen: Floats
    truth: NDArray[np.bool_]
    unanswered: int  # clips of the truth without scores

    @property
    def groups(self) -> tuple[str, ...]:
        """Clips of one video belong together."""
        return tuple(parsed.id if (parsed := parse_name(name)) else name for name in self.names)


def side_by_side(
    predictions: Predictions, truth: Mapping[str, Sequence[str]], labels: Sequence[str]
) -> Development:
    """Only clips with scores; an error when there is none."""
    if not predictions.has_scores:
        raise UsageError(
            f"{predictions.path}: holds tags but no scores; give the JSON lines of a run (`av-tag --json`)"
        )
    coverage_of(truth, predictions.clips)
    names = tuple(
        name for name in truth if name in predictions.clips and predictions.clips[name].scores
    )
    if not names:
        raise UsageError(
            f"{predictions.path}: no clip of the truth has scores in it; are they of the same set?"
        )
    tables = {
        w: _table([predictions.clips[name] for name in names], w, labels)
        for w in ("fused", "heard", "seen")
    }
    return Development(
        names,
        tuple(labels),
        truth=matrix((truth[n] for n in names), labels),
        unanswered=len(truth) - len(names),
        **tables,
    )


def _table(clips: Sequence[Prediction], branch: str, labels: Sequence[str]) -> Floats:
    return np.array(
        [[clip.scores[branch].get(label, np.nan) for label in labels] for clip in clips],
        dtype=np.float64,
    )

"""The evaluation as a whole: reads the files, scores them, and gives a report with its JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from av_tagger.dcase import public_name, read_strong, read_weak
from av_tagger.errors import UsageError, did_you_mean
from av_tagger.evaluation.detection import EventScores, score_events
from av_tagger.evaluation.labelled import LabelledScores, labelled_scores
from av_tagger.evaluation.official import (
    OfficialScores,
    OfficialTable,
    read_official,
    score_officially,
)
from av_tagger.evaluation.predictions import BRANCHES, Predictions, is_json, read_predictions
from av_tagger.evaluation.ranking import Ranking, curves, rank
from av_tagger.evaluation.tagging import TagScores, confusion, label_matrix, score_tags
from av_tagger.evaluation.uncertainty import Comparison, Uncertainty, compare, uncertainty

if TYPE_CHECKING:
    from pathlib import Path

    from av_tagger.labels import ClassList

TASKS = ("a", "b")


@dataclass(frozen=True)
class TagReport:
    """Subtask A."""

    scores: TagScores
    failed: int
    repeated: int
    confusion: list[list[int]]
    rankings: dict[str, Ranking]  # by branch that was used; empty without scores
    curves: dict[str, Any]  # by label, of the fused scores
    uncertainty: Uncertainty
    comparison: Comparison | None = None

    @property
    def unused(self) -> tuple[str, ...]:
        """Branches that scored no clip: the run had no ear, or no eye."""
        return tuple(b for b in BRANCHES if b not in self.rankings) if self.rankings else ()

    def as_json(self) -> dict[str, Any]:
        return {
            "task": "a",
            **self.scores.as_json(),
            "ranking": {branch: ranking.as_json() for branch, ranking in self.rankings.items()},
            "unused": list(self.unused),
            "failed": self.failed,
            "repeated": self.repeated,
            "confusion": self.confusion,
            "curves": self.curves,
            "intervals": self.uncertainty.as_json(),
            "comparison": None if self.comparison is None else self.comparison.as_json(),
        }


@dataclass(frozen=True)
class EventReport:
    """Subtask B."""

    scores: EventScores
    failed: int

    def as_json(self) -> dict[str, Any]:
        return {"task": "b", **self.scores.as_json(), "failed": self.failed}


@dataclass(frozen=True)
class OfficialReport:
    """Subtask A as the challenge's script scores it."""

    scores: OfficialScores

    def as_json(self) -> dict[str, Any]:
        return {"task": "a", "official": True, **self.scores.as_json()}


Report = TagReport | EventReport | OfficialReport


def score(
    predictions: Path,
    truth: Path,
    classes: ClassList,
    task: str = "a",
    *,
    official: bool = False,
    old: Path | None = None,
) -> Report:
    """Subtask a (tags per clip) or b (events)."""
    task = task.casefold()
    if task not in TASKS:
        raise UsageError(f"there is no task {task!r}; {did_you_mean(task, TASKS)}")
    if old is not None and (official or task != "a"):
        raise UsageError("--compare is for task a, without --official")
    if task == "a":
        if not official:
            return evaluate_tags(predictions, truth, classes, old)
        return evaluate_officially(predictions, truth, classes)
    if official:
        raise UsageError("--official is for task a; task b is always scored as the challenge does")
    return evaluate_events(predictions, truth, classes)


def evaluate_tags(
    predictions: Path, truth: Path, classes: ClassList, old: Path | None = None
) -> TagReport:
    """`old`: predictions to compare with."""
    real = read_weak(truth, classes)
    read = read_predictions(predictions, classes)
    tags = {name: clip.tags for name, clip in read.clips.items()}
    scores = score_tags(real, tags, classes.labels)
    table = confusion(
        label_matrix(real.values(), classes.labels),
        label_matrix((tags.get(name, ()) for name in real), classes.labels),
    )
    rankings, drawn = _ranked(read, real, classes)
    return TagReport(
        scores,
        len(read.failed),
        read.repeated,
        table.tolist(),
        rankings,
        drawn,
        uncertainty(read, real, classes.labels),
        compare(read_predictions(old, classes), read, real, classes.labels) if old else None,
    )


def evaluate_events(predictions: Path, truth: Path, classes: ClassList) -> EventReport:
    read = read_predictions(predictions, classes)
    events = {name: clip.events for name, clip in read.clips.items()}
    scores = score_events(read_strong(truth, classes), events, classes.labels)
    return EventReport(scores, len(read.failed))


def evaluate_officially(predictions: Path, truth: Path, classes: ClassList) -> OfficialReport:
    """A table is read as the script reads it; JSON lines are scored like their submission."""
    if predictions.is_dir() or is_json(predictions):
        clips = read_predictions(predictions, classes).clips
        names = {public_name(name).removesuffix(".wav"): clip.tags for name, clip in clips.items()}
        table = OfficialTable.of(names)
    else:
        table = read_official(predictions)
    return OfficialReport(score_officially(read_official(truth), table))


def without_nan(value: Any) -> Any:
    """NaN and infinity become None, since JSON has neither."""
    if isinstance(value, dict):
        return {key: without_nan(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _ranked(
    read: Predictions, real: dict[str, tuple[str, ...]], classes: ClassList
) -> tuple[dict[str, Ranking], dict[str, Any]]:
    """Rankings by branch, and curves of the fused scores by label."""
    if not read.has_scores:
        return {}, {}
    table: LabelledScores = labelled_scores(read, real, classes.labels)
    used = [b for b in BRANCHES if np.isfinite(getattr(table, b)).any()]
    rankings = {b: rank(getattr(table, b), table.truth, table.labels) for b in used}
    drawn = {
        label: curves(table.fused[:, k], table.truth[:, k]).as_json()
        for k, label in enumerate(classes.labels)
    }
    return rankings, drawn

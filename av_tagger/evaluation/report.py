"""The whole of an evaluation: which files are read, what is scored, and how it looks as JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from av_tagger.dcase import public_name, read_strong, read_weak
from av_tagger.errors import UsageError, did_you_mean
from av_tagger.evaluation.detection import EventScores, score_events
from av_tagger.evaluation.development import Development, side_by_side
from av_tagger.evaluation.official import OfficialScores, read_official, score_officially, table_of
from av_tagger.evaluation.predictions import Predictions, is_json, read_predictions
from av_tagger.evaluation.ranking import Ranking, curves, rank
from av_tagger.evaluation.tagging import TagScores, confusion, matrix, score_tags

if TYPE_CHECKING:
    from pathlib import Path

    from av_tagger.labels import ClassList


@dataclass(frozen=True)
class TagReport:
    """Subtask A."""

    scores: TagScores
    failed: int
    repeated: int
    confusion: list[list[int]]
    rankings: dict[str, Ranking]  # by witness; empty without scores
    curves: dict[str, Any]  # by label, of the fused scores

    def as_json(self) -> dict[str, Any]:
        rankings = {branch: ranking.as_json() for branch, ranking in self.rankings.items()}
        rest = {
            "failed": self.failed,
            "repeated": self.repeated,
            "confusion": self.confusion,
            "curves": self.curves,
        }
        return {"task": "a", **self.scores.as_json(), "ranking": rankings, **rest}


@dataclass(frozen=True)
class EventReport:
    """Subtask B."""

    scores: EventScores
    failed: int

    def as_json(self) -> dict[str, Any]:
        return {"task": "b", **self.scores.as_json(), "failed": self.failed}


@dataclass(frozen=True)
class OfficialReport:
    """Subtask A as the challenge's script has it."""

    scores: OfficialScores

    def as_json(self) -> dict[str, Any]:
        return {"task": "a", "official": True, **self.scores.as_json()}


Report = TagReport | EventReport | OfficialReport


def score(
    predictions: Path, truth: Path, classes: ClassList, task: str = "a", *, official: bool = False
) -> Report:
    """Subtask a (tags of clips) or b (when the sounds happen)."""
    if task.casefold() not in ("a", "b"):
        raise UsageError(f"there is no task {task!r}; {did_you_mean(task, ('a', 'b'))}")
    if task.casefold() == "a":
        return (evaluate_officially if official else evaluate_tags)(predictions, truth, classes)
    if official:
        raise UsageError(
            "`official` is about task a; task b is always scored as the challenge does it, in segments of 1 s"
        )
    return evaluate_events(predictions, truth, classes)


def evaluate_tags(predictions: Path, truth: Path, classes: ClassList) -> TagReport:
    real = read_weak(truth, classes)
    told = read_predictions(predictions, classes)
    said = {name: clip.tags for name, clip in told.clips.items()}
    scores = score_tags(real, said, classes.labels)
    table = confusion(
        matrix(real.values(), classes.labels),
        matrix((said.get(name, ()) for name in real), classes.labels),
    )
    rankings, drawn = _ranked(told, real, classes)
    return TagReport(scores, len(told.failed), told.repeated, table.tolist(), rankings, drawn)


def evaluate_events(predictions: Path, truth: Path, classes: ClassList) -> EventReport:
    told = read_predictions(predictions, classes)
    said = {name: clip.events for name, clip in told.clips.items()}
    return EventReport(
        score_events(read_strong(truth, classes), said, classes.labels), len(told.failed)
    )


def evaluate_officially(predictions: Path, truth: Path, classes: ClassList) -> OfficialReport:
    """A table is read as the script reads it; results in JSON are scored as the submission that they would be."""
    if predictions.is_dir() or is_json(predictions):
        told = read_predictions(predictions, classes)
        table = table_of(
            {public_name(name).removesuffix(".wav"): clip.tags for name, clip in told.clips.items()}
        )
    else:
        table = read_official(predictions)
    return OfficialReport(score_officially(read_official(truth), table))


def plain(value: Any) -> Any:
    """JSON knows no NaN and no infinity: null."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _ranked(
    told: Predictions, real: dict[str, tuple[str, ...]], classes: ClassList
) -> tuple[dict[str, Ranking], dict[str, Any]]:
    if not told.has_scores:
        return {}, {}
    table = side_by_side(told, real, classes.labels)
    drawn = {
        label: curves(table.fused[:, k], table.truth[:, k]).as_json()
        for k, label in enumerate(classes.labels)
    }
    return _rankings(table), drawn


def _rankings(table: Development) -> dict[str, Ranking]:
    return {
        branch: rank(getattr(table, branch), table.truth, table.labels)
        for branch in ("fused", "heard", "seen")
    }

"""Reading what is to be scored: a submission table, JSON lines of results, or the folder of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from av_tagger.dcase import ClipName, SoundEvent, clip_key, read_submission
from av_tagger.dcase.names import stem_of, video_ids
from av_tagger.errors import StorageError, TableError, UsageError, did_you_mean
from av_tagger.reports.schema import read_documents

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from av_tagger.labels import ClassList

RESULTS = "results.jsonl"
WITNESSES = ("fused", "heard", "seen")


@dataclass(frozen=True)
class Prediction:
    """What was said of one clip; times are those of the clip."""

    tags: tuple[str, ...] = ()
    events: tuple[SoundEvent, ...] = ()
    scores: Mapping[str, Mapping[str, float]] = field(
        default_factory=dict
    )  # by witness, then by label; NaN without opinion


@dataclass(frozen=True)
class Predictions:
    """Answers by clip, and the clips that failed."""

    path: Path
    clips: Mapping[str, Prediction]
    failed: Mapping[str, str] = field(default_factory=dict)  # clip: reason
    repeated: int = 0  # rows or lines that spoke of something already said

    @property
    def has_scores(self) -> bool:
        return any(p.scores for p in self.clips.values())


def read_predictions(path: Path, classes: ClassList) -> Predictions:
    """Whatever holds answers: a run's folder, JSON lines, or a tab-separated submission."""
    file = path / RESULTS if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        raise UsageError(
            f"{path}: holds no {RESULTS}; name the folder of a run, a file of JSON lines or a submission"
        )
    return _from_json_lines(file, classes) if is_json(file) else _from_table(file, classes)


def is_json(path: Path) -> bool:
    """Whether a file holds results rather than a table."""
    try:
        with path.open("rb") as file:
            return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); name a submission or JSON lines of results"
        ) from error


def _from_table(path: Path, classes: ClassList) -> Predictions:
    tags: dict[str, list[str]] = {}
    events: dict[str, list[SoundEvent]] = {}
    repeated = 0
    for row in read_submission(path, classes):
        mine = tags.setdefault(row.key, [])
        if row.label is None or row.unheard:
            continue
        events.setdefault(row.key, []).append(SoundEvent(row.label, row.start, row.end))
        repeated += row.label in mine
        if row.label not in mine:
            mine.append(row.label)
    clips = {
        key: Prediction(tuple(labels), tuple(events.get(key, ()))) for key, labels in tags.items()
    }
    return Predictions(path, clips, repeated=repeated)


def _from_json_lines(path: Path, classes: ClassList) -> Predictions:
    clips: dict[str, Prediction] = {}
    failed: dict[str, str] = {}
    repeated = 0
    for number, document in enumerate(_documents(path), 1):
        key = _key(path, number, document)
        repeated += key in clips or key in failed
        clips.pop(key, None)  # a clip that was done again: the last word counts
        failed.pop(key, None)
        if "error" in document:
            failed[key] = str(_mapping(path, number, document, "error").get("message", ""))
        else:
            clips[key] = _prediction(path, number, document, set(classes.labels))
    if not clips and not failed:
        raise UsageError(
            f"{path}: is empty; expected one JSON object a line, as `av-tag --json` writes them"
        )
    return Predictions(path, clips, failed, repeated)


def _documents(path: Path) -> list[dict[str, Any]]:
    try:
        return list(read_documents(path))
    except StorageError as error:
        raise UsageError(str(error)) from error


def _key(path: Path, line: int, document: object) -> str:
    if not isinstance(document, dict) or not isinstance(document.get("file"), str):
        raise TableError(
            path, line, "is no result", '{"schema": 1, "file": ..., "tags": [...], "scores": {...}}'
        )
    name, part = document["file"], document.get("clip") or {}
    if not isinstance(part, dict) or part.get("end") is None:
        return clip_key(name)
    start, end = _seconds(path, line, part.get("start", 0.0)), _seconds(path, line, part["end"])
    video = next(iter(video_ids(name)), None)
    return str(ClipName(video, start, end)) if video else f"{stem_of(name)}_{start:.3f}_{end:.3f}"


def _prediction(path: Path, line: int, document: Mapping[str, Any], known: set[str]) -> Prediction:
    tags = document.get("tags")
    if not isinstance(tags, list) or not all(isinstance(tag, dict) for tag in tags):
        raise TableError(
            path,
            line,
            "has no list of tags",
            '{"schema": 1, "file": ..., "tags": [...], "scores": {...}}',
        )
    labels = [_label(path, line, tag.get("label"), known) for tag in tags]
    part = document.get("clip") or {}
    zero = _seconds(path, line, part.get("start", 0.0)) if isinstance(part, dict) else 0.0
    events = [
        _event(path, line, label, e, zero)
        for label, tag in zip(labels, tags, strict=True)
        for e in tag.get("events") or ()
    ]
    for tag in tags:
        _probability(path, line, tag.get("probability"))
    return Prediction(
        tuple(dict.fromkeys(labels)), tuple(events), _scores(path, line, document, known)
    )


def _scores(
    path: Path, line: int, document: Mapping[str, Any], known: set[str]
) -> dict[str, dict[str, float]]:
    scores = _mapping(path, line, document, "scores") if "scores" in document else {}
    rows = {
        _label(path, line, label, known): _mapping(path, line, scores, label) for label in scores
    }
    if not rows:
        return {}
    return {
        branch: {label: _probability(path, line, row.get(branch)) for label, row in rows.items()}
        for branch in WITNESSES
    }


def _event(path: Path, line: int, label: str, event: object, zero: float) -> SoundEvent:
    if not isinstance(event, dict):
        raise TableError(
            path, line, f"{event!r:.40} is no event", '{"start": seconds, "end": seconds}'
        )
    start, end = _seconds(path, line, event.get("start")), _seconds(path, line, event.get("end"))
    if end < start:
        raise TableError(
            path,
            line,
            f"an event ends ({end:g}) before it starts ({start:g})",
            "start <= end, in seconds",
        )
    return SoundEvent(label, max(0.0, start - zero), max(0.0, end - zero))


def _label(path: Path, line: int, label: object, known: set[str]) -> str:
    if label not in known or not isinstance(label, str):
        raise TableError(path, line, f"{label!r} is not a class; {did_you_mean(str(label), known)}")
    return label


def _mapping(path: Path, line: int, document: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    if not isinstance(value, dict):
        raise TableError(path, line, f"{key!r} is {value!r:.40}", "a JSON object")
    return value


def _probability(path: Path, line: int, value: object) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise TableError(
            path, line, f"{value!r:.40} is not a probability", "a number from 0 to 1, or null"
        )
    return float(value)


def _seconds(path: Path, line: int, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise TableError(path, line, f"{value!r:.40} is not a time", "seconds from 0")
    return float(value)

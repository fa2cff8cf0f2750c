"""Reading predictions to score: a submission table, JSON lines of results, or a run's folder."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from av_tagger.clip import Clip
from av_tagger.dcase import ClipName, SoundEvent, clip_key, read_submission
from av_tagger.dcase.names import stem_of, video_ids
from av_tagger.errors import TableError, UsageError, did_you_mean
from av_tagger.reports.schema import find_results, read_results
from av_tagger.scores import Failed, Tag, Tagged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from av_tagger.labels import ClassList

BRANCHES = ("fused", "heard", "seen")


@dataclass(frozen=True)
class Prediction:
    """The tags, events and scores of one clip. Times are relative to the start of the clip."""

    tags: tuple[str, ...] = ()
    events: tuple[SoundEvent, ...] = ()
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By branch, then by label; NaN where a branch has no opinion. Empty for submissions."""
    seconds: float = 0.0  # length; 0 where it is unknown


@dataclass(frozen=True)
class Predictions:
    """Predictions by clip key, and the clips that failed."""

    path: Path
    clips: Mapping[str, Prediction]
    failed: Mapping[str, str] = field(default_factory=dict)  # clip key: reason
    repeated: int = 0  # rows or lines about a label or clip already given

    @property
    def has_scores(self) -> bool:
        return any(p.scores for p in self.clips.values())


def read_predictions(path: Path, classes: ClassList) -> Predictions:
    """Predictions from a run's folder, JSON lines, or a tab-separated submission."""
    file = find_results(path)
    return _from_json_lines(file, classes) if is_json(file) else _from_table(file, classes)


def is_json(path: Path) -> bool:
    """Whether a file holds results as JSON lines rather than a table."""
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
        labels = tags.setdefault(row.key, [])
        if row.label is None or row.unheard:
            continue
        events.setdefault(row.key, []).append(SoundEvent(row.label, row.start, row.end))
        repeated += row.label in labels
        if row.label not in labels:
            labels.append(row.label)
    clips = {
        key: Prediction(tuple(labels), tuple(events.get(key, ()))) for key, labels in tags.items()
    }
    return Predictions(path, clips, repeated=repeated)


def _from_json_lines(path: Path, classes: ClassList) -> Predictions:
    known = set(classes.labels)
    clips: dict[str, Prediction] = {}
    failed: dict[str, str] = {}
    repeated = 0
    for number, _, outcome in read_results(path):
        key = _key(outcome.clip)
        repeated += key in clips or key in failed
        clips.pop(key, None)  # of a clip tagged twice, the last result counts
        failed.pop(key, None)
        if isinstance(outcome, Failed):
            failed[key] = outcome.message
        else:
            _check_labels(path, number, outcome, known)
            clips[key] = _prediction(outcome)
    if not clips and not failed:
        raise UsageError(f"{path}: has no complete line; expected JSON lines from av-tag --json")
    return Predictions(path, clips, failed, repeated)


def _key(clip: Clip) -> str:
    """The key of a clip: a part of a whole video has the key of the cut clip."""
    if clip.end_seconds is None:
        return clip_key(clip.name)
    start, end = clip.start_seconds, clip.end_seconds
    video = next(iter(video_ids(clip.name)), None)
    if video is None:
        return f"{stem_of(clip.name)}_{start:.3f}_{end:.3f}"
    return str(ClipName(video, start, end))


def _check_labels(path: Path, line: int, tagged: Tagged, known: set[str]) -> None:
    for label in (*(tag.label for tag in tagged.tags), *tagged.scores):
        if label not in known:
            raise TableError(path, line, f"{label!r} is not a class; {did_you_mean(label, known)}")


def _prediction(tagged: Tagged) -> Prediction:
    scores = {
        branch: {
            label: math.nan if (value := getattr(score, branch)) is None else value
            for label, score in tagged.scores.items()
        }
        for branch in BRANCHES
    }
    return Prediction(
        tags=tuple(dict.fromkeys(tag.label for tag in tagged.tags)),
        events=tuple(_events(tagged.tags, tagged.clip.start_seconds)),
        scores=scores if tagged.scores else {},
        seconds=tagged.duration_seconds,
    )


def _events(tags: Iterable[Tag], offset: float) -> Iterable[SoundEvent]:
    """Events relative to the start of the clip; results hold times of the file."""
    for tag in tags:
        for event in tag.events:
            yield SoundEvent(
                tag.label, max(0.0, event.start - offset), max(0.0, event.end - offset)
            )

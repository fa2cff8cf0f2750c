"""Reading predictions to score: a submission table, JSON lines of results, or a run's folder."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from av_tagger.clip import Clip
from av_tagger.dcase import ClipName, SoundEvent, parse_name, read_submission
from av_tagger.dcase.names import SAME_LENGTH, parse_start, video_ids
from av_tagger.errors import TableError, UsageError, did_you_mean
from av_tagger.evaluation.keys import in_folder, keys_of
from av_tagger.reports.schema import find_results, read_results
from av_tagger.scores import Failed, Status, Tag, Tagged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
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
    by_ear: tuple[str, ...] | None = None  # what the ear alone says; None: not heard and seen


@dataclass(frozen=True)
class Predictions:
    """Predictions by clip key, and the clips that failed."""

    path: Path
    clips: Mapping[str, Prediction]
    failed: Mapping[str, str] = field(default_factory=dict)  # clip key: reason
    repeated: int = 0  # rows or lines about a label or clip already given
    renamed: Mapping[str, str] = field(default_factory=dict)  # own key: that of the ground truth
    folders: Mapping[str, str] = field(default_factory=dict)  # by key: the key with its folder
    branches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # ears and eyes in use
    left_out: tuple[str, ...] = ()  # labels that are no classes here

    @property
    def has_scores(self) -> bool:
        return any(p.scores for p in self.clips.values())


def read_predictions(path: Path, classes: ClassList, *, others: bool = False) -> Predictions:
    """Predictions from a run's folder, JSON lines, or a tab-separated submission.

    Classes of results beyond these are left out; without `others`, one must be among these.
    """
    file = find_results(path)
    if is_json(file):
        return _from_json_lines(file, classes, others=others)
    return _from_table(file, classes)


def matched(read: Predictions, truth: Iterable[str]) -> Predictions:
    """The same predictions under the keys of the ground truth, where one clip can be meant.

    By folder and name, by id and start (`id_000030`), or by the id alone if the truth has one clip
    of the video and the file is as long as that clip.
    """
    keys = set(truth)
    named = [(name, key) for key in keys if (name := parse_name(key))]
    starts = {(name.id, name.start): key for name, key in named}
    videos = Counter(name.id for name, _ in named)
    alone = {name.id: (name, key) for name, key in named if videos[name.id] == 1}
    renamed: dict[str, str] = {}
    for key in (*read.clips, *read.failed):
        if key in keys:
            continue
        other = read.folders.get(key)
        if other not in keys:
            other = starts.get(parse_start(key) or ("", 0.0)) or _by_length(key, read, alone)
        if other and other not in read.clips.keys() | renamed.values():
            renamed[key] = other
    clips = {renamed.get(key, key): clip for key, clip in read.clips.items()}
    failed = {renamed.get(key, key): reason for key, reason in read.failed.items()}
    return replace(read, clips=clips, failed=failed, renamed=renamed)


def without_unknown(read: Predictions, unknown: Mapping[str, frozenset[str]]) -> Predictions:
    """Predictions without the tags, events and scores whose truth is unknown."""
    clips = {
        k: _without(clip, unknown[k]) if k in unknown else clip for k, clip in read.clips.items()
    }
    return replace(read, clips=clips)


def _without(clip: Prediction, labels: frozenset[str]) -> Prediction:
    scores = {
        branch: {label: math.nan if label in labels else p for label, p in row.items()}
        for branch, row in clip.scores.items()
    }
    return replace(
        clip,
        tags=tuple(label for label in clip.tags if label not in labels),
        events=tuple(event for event in clip.events if event.label not in labels),
        scores=scores,
    )


def shorter_than_named(read: Predictions) -> tuple[str, ...]:
    """Clips of which less was decoded than their name says."""
    lengths = [(key, parse_name(key), clip.seconds) for key, clip in read.clips.items()]
    return tuple(k for k, n, s in lengths if n and 0 < s < n.end - n.start - SAME_LENGTH)


def _by_length(
    key: str, read: Predictions, alone: Mapping[str, tuple[ClipName, str]]
) -> str | None:
    if key not in read.clips:
        return None
    for video in video_ids(key):
        if video in alone:
            name, other = alone[video]
            near = abs(read.clips[key].seconds - (name.end - name.start)) <= SAME_LENGTH
            return other if near else None
    return None


def is_json(path: Path) -> bool:
    """Whether a file holds results as JSON lines rather than a table.

    A JSON object begins with `{"` or `{}`; a file name in a table may begin with `{`, too.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
            return start.startswith(b"{") and start[1:].lstrip()[:1] in (b'"', b"}", b"")
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


def _from_json_lines(path: Path, classes: ClassList, *, others: bool) -> Predictions:
    known = set(classes.labels)
    found: list[tuple[Clip, Prediction | str]] = []  # a string: why the clip failed
    branches: dict[str, set[str]] = {"heard": set(), "seen": set()}
    left_out = set[str]()
    for number, _, outcome in read_results(path):
        if isinstance(outcome, Failed):
            found.append((outcome.clip, outcome.message))
            continue
        named = {*(tag.label for tag in outcome.tags), *outcome.scores}
        foreign = named - known
        if not others and not named & known:
            _check_labels(path, number, foreign, known)
        left_out |= foreign
        branches["heard"].add(outcome.ear.name)
        branches["seen"].add(outcome.eye.name)
        found.append((outcome.clip, _prediction(outcome, known)))
    if not found:
        raise UsageError(f"{path}: has no complete line; expected JSON lines from av-tag --json")
    names = {branch: tuple(sorted(used)) for branch, used in branches.items()}
    return replace(_by_key(path, found), branches=names, left_out=tuple(sorted(left_out)))


def _by_key(path: Path, found: Sequence[tuple[Clip, Prediction | str]]) -> Predictions:
    """Of a clip tagged twice, the last result counts."""
    clips: dict[str, Prediction] = {}
    failed: dict[str, str] = {}
    folders: dict[str, str] = {}
    repeated = 0
    for key, (clip, outcome) in zip(keys_of([clip for clip, _ in found]), found, strict=True):
        repeated += key in clips or key in failed
        clips.pop(key, None)
        failed.pop(key, None)
        folders[key] = in_folder(clip, key)
        if isinstance(outcome, str):
            failed[key] = outcome
        else:
            clips[key] = outcome
    return Predictions(path, clips, failed, repeated, folders=folders)


def _check_labels(path: Path, line: int, foreign: set[str], known: set[str]) -> None:
    for label in sorted(foreign):
        raise TableError(path, line, f"{label!r} is not a class; {did_you_mean(label, known)}")


def _prediction(tagged: Tagged, known: set[str]) -> Prediction:
    scores = {
        branch: {
            label: math.nan if (value := getattr(score, branch)) is None else value
            for label, score in tagged.scores.items()
            if label in known
        }
        for branch in BRANCHES
    }
    tags = [tag for tag in tagged.tags if tag.label in known]
    return Prediction(
        tags=tuple(dict.fromkeys(tag.label for tag in tags)),
        events=tuple(_events(tags, tagged.clip.start_seconds)),
        scores=scores if tagged.scores else {},
        seconds=tagged.duration_seconds,
        by_ear=_by_ear(tagged, known),
    )


def _by_ear(tagged: Tagged, known: set[str]) -> tuple[str, ...] | None:
    """Decisions of the ear alone, of clips that the eye could look at, too."""
    if not {tagged.ear.status, tagged.eye.status} <= {Status.OK, Status.DEGRADED}:
        return None
    return tuple(
        label
        for label, score in tagged.scores.items()
        if label in known and score.heard is not None and score.heard >= score.ear_limit
    )


def _events(tags: Iterable[Tag], offset: float) -> Iterable[SoundEvent]:
    """Events relative to the start of the clip; results hold times of the file."""
    for tag in tags:
        for event in tag.events:
            yield SoundEvent(
                tag.label, max(0.0, event.start - offset), max(0.0, event.end - offset)
            )

"""Reading: an object of schema 1 to an outcome, with every value checked."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip
from av_tagger.errors import UsageError, did_you_mean
from av_tagger.reports.schema.values import (
    LONGEST_SECONDS,
    NUMBER_TYPES,
    Object,
    list_of,
    maybe_number,
    maybe_probability,
    number,
    object_of,
    objects,
    objects_by_name,
    probability,
    seconds,
    text,
    text_of,
    value_of,
    wrong,
)
from av_tagger.scores import (
    Activity,
    Box,
    BranchInfo,
    ClassScore,
    Event,
    Evidence,
    Failed,
    Heat,
    KeyFrame,
    Outcome,
    RunInfo,
    Shot,
    Status,
    Tag,
    Tagged,
)

SCHEMA = 1
UNKNOWN = "unknown"  # ear, eye or run of a result that does not name them

Document = dict[str, Any]

SIDES = ("left", "top", "right", "bottom")
_PICTURES = ("data:image/jpeg;base64,", "data:image/png;base64,")
_PROBABILITY = "a number from 0 to 1, or null"


def from_json(document: object) -> Outcome:
    """The outcome stored in an object of schema 1.

    Raises UsageError with one sentence that names the field: `tags[0].probability is 1.5; expected
    a number from 0 to 1, or null`. The caller knows the file and the line.

    Only `schema`, `file` and `tags` (or `error`) are required, so that results of other programs
    can be scored. Other fields may be missing and then are unknown.
    """
    if not isinstance(document, Mapping) or "schema" not in document:
        raise UsageError(
            "is not a result of av-tag (no field 'schema'); expected JSON lines from av-tag --json"
        )
    _check_version(document["schema"])
    return _failed(document) if "error" in document else _tagged(document)


def spectrogram_of(document: Object) -> bytes | None:
    """The spectrogram picture in a result's detail, if there is one."""
    detail = document.get("detail")
    return _picture(detail.get("spectrogram")) if isinstance(detail, Mapping) else None


def _check_version(version: object) -> None:
    if version == SCHEMA and not isinstance(version, bool):
        return
    later = isinstance(version, int) and version > SCHEMA
    remedy = "update av-tag" if later else "tag the file again"
    raise UsageError(
        f"has schema {version!r:.20}, but this version of av-tag reads schema {SCHEMA}; {remedy}"
    )


def _failed(document: Object) -> Failed:
    error = object_of(document, "error", "")
    return Failed(_clip(document), text(error, "kind", "error."), text(error, "message", "error."))


def _tagged(document: Object) -> Tagged:
    value_of(document, "tags", "")
    detail = object_of(document, "detail", "")
    scores = {
        label: _class_score(row, f"scores[{label!r}].")
        for label, row in objects_by_name(document, "scores")
    }
    return Tagged(
        clip=_clip(document),
        duration_seconds=seconds(document, "duration", ""),
        tags=tuple(_tag(tag, where) for tag, where in objects(document, "tags", "")),
        scores=scores,
        keyframes=_keyframes(document, detail),
        ear=_branch(document, "ear"),
        eye=_branch(document, "eye"),
        run=_run(document),
        activity=_activity(detail, tuple(scores)),
        notes=tuple(_notes(document)),
        shots=tuple(_shot(shot, where) for shot, where in objects(document, "shots", "")),
    )


def _clip(document: Object) -> Clip:
    clip = Clip.of(text(document, "file", ""))
    if "clip" not in document:
        return clip
    part = object_of(document, "clip", "")
    start = seconds(part, "start", "clip.")
    end = maybe_number(part, "end", "clip.", low=0, high=LONGEST_SECONDS)
    if math.isnan(start) or (end is not None and end <= start):
        raise wrong("clip", dict(part), "0 <= start < end, in seconds")
    return replace(clip, start_seconds=start, end_seconds=end)


def _tag(tag: Object, where: str) -> Tag:
    return Tag(
        label=text(tag, "label", where),
        probability=probability(tag, "probability", where),
        threshold=_threshold(tag, where),
        heard=maybe_probability(tag, "heard", where),
        seen=maybe_probability(tag, "seen", where),
        events=tuple(_event(e, at) for e, at in objects(tag, "events", where)),
        evidence=tuple(_evidence(e, at) for e, at in objects(tag, "evidence", where)),
        mark=_mark(tag, where),
    )


def _mark(row: Object, where: str) -> str:
    return text(row, "mark", where) if row.get("mark") is not None else ""


def _event(event: Object, where: str) -> Event:
    start, end = (seconds(event, name, where) for name in ("start", "end"))
    if not start <= end:
        raise UsageError(f"{where[:-1]} ends ({end:g}) before it starts ({start:g})")
    return Event(start, end, probability(event, "peak", where))


def _shot(shot: Object, where: str) -> Shot:
    tags = objects(shot, "tags", where)
    return Shot(
        start=number(shot, "start", where, low=0),
        end=number(shot, "end", where, low=0),
        tags=tuple((text(t, "label", at), probability(t, "peak", at)) for t, at in tags),
    )


def _evidence(evidence: Object, where: str) -> Evidence:
    return Evidence(
        seconds=seconds(evidence, "time", where),
        object=text(evidence, "object", where),
        probability=probability(evidence, "probability", where),
        similarity=number(evidence, "similarity", where, low=-1, high=1),
        where=_heat(object_of(evidence, "where", where), f"{where}where.")
        if evidence.get("where") is not None
        else None,
    )


def _heat(heat: Object, where: str) -> Heat:
    rows = list_of(heat, "grid", where)
    grid = tuple(_shares(row, f"{where}grid[{n}]") for n, row in enumerate(rows))
    if len({len(row) for row in grid}) != 1:
        raise UsageError(f"{where}grid has no rows of equal length; expected at least one")
    area, box = (_box(list_of(heat, name, where), where + name) for name in ("area", "box"))
    return Heat(grid, area, box)


def _box(values: object, where: str) -> Box:
    found = _shares(values, where)
    if len(found) != len(SIDES) or found[0] > found[2] or found[1] > found[3]:
        raise wrong(where, values, f"{', '.join(SIDES)} as shares of the picture")
    return found[0], found[1], found[2], found[3]


def _shares(values: object, where: str) -> tuple[float, ...]:
    """Numbers from 0 to 1."""
    if not isinstance(values, list) or not all(type(v) in (int, float) for v in values):
        raise wrong(where, values, "a list of numbers from 0 to 1")
    if any(not 0 <= v <= 1 for v in values):
        raise wrong(where, values, "a list of numbers from 0 to 1")
    return tuple(map(float, values))


def _class_score(row: Object, where: str) -> ClassScore:
    return ClassScore(
        fused=probability(row, "fused", where),
        heard=maybe_probability(row, "heard", where),
        seen=maybe_probability(row, "seen", where),
        threshold=_threshold(row, where),
        mark=_mark(row, where),
        ear_threshold=maybe_probability(row, "ear_threshold", where),
    )


def _keyframes(document: Object, detail: Object) -> tuple[KeyFrame, ...]:
    frames = objects(document, "keyframes", "")
    if not detail.get("keyframes"):
        return tuple(_keyframe(frame, where, {}, "") for frame, where in frames)
    details = objects(detail, "keyframes", "detail.")
    if len(details) != len(frames):
        raise UsageError(
            f"has {len(frames)} key frames and details of {len(details)}; expected as many of each"
        )
    return tuple(_keyframe(*a, *b) for a, b in zip(frames, details, strict=True))


def _keyframe(frame: Object, where: str, detail: Object, inside: str) -> KeyFrame:
    seen = objects(detail, "objects", inside)
    return KeyFrame(
        seconds=seconds(frame, "time", where),
        weight=probability(frame, "weight", where),
        objects=tuple((text(o, "object", at), probability(o, "probability", at)) for o, at in seen),
        picture=_picture(detail.get("picture")),
    )


def _branch(document: Object, key: str) -> BranchInfo:
    if key not in document:
        return BranchInfo(Status.OFF, UNKNOWN)
    branch, where = object_of(document, key, ""), f"{key}."
    status = text(branch, "status", where)
    known = [s.value for s in Status]
    if status not in known:
        raise UsageError(f"{where}status is {status!r:.40}; {did_you_mean(status, known)}")
    weights = text(branch, "weights", where) if branch.get("weights") is not None else None
    return BranchInfo(Status(status), text(branch, "model", where), weights)


def _run(document: Object) -> RunInfo:
    if "run" not in document:
        return RunInfo(UNKNOWN, UNKNOWN, "", math.nan)
    run = object_of(document, "run", "")
    version, device, fingerprint = (
        text(run, key, "run.") for key in ("version", "device", "fingerprint")
    )
    return RunInfo(version, device, fingerprint, number(run, "seconds", "run.", low=0))


def _notes(document: Object) -> list[str]:
    notes = list_of(document, "notes", "")
    return [text_of(note, f"notes[{n}]") for n, note in enumerate(notes)]


def _activity(detail: Object, labels: tuple[str, ...]) -> Activity | None:
    if "activity" not in detail:
        return None
    where = "detail.activity."
    activity = object_of(detail, "activity", "detail.")
    rate = number(activity, "rate", where, low=0)
    if not rate > 0:
        raise wrong(f"{where}rate", activity["rate"], "frames per second, above 0")
    values = object_of(activity, "values", where)
    columns = [_column(values, label, f"{where}values.") for label in labels]
    if len({len(column) for column in columns}) > 1:
        raise UsageError(f"{where}values has columns of unequal length; expected one length")
    table = np.stack(columns, axis=1) if columns else np.zeros((0, 0), np.float32)
    return Activity(table, rate, _start(activity, where))


def _start(activity: Object, where: str) -> float:
    start = seconds(activity, "start", where)
    return 0.0 if math.isnan(start) else start


def _column(values: Object, label: str, where: str) -> NDArray[np.float32]:
    """One class's activity; null becomes NaN. Checked as a whole: an hour has 36,000 values."""
    column = list_of(values, label, where)
    if not set(map(type, column)) <= NUMBER_TYPES:
        raise UsageError(f"{where}{label} is not a list of numbers; expected {_PROBABILITY}")
    if any(v is not None and not 0 <= v <= 1 for v in column):
        raise UsageError(f"{where}{label} has a value outside 0 to 1; expected {_PROBABILITY}")
    return np.array(column, dtype=np.float32)


def _picture(uri: object) -> bytes | None:
    """The bytes of a PNG or JPEG data URI; None for anything else, which a page does not show."""
    if not isinstance(uri, str) or not uri.startswith(_PICTURES):
        return None
    try:
        return base64.b64decode(uri.partition(",")[2], validate=True)
    except binascii.Error:
        return None


def _threshold(table: Object, where: str) -> float:
    """A threshold that no probability reaches is null in the file and infinite here."""
    return number(table, "threshold", where, missing=math.inf)

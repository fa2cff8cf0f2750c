"""Writing: an outcome to an object of schema 1, and the object to a line of JSON."""

from __future__ import annotations

import base64
import json
import math

import numpy as np

from av_tagger.clip import Clip
from av_tagger.reports.schema.read import SCHEMA, Document
from av_tagger.scores import (
    Activity,
    BranchInfo,
    ClassScore,
    Evidence,
    Failed,
    Heat,
    KeyFrame,
    Outcome,
    RunInfo,
    Shot,
    Tag,
    Tagged,
)

_is_finite = math.isfinite
_PROBABILITY_DIGITS = 6
_SECONDS_DIGITS = 3
_PLACE_DIGITS = 3  # of shares of a picture
_HEAT_DIGITS = 2
_ENCODER = json.JSONEncoder(allow_nan=False, check_circular=False)  # documents are trees
_ACTIVITY_DIGITS = 4  # for display; keeps an hour of 17 classes under 5 MB


def as_json(
    outcome: Outcome, *, detail: bool = False, spectrogram: bytes | None = None
) -> Document:
    """The object of schema 1; `spectrogram`, a PNG or JPEG, is stored in the detail."""
    if isinstance(outcome, Failed):
        return {**_head(outcome.clip), "error": {"kind": outcome.kind, "message": outcome.message}}
    document: Document = {
        **_head(outcome.clip),
        "duration": _seconds(outcome.duration_seconds),
        "tags": [_tag(tag) for tag in outcome.tags],
        "scores": {label: _class_score(score) for label, score in outcome.scores.items()},
        "keyframes": [
            {"time": _seconds(k.seconds), "weight": _probability(k.weight)}
            for k in outcome.keyframes
        ],
        "ear": _branch(outcome.ear),
        "eye": _branch(outcome.eye),
        "run": _run(outcome.run),
    }
    if outcome.shots:
        document["shots"] = [_shot(shot) for shot in outcome.shots]
    if outcome.notes:
        document["notes"] = list(outcome.notes)
    if detail:
        document["detail"] = _detail(outcome, spectrogram)
    return document


def as_line(
    outcome: Outcome,
    *,
    detail: bool = False,
    spectrogram: bytes | None = None,
    timed: bool = True,
) -> str:
    """The object as one line of JSON, without line end; `timed`: with the seconds that it took.

    Pure ASCII, so that file names that are not valid UTF-8 survive any encoding.
    """
    document = as_json(outcome, detail=detail, spectrogram=spectrogram)
    if not timed and "run" in document:
        document["run"]["seconds"] = None
    return _ENCODER.encode(document)


def _finite(value: float | None, digits: int) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits) + 0.0  # + 0.0 turns -0.0 into 0.0


def _seconds(value: float | None) -> float | None:
    return _finite(value, _SECONDS_DIGITS)


def _probability(value: float | None) -> float | None:
    """As `_finite`: of the hundred numbers of a result nearly all are probabilities."""
    if value is None or not _is_finite(value):
        return None
    return round(float(value), _PROBABILITY_DIGITS) + 0.0


def _head(clip: Clip) -> Document:
    head: Document = {"schema": SCHEMA, "file": clip.name}
    if clip.start_seconds > 0 or clip.end_seconds is not None:
        # Not rounded: a run finds its result again by the exact clip.
        head["clip"] = {
            "start": float(clip.start_seconds),
            "end": None if clip.end_seconds is None else float(clip.end_seconds),
        }
    return head


def _tag(tag: Tag) -> Document:
    return {
        "label": tag.label,
        "probability": _probability(tag.probability),
        "threshold": _probability(tag.threshold),
        "heard": _probability(tag.heard),
        "seen": _probability(tag.seen),
        "events": [
            {"start": _seconds(e.start), "end": _seconds(e.end), "peak": _probability(e.peak)}
            for e in tag.events
        ],
        "evidence": [_evidence(e) for e in tag.evidence],
        **_mark(tag.mark),
    }


def _mark(mark: str) -> Document:
    return {"mark": mark} if mark else {}


def _evidence(e: Evidence) -> Document:
    numbers = {"probability": _probability(e.probability), "similarity": _probability(e.similarity)}
    found: Document = {"time": _seconds(e.seconds), "object": e.object, **numbers}
    return found if e.where is None else found | {"where": _heat(e.where)}


def _heat(heat: Heat) -> Document:
    return {
        "area": [_finite(v, _PLACE_DIGITS) for v in heat.area],
        "box": [_finite(v, _PLACE_DIGITS) for v in heat.box],
        "grid": [[_finite(v, _HEAT_DIGITS) for v in row] for row in heat.grid],
    }


def _shot(shot: Shot) -> Document:
    tags = [{"label": label, "peak": _probability(peak)} for label, peak in shot.tags]
    return {"start": _seconds(shot.start), "end": _seconds(shot.end), "tags": tags}


def _class_score(score: ClassScore) -> Document:
    row: Document = {
        "fused": _probability(score.fused),
        "heard": _probability(score.heard),
        "seen": _probability(score.seen),
        "threshold": _probability(score.threshold),
    }
    if score.ear_threshold is not None:
        row["ear_threshold"] = _probability(score.ear_threshold)
    return row | _mark(score.mark) if score.mark else row


def _branch(branch: BranchInfo) -> Document:
    return {"status": str(branch.status), "weights": branch.weights, "model": branch.model}


def _run(run: RunInfo) -> Document:
    return {
        "version": run.version,
        "device": run.device,
        "fingerprint": run.fingerprint,
        "seconds": _seconds(run.seconds),
    }


def _detail(tagged: Tagged, spectrogram: bytes | None) -> Document:
    detail: Document = {"keyframes": [_keyframe_detail(k) for k in tagged.keyframes]}
    if tagged.activity is not None:
        detail["activity"] = _activity(tagged.activity, tuple(tagged.scores))
    if spectrogram is not None:
        detail["spectrogram"] = data_uri(spectrogram)
    return detail


def _keyframe_detail(keyframe: KeyFrame) -> Document:
    objects = [{"object": name, "probability": _probability(p)} for name, p in keyframe.objects]
    return {
        "objects": objects,
        "picture": None if keyframe.picture is None else data_uri(keyframe.picture),
    }


def _activity(activity: Activity, labels: tuple[str, ...]) -> Document:
    columns = np.round(activity.values.astype(np.float64), _ACTIVITY_DIGITS).T
    values = {
        label: [v if math.isfinite(v) else None for v in column.tolist()]
        for label, column in zip(labels, columns, strict=True)
    }
    return {
        "rate": float(activity.rate),
        "start": _seconds(activity.start_seconds),
        "values": values,
    }


def data_uri(picture: bytes) -> str:
    """A PNG or JPEG as a data URI, for the `src` of an <img>."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"

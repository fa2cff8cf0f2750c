"""One result as one JSON object, there and back: schema 1, whose formal twin is `resources/schema1.json`.

    {"schema": 1, "file": "a.mp4", "duration": 10.0,
     "tags": [{"label", "probability", "threshold", "heard", "seen",
               "events": [{"start", "end", "peak"}],
               "evidence": [{"time", "object", "probability", "similarity"}]}],     most probable tag first
     "scores": {label: {"fused", "heard", "seen", "threshold"}},                    every class
     "keyframes": [{"time", "weight"}],
     "ear": {"status", "weights", "model"}, "eye": {"status", "weights", "model"},
     "run": {"version", "device", "fingerprint", "seconds"}}

A file that failed: `{"schema": 1, "file": ..., "error": {"kind", "message"}}`.

- Every time is in seconds of the *file*, also when only a part of it was tagged; that part is then said by
  `"clip": {"start", "end"}` (`end` is null for "until the file ends").
- `null` stands for what is not there: a witness without opinion, or a threshold that no probability reaches. NaN is never written.
- `"notes"`: what could not be read, in words; only there when there is something to say.
- `"detail"`: only on demand. `"activity": {"rate", "start", "values": {label: [...]}}` (frame probabilities),
  `"keyframes": [{"objects": [{"object", "probability"}], "picture"}]` in the order of the outer list, and `"spectrogram"`;
  pictures are data URIs.
- Readers ignore fields that they do not know; fields may be added under the same number, none changes its meaning.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from av_tagger.clip import Clip
from av_tagger.errors import StorageError, TableError, UsageError
from av_tagger.scores import (
    Activity,
    BranchInfo,
    ClassScore,
    Event,
    Evidence,
    Failed,
    KeyFrame,
    Outcome,
    RunInfo,
    Status,
    Tag,
    Tagged,
)

SCHEMA = 1

Document = dict[str, Any]

_PROBABILITY_DIGITS = 6
_SECONDS_DIGITS = 3
_ACTIVITY_DIGITS = 4  # a curve for eyes; keeps an hour of 17 classes under 5 MB


def as_json(
    outcome: Outcome, *, detail: bool = False, spectrogram: bytes | None = None
) -> Document:
    """The object of schema 1; `spectrogram` is a PNG or JPEG and travels in the detail."""
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
    if outcome.notes:
        document["notes"] = list(outcome.notes)
    if detail:
        document["detail"] = _detail(outcome, spectrogram)
    return document


def as_line(outcome: Outcome, *, detail: bool = False, spectrogram: bytes | None = None) -> str:
    """The object as one line of JSON without its line end; pure ASCII, so that odd file names survive any encoding."""
    return json.dumps(as_json(outcome, detail=detail, spectrogram=spectrogram), allow_nan=False)


def from_json(document: Mapping[str, Any]) -> Outcome:
    """The outcome that an object of schema 1 tells of."""
    if not isinstance(document, Mapping) or "schema" not in document:
        raise UsageError(
            "this is no result of av-tag: it has no field 'schema'; give JSON lines that av-tag has written"
        )
    if document["schema"] != SCHEMA:
        raise UsageError(
            f"this result has schema {document['schema']!r:.20}; this av_tagger reads {SCHEMA}: tag the file again or update"
        )
    try:
        return _failed(document) if "error" in document else _tagged(document)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(
            f"this result is not whole ({type(error).__name__}: {error}); tag the file again"
        ) from error


def spectrogram_of(document: Mapping[str, Any]) -> bytes | None:
    """The spectrogram picture that travels in a result's detail."""
    detail = document.get("detail")
    return _picture_bytes(detail.get("spectrogram")) if isinstance(detail, Mapping) else None


def read_documents(path: Path) -> Iterator[Document]:
    """The objects of a JSON-lines file one by one; a last line that is still being written is left out."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    document = json.loads(line) if line.strip() else None
                except ValueError as error:
                    if not line.endswith(b"\n"):
                        return
                    raise TableError(
                        path, number, f"is no JSON ({error})", "one result a line"
                    ) from error
                if document is not None:
                    yield document
    except OSError as error:
        raise StorageError(
            f"{path}: the results cannot be read ({error.strerror}); name a file that av-tag wrote with --json"
        ) from error


def read_outcomes(path: Path) -> Iterator[Outcome]:
    """The outcomes of a JSON-lines file one by one."""
    for number, document in enumerate(read_documents(path), 1):
        try:
            yield from_json(document)
        except UsageError as error:
            raise TableError(path, number, str(error)) from error


def find_results(path: Path) -> Path:
    """The file of JSON lines that is meant: itself, or the one in a run's folder."""
    if path.is_dir():
        inside = path / "results.jsonl"
        if not inside.is_file():
            raise UsageError(
                f"{path}: this folder holds no results.jsonl; name the folder of a run, or a file of JSON lines"
            )
        return inside
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file or folder; name what av-tag has written")
    return path


# Writing.


def _finite(value: float | None, digits: int) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits) + 0.0  # + 0.0 turns -0.0 into 0.0


def _seconds(value: float | None) -> float | None:
    return _finite(value, _SECONDS_DIGITS)


def _probability(value: float | None) -> float | None:
    return _finite(value, _PROBABILITY_DIGITS)


def _head(clip: Clip) -> Document:
    head: Document = {"schema": SCHEMA, "file": clip.name}
    if clip.start_seconds > 0 or clip.end_seconds is not None:
        # Not rounded: the clip is a key by which a run finds its result again.
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
    }


def _evidence(e: Evidence) -> Document:
    numbers = {"probability": _probability(e.probability), "similarity": _probability(e.similarity)}
    return {"time": _seconds(e.seconds), "object": e.object, **numbers}


def _class_score(score: ClassScore) -> Document:
    return {
        name: _probability(getattr(score, name)) for name in ("fused", "heard", "seen", "threshold")
    }


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
    """A PNG or JPEG as text that an <img> shows."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"


# Reading. Values come from a file that anybody may have written: each is made into its own type, or the object is refused.


def _number(value: Any, missing: float = math.nan) -> float:
    return missing if value is None else float(value)


def _maybe(value: Any) -> float | None:
    return None if value is None else float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} should be text")
    return value


def _clip(document: Mapping[str, Any]) -> Clip:
    part = document.get("clip") or {}
    return Clip(
        Path(_text(document["file"])), _number(part.get("start"), 0.0), _maybe(part.get("end"))
    )


def _failed(document: Mapping[str, Any]) -> Failed:
    return Failed(
        _clip(document), _text(document["error"]["kind"]), _text(document["error"]["message"])
    )


def _tagged(document: Mapping[str, Any]) -> Tagged:
    detail = document.get("detail") or {}
    scores = {label: _read_class_score(score) for label, score in document["scores"].items()}
    return Tagged(
        clip=_clip(document),
        duration_seconds=_number(document["duration"]),
        tags=tuple(_read_tag(tag) for tag in document["tags"]),
        scores=scores,
        keyframes=_read_keyframes(document["keyframes"], detail.get("keyframes") or []),
        ear=_read_branch(document["ear"]),
        eye=_read_branch(document["eye"]),
        run=_read_run(document["run"]),
        activity=_read_activity(detail.get("activity"), tuple(scores)),
        notes=tuple(_text(note) for note in document.get("notes", ())),
    )


def _read_tag(tag: Mapping[str, Any]) -> Tag:
    return Tag(
        label=_text(tag["label"]),
        probability=_number(tag["probability"]),
        threshold=_number(tag["threshold"], math.inf),
        heard=_maybe(tag["heard"]),
        seen=_maybe(tag["seen"]),
        events=tuple(
            Event(float(e["start"]), float(e["end"]), _number(e["peak"])) for e in tag["events"]
        ),
        evidence=tuple(_read_evidence(e) for e in tag["evidence"]),
    )


def _read_evidence(e: Mapping[str, Any]) -> Evidence:
    return Evidence(
        _number(e["time"]), _text(e["object"]), _number(e["probability"]), _number(e["similarity"])
    )


def _read_class_score(score: Mapping[str, Any]) -> ClassScore:
    return ClassScore(
        _number(score["fused"]),
        _maybe(score["heard"]),
        _maybe(score["seen"]),
        _number(score.get("threshold"), math.inf),
    )


def _read_keyframes(
    outer: list[Mapping[str, Any]], details: list[Mapping[str, Any]]
) -> tuple[KeyFrame, ...]:
    details = details or [{}] * len(outer)
    return tuple(_read_keyframe(k, d) for k, d in zip(outer, details, strict=True))


def _read_keyframe(outer: Mapping[str, Any], detail: Mapping[str, Any]) -> KeyFrame:
    objects = tuple(
        (_text(o["object"]), _number(o["probability"])) for o in detail.get("objects", ())
    )
    return KeyFrame(
        _number(outer["time"]),
        _number(outer["weight"]),
        objects,
        _picture_bytes(detail.get("picture")),
    )


def _picture_bytes(uri: Any) -> bytes | None:
    """The bytes of a data URI of ours; anything else is no picture."""
    if not isinstance(uri, str) or not uri.startswith(
        ("data:image/jpeg;base64,", "data:image/png;base64,")
    ):
        return None
    try:
        return base64.b64decode(uri.partition(",")[2], validate=True)
    except binascii.Error:
        return None


def _read_branch(branch: Mapping[str, Any]) -> BranchInfo:
    weights = branch["weights"]
    return BranchInfo(
        Status(branch["status"]),
        _text(branch["model"]),
        None if weights is None else _text(weights),
    )


def _read_run(run: Mapping[str, Any]) -> RunInfo:
    return RunInfo(
        _text(run["version"]),
        _text(run["device"]),
        _text(run["fingerprint"]),
        _number(run["seconds"]),
    )


def _read_activity(activity: Mapping[str, Any] | None, labels: tuple[str, ...]) -> Activity | None:
    if activity is None:
        return None
    values = activity["values"]
    columns = [
        np.asarray([_number(v) for v in values[label]], dtype=np.float32) for label in labels
    ]
    table = np.stack(columns, axis=1) if columns else np.zeros((0, 0), np.float32)
    return Activity(table, float(activity["rate"]), _number(activity["start"], 0.0))

"""A day of the journal as one result of schema 1, which `av-tag report` and exports read."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av_tagger.clip import Clip
from av_tagger.reports.schema import as_line
from av_tagger.scores import BranchInfo, ClassScore, Event, Evidence, RunInfo, Tag, Tagged

CLOSED = "SELECT document FROM lines WHERE kind = 'close' ORDER BY id"
LENGTH = "SELECT max(coalesce(end, start)) FROM lines"


@dataclass(frozen=True)
class StreamHead:
    """What a result says besides its events: the source, ear, eye, and the run."""

    source: str
    ear: BranchInfo
    eye: BranchInfo
    run: RunInfo


def write_day(database: sqlite3.Connection, path: Path, head: StreamHead) -> None:
    """Replace the file of the day; times are seconds of the day where the wall clock is known."""
    documents = [json.loads(text) for (text,) in database.execute(CLOSED)]
    (length,) = database.execute(LENGTH).fetchone()
    temporary = path.with_suffix(".part")
    temporary.write_text(as_line(result_of(documents, length or 0.0, head)) + "\n", "ascii")
    temporary.replace(path)


def result_of(documents: Iterable[dict[str, Any]], length: float, head: StreamHead) -> Tagged:
    """One result of many `close` lines."""
    by_label: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for document in documents:
        by_label[document["label"]].append(document)
    tags = [_tag(label, found) for label, found in by_label.items()]
    ends = [event.end for tag in tags for event in tag.events]
    return Tagged(
        clip=Clip(Path(head.source)),
        duration_seconds=max([length, *ends]),
        tags=tuple(sorted(tags, key=lambda tag: -tag.probability)),
        scores={t.label: ClassScore(t.probability, t.heard, t.seen, t.threshold) for t in tags},
        keyframes=(),
        ear=head.ear,
        eye=head.eye,
        run=head.run,
    )


def _tag(label: str, found: list[dict[str, Any]]) -> Tag:
    best = max(found, key=lambda d: d.get("probability") or 0.0)
    events = sorted(map(_event, found), key=lambda event: event.start)
    return Tag(
        label,
        best.get("probability") or 0.0,
        best.get("threshold") or 0.0,
        best.get("heard"),
        best.get("seen"),
        tuple(events),
        tuple(
            Evidence(e["time"], e["object"], e["probability"], e["similarity"])
            for e in best.get("evidence", ())
        ),
    )


def _event(document: dict[str, Any]) -> Event:
    start, end = document["start"], document["end"]
    begin = start if document.get("wall") is None else _of_day(document["wall"])
    return Event(begin, begin + end - start, document.get("peak") or 0.0)


def _of_day(wall: float) -> float:
    """Seconds since midnight on this machine."""
    when = dt.datetime.fromtimestamp(wall).astimezone()
    midnight = when.replace(hour=0, minute=0, second=0, microsecond=0)
    return round((when - midnight).total_seconds(), 3)

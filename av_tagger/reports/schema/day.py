"""A day of the journal of `av-tag listen`, an SQLite file, as one result of schema 1."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from av_tagger.clip import Clip
from av_tagger.errors import StorageError, UsageError
from av_tagger.scores import BranchInfo, ClassScore, Event, Evidence, RunInfo, Status, Tag, Tagged

SUFFIX = ".sqlite"
TABLES = """
CREATE TABLE IF NOT EXISTS lines (
    id INTEGER PRIMARY KEY,
    wall REAL,
    kind TEXT NOT NULL,
    label TEXT,
    start REAL NOT NULL,
    end REAL,
    peak REAL,
    document TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS lines_by_label ON lines (label, start);
CREATE TABLE IF NOT EXISTS head (document TEXT NOT NULL);
"""
CLOSED = "SELECT document FROM lines WHERE kind = 'close' ORDER BY id"
LENGTH = "SELECT max(coalesce(end, start)) FROM lines"
HEAD = "SELECT document FROM head ORDER BY rowid DESC LIMIT 1"


@dataclass(frozen=True)
class StreamHead:
    """What a result says besides its events: the source, ear, eye, and the run."""

    source: str
    ear: BranchInfo
    eye: BranchInfo
    run: RunInfo

    def as_text(self) -> str:
        return json.dumps(asdict(self), default=str)


def head_of(text: str) -> StreamHead:
    """The reverse of `as_text`."""
    table = json.loads(text)
    ear, eye = (
        BranchInfo(Status(t["status"]), t["model"], t.get("weights"))
        for t in (table["ear"], table["eye"])
    )
    return StreamHead(table["source"], ear, eye, RunInfo(**table["run"]))


def read_day(path: Path) -> Tagged:
    """The result of a journal, also while it is being written."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return day_of(database, path)
    except (sqlite3.Error, ValueError, LookupError, TypeError) as error:
        reason = f"cannot be read as a journal of av-tag listen ({error})"
        raise StorageError(f"{path}: {reason}; name a file that --journal wrote") from error


def day_of(database: sqlite3.Connection, path: Path) -> Tagged:
    """The result of an open journal; times are seconds of the day where the time is known."""
    documents = [json.loads(text) for (text,) in database.execute(CLOSED)]
    (length,) = database.execute(LENGTH).fetchone()
    head = database.execute(HEAD).fetchone()
    if head is None:
        raise UsageError(f"{path}: holds no run; listen with --journal first")
    return result_of(documents, length or 0.0, head_of(head[0]))


def result_of(documents: Iterable[dict[str, Any]], length: float, head: StreamHead) -> Tagged:
    """One result of many `close` lines."""
    by_label: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for document in documents:
        by_label[document["label"]].append(document)
    tags = [_tag(label, found) for label, found in by_label.items()]
    ends = [event.end for tag in tags for event in tag.events]
    return Tagged(
        clip=Clip(Path(head.source), source=head.source if "://" in head.source else ""),
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

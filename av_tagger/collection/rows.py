"""Rows of the index: what is known of a clip, and per label the columns that searches read.

A column holds a number per tag or event, as bytes; each update appends a part to the columns of the
labels that it saw. A search reads the columns of few labels as arrays and touches no other row.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.scores import Tagged

Array = NDArray[Any]

EVERY_CLIP = 0  # label of the columns with all clips, and their dates as probabilities
MOST_PARTS = 8  # of one label; more are joined
CLIPS, VALUES, EVENT_CLIPS, STARTS, ENDS = "clips", "probabilities", "event_clips", "starts", "ends"
TYPES = {CLIPS: "<i4", VALUES: "<f8", EVENT_CLIPS: "<i4", STARTS: "<f8", ENDS: "<f8"}
NAMES = ", ".join(TYPES)
ADD_PART = f"INSERT INTO columns (label, {NAMES}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608
READ_PARTS = f"SELECT {NAMES} FROM columns WHERE label = ? ORDER BY part"  # noqa: S608
ADD_CLIP = """
INSERT INTO clips (digest, name, start, finish, duration, moment, detail)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""


@dataclass
class Columns:
    """All tags and events of a label: five lists, of equal length among the tags and the events."""

    values: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in TYPES})

    def add_tag(self, clip: int, probability: float) -> None:
        self.values[CLIPS].append(clip)
        self.values[VALUES].append(probability)

    def add_event(self, clip: int, start: float, end: float) -> None:
        for name, value in ((EVENT_CLIPS, clip), (STARTS, start), (ENDS, end)):
            self.values[name].append(value)

    def blobs(self) -> list[bytes]:
        return [np.asarray(self.values[name], kind).tobytes() for name, kind in TYPES.items()]


def bytes_of(text: str) -> bytes:
    """Names of files may hold bytes that are not UTF-8, which SQLite does not store as text."""
    return text.encode("utf-8", "surrogateescape")


def text_of(data: object) -> str:
    if not isinstance(data, bytes):  # SQLite has no strict columns
        raise TypeError(f"{data!r} is no name")
    return data.decode("utf-8", "surrogateescape")


def read_columns(db: sqlite3.Connection, label: int) -> dict[str, Array]:
    """The columns of a label as arrays; ValueError if they do not fit each other."""
    parts = db.execute(READ_PARTS, (label,)).fetchall()
    found = {
        name: np.concatenate([np.empty(0, kind), *(np.frombuffer(p[place], kind) for p in parts)])
        for place, (name, kind) in enumerate(TYPES.items())
    }
    tags = {len(found[name]) for name in (CLIPS, VALUES)}
    events = {len(found[name]) for name in (EVENT_CLIPS, STARTS, ENDS)}
    if len(tags) > 1 or len(events) > 1:
        raise ValueError("columns of different lengths")
    return found


class Rows:
    """Adds clips and drops them; the caller holds the transaction and ends with `flush`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        rows = db.execute("SELECT name, id FROM labels")
        self.labels: dict[str, int] = {text_of(name): number for name, number in rows}
        self.new: dict[int, Columns] = defaultdict(Columns)

    def label(self, name: str) -> int:
        """The number of a label; a new one if need be."""
        if name not in self.labels:
            added = self.db.execute("INSERT INTO labels (name) VALUES (?)", (bytes_of(name),))
            self.labels[name] = added.lastrowid or 0
        return self.labels[name]

    def add_clip(
        self,
        name: str,
        span: Sequence[float | None],
        moment: float | None,
        detail: str,
        digest: bytes | None = None,
    ) -> int:
        """A clip with start, end and duration; returns its number."""
        row = (digest, bytes_of(name), *span, moment, detail)
        number = int(self.db.execute(ADD_CLIP, row).lastrowid or 0)
        path = name.encode("utf-8", "replace").decode("utf-8")
        self.db.execute("INSERT INTO paths (rowid, path) VALUES (?, ?)", (number, path))
        self.new[EVERY_CLIP].add_tag(number, math.nan if moment is None else moment)
        return number

    def add_result(self, digest: bytes, tagged: Tagged, moment: float | None) -> int:
        """A result of schema 1: the clip, its tags, and their events."""
        clip = tagged.clip
        span = clip.start_seconds, clip.end_seconds, _finite(tagged.duration_seconds)
        tags: list[tuple[str, float, list[list[float]]]] = [
            (
                tag.label,
                _finite(tag.probability) or 0.0,
                [
                    [e.start, e.end, _finite(e.peak) or 0.0]
                    for e in tag.events
                    if math.isfinite(e.start + e.end)
                ],
            )
            for tag in tagged.tags
        ]
        number = self.add_clip(clip.name, span, moment, json.dumps(tags), digest)
        for label, probability, events in tags:
            columns = self.new[self.label(label)]
            columns.add_tag(number, probability)
            for start, end, _ in events:
                columns.add_event(number, start, end)
        return number

    def flush(self) -> None:
        """Append what was added to the columns of each label."""
        self.db.executemany(ADD_PART, [(label, *new.blobs()) for label, new in self.new.items()])
        for label in self.new:
            count = "SELECT count(*) FROM columns WHERE label = ?"
            if self.db.execute(count, (label,)).fetchone()[0] > MOST_PARTS:
                self._replace(label, read_columns(self.db, label))
        self.new.clear()

    def drop(self, clips: Collection[int]) -> None:
        """Everything about some clips; after `flush`."""
        gone = [(clip,) for clip in clips]
        self.db.executemany("DELETE FROM paths WHERE rowid = ?", gone)
        self.db.executemany("DELETE FROM clips WHERE id = ?", gone)
        labels = self.db.execute("SELECT DISTINCT label FROM columns").fetchall() if gone else ()
        for (label,) in labels:
            self._filter(label, np.array(list(clips)))

    def _filter(self, label: int, gone: Array) -> None:
        columns = read_columns(self.db, label)
        tags, events = (~np.isin(columns[name], gone) for name in (CLIPS, EVENT_CLIPS))
        if not (tags.all() and events.all()):
            kept = {n: c[tags if n in (CLIPS, VALUES) else events] for n, c in columns.items()}
            self._replace(label, kept)

    def _replace(self, label: int, columns: dict[str, Array]) -> None:
        self.db.execute("DELETE FROM columns WHERE label = ?", (label,))
        blobs = [columns[name].astype(kind).tobytes() for name, kind in TYPES.items()]
        self.db.execute(ADD_PART, (label, *blobs))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

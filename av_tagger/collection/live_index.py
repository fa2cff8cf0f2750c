"""The journal of a live stream in the index: events, grouped to scenes that stand for clips.

A day has hundreds of events, so that "siren AND NOT music" about a day says nothing. A scene ends
after a minute without events, or after ten minutes.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av_tagger.collection.rows import Rows
from av_tagger.collection.sources import line_of, read_only
from av_tagger.errors import StorageError, sentence

PAUSE_SECONDS = 60.0
LONGEST_SCENE = 600.0
NEW_LINES = """
SELECT id, kind, document FROM lines WHERE id > ? AND kind IN ('close', 'kept') ORDER BY id
"""
LAST = "SELECT coalesce(max(id), 0) FROM lines"
LATEST = "SELECT id, start, finish, detail FROM clips ORDER BY id DESC LIMIT 1"
CHANGE = "UPDATE clips SET start = ?, finish = ?, duration = ?, detail = ? WHERE id = ?"


@dataclass
class LiveScene:
    """The clip that takes the next events."""

    clip: int
    start: float
    finish: float
    tags: list[list[Any]]  # label, probability, events (start, end, peak, number, media, its start)

    def takes(self, start: float) -> bool:
        near = self.start - PAUSE_SECONDS <= start <= self.finish + PAUSE_SECONDS
        return near and start - self.start <= LONGEST_SCENE

    def add(self, label: str, probability: float, event: list[Any]) -> None:
        for tag in self.tags:
            if tag[0] == label:
                tag[1] = max(tag[1], probability)
                tag[2].append(event)
                return
        self.tags.append([label, probability, [event]])

    def keep(self, number: Any, path: str, start: float) -> None:
        """The latest event of a number gets the file with its sound."""
        events = [event for _, _, found in self.tags for event in found]
        named = [event for event in events if event[3] == number]
        if number is not None and named:
            named[-1][4:] = [path, start]


def update(db: sqlite3.Connection, journal: Path) -> int:
    """Add the lines that are new since the last update; how many events are new."""
    try:
        with closing(read_only(journal)) as lines:
            return _Update(db, journal).run(lines)
    except sqlite3.DatabaseError as error:
        raise StorageError(
            sentence(journal, f"the journal cannot be read ({error})", "check the file")
        ) from error


class _Update:
    def __init__(self, db: sqlite3.Connection, journal: Path) -> None:
        self.db, self.rows, self.journal = db, Rows(db), journal
        row = db.execute(LATEST).fetchone()
        self.scene = None if row is None else LiveScene(row[0], row[1], row[2], json.loads(row[3]))
        self.new = 0

    def run(self, lines: sqlite3.Connection) -> int:
        known = self.db.execute("SELECT value FROM facts WHERE name = 'last'").fetchone()
        last = 0 if known is None else int(known[0])
        if lines.execute(LAST).fetchone()[0] < last:  # another journal of the same name
            self.rows.drop([row[0] for row in self.db.execute("SELECT id FROM clips").fetchall()])
            self.scene, last = None, 0
        for number, kind, document in lines.execute(NEW_LINES, (last,)):
            last = number
            self._take(kind, line_of(document))
        self._store()
        self.rows.flush()
        self.db.execute("INSERT OR REPLACE INTO facts VALUES ('last', ?)", (str(last),))
        return self.new

    def _take(self, kind: str, line: dict[str, Any]) -> None:
        start, end = _number(line, "start"), _number(line, "end")
        if start is None or end is None or not isinstance(line.get("label"), str):
            return
        if kind == "kept":
            if self.scene is not None and isinstance(line.get("text"), str):
                self.scene.keep(line.get("number"), line["text"], start)
            return
        peak, probability = _number(line, "peak") or 0.0, _number(line, "probability")
        scene = self._scene_for(line, start)
        scene.start, scene.finish = min(scene.start, start), max(scene.finish, end)
        probability = peak if probability is None else probability
        event = [start, end, peak, line.get("number"), "", 0.0]
        scene.add(line["label"], probability, event)
        columns = self.rows.new[self.rows.label(line["label"])]
        columns.add_tag(scene.clip, probability)
        columns.add_event(scene.clip, start, end)
        self.new += 1

    def _scene_for(self, line: dict[str, Any], start: float) -> LiveScene:
        if self.scene is None or not self.scene.takes(start):
            self._store()
            span, wall = (start, start, 0.0), _number(line, "wall")
            clip = self.rows.add_clip(str(self.journal), span, wall, "[]")
            self.scene = LiveScene(clip, start, start, [])
        return self.scene

    def _store(self) -> None:
        if self.scene is not None:
            s = self.scene
            row = (s.start, s.finish, s.finish - s.start, json.dumps(s.tags), s.clip)
            self.db.execute(CHANGE, row)


def _number(line: dict[str, Any], name: str) -> float | None:
    value = line.get(name)
    return float(value) if isinstance(value, int | float) and abs(value) < 1e10 else None

"""Files that grow with the stream: WebVTT captions, and a daily journal in SQLite."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

from av_tagger.errors import StorageError
from av_tagger.live.lines import LineKind, LiveLine, as_document
from av_tagger.live.run import PlainOutput
from av_tagger.reports.schema import as_line
from av_tagger.reports.schema.day import SUFFIX, TABLES, StreamHead, day_of

KEPT_KINDS = (
    LineKind.OPEN,
    LineKind.CLOSE,
    LineKind.GAP,
    LineKind.NOTE,
    LineKind.KEPT,
    LineKind.END,
)


class GrowingCaptions(PlainOutput):
    """A WebVTT file: a cue per event, written when it has ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise _storage(path, error) from error
        self._write("WEBVTT\n")

    def take(self, line: LiveLine) -> None:
        if line.kind is LineKind.CLOSE and line.end is not None:
            text = line.label.replace("&", "&amp;").replace("<", "&lt;")
            self._write(f"\n{_vtt(line.start)} --> {_vtt(line.end)}\n[{text}]\n")

    def close(self) -> None:
        self._file.close()

    def _write(self, text: str) -> None:
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            raise _storage(self.path, error) from error


class DailyJournal(PlainOutput):
    """One SQLite file per day: every event, gap and note, there at once and after a crash.

    When a day or the stream ends, its result is written beside it, for `av-tag report`.
    """

    def __init__(
        self, folder: Path, head: StreamHead, today: Callable[[], str] | None = None
    ) -> None:
        self.folder, self.head, self._today = folder, head, today or _today
        self._day = ""
        self._db: sqlite3.Connection | None = None
        self._open()

    def take(self, line: LiveLine) -> None:
        if line.kind not in KEPT_KINDS:
            return
        database = self._open()
        document = json.dumps(as_document(line), allow_nan=False)
        row = (line.wall, str(line.kind), line.label, line.start, line.end, line.peak, document)
        try:
            with database:
                database.execute(
                    "INSERT INTO lines (wall, kind, label, start, end, peak, document)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row,
                )
        except sqlite3.Error as error:
            raise StorageError(f"{self.path}: cannot be written ({error})") from error

    @property
    def path(self) -> Path:
        return self.folder / f"{self._day}{SUFFIX}"

    def close(self) -> None:
        if self._db is not None:
            self._write_result(self._db)
            self._db.close()
            self._db = None

    def _write_result(self, database: sqlite3.Connection) -> None:
        """Replace the result of the day."""
        path = self.path.with_suffix(".jsonl")
        temporary = path.with_suffix(".part")
        temporary.write_text(as_line(day_of(database, self.path)) + "\n", "ascii")
        temporary.replace(path)

    def _open(self) -> sqlite3.Connection:
        """The database of today; a new one after midnight."""
        day = self._today()
        if self._db is not None and day == self._day:
            return self._db
        self.close()
        self._day = day
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(TABLES)
            with self._db:
                self._db.execute("INSERT INTO head VALUES (?)", (self.head.as_text(),))
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"{self.path}: cannot be written ({error})") from error
        return self._db


def _today() -> str:
    return dt.datetime.now().astimezone().strftime("%Y-%m-%d")


def _vtt(seconds: float) -> str:
    minutes, rest = divmod(max(0.0, seconds), 60)
    return f"{int(minutes) // 60:02d}:{int(minutes) % 60:02d}:{rest:06.3f}"


def _storage(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: cannot be written ({error.strerror}); check the folder and the disk"
    )

"""The index of one source: a small SQLite file beside it, brought up to date before every search.

It is a cache: whatever happens to it, it can be deleted and is made again. Every update is one
transaction, so a kill leaves the index as it was. Times are seconds of the file, or of the stream.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from av_tagger.clip import Clip
from av_tagger.collection import live_index
from av_tagger.collection.rows import Rows, text_of
from av_tagger.collection.sources import IndexSource
from av_tagger.errors import StorageError, sentence
from av_tagger.reports.schema.lines import parse_line, read_lines
from av_tagger.scores import Tagged

VERSION = 1
APPLICATION = 0x41565447  # "AVTG": marks the file as ours
LOCK_SECONDS = 60.0
CACHE_KIB = 32_768
SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS labels (id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS clips (
    id INTEGER PRIMARY KEY, digest BLOB UNIQUE, name BLOB NOT NULL, start REAL NOT NULL,
    finish REAL, duration REAL, moment REAL, detail TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS clips_by_name ON clips (name);
CREATE TABLE IF NOT EXISTS columns (
    part INTEGER PRIMARY KEY, label INTEGER NOT NULL, clips BLOB NOT NULL,
    probabilities BLOB NOT NULL, event_clips BLOB NOT NULL, starts BLOB NOT NULL,
    ends BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS columns_by_label ON columns (label);
"""
PATHS = "CREATE VIRTUAL TABLE IF NOT EXISTS paths USING fts5(path, tokenize = 'trigram')"
PLAIN_PATHS = "CREATE TABLE IF NOT EXISTS paths (path TEXT NOT NULL)"  # without FTS5
# Virtual tables first: their own tables go with them.
OLD_TABLES = """
SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
ORDER BY sql LIKE 'CREATE VIRTUAL%' DESC
"""
AGAIN = "delete it; it is made again"


class Index:
    """A connection to the index of a source."""

    def __init__(self, source: IndexSource) -> None:
        self.source, self.path = source, source.index_path()
        with _storage(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.db = sqlite3.connect(self.path, timeout=LOCK_SECONDS, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self.db.close()
                raise

    def _prepare(self) -> None:
        """Two processes may do this at once: tables are made in one transaction."""
        self.db.execute("PRAGMA trusted_schema = OFF")
        self.db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self.db.execute("PRAGMA synchronous = NORMAL")
        if self._is_current():
            return
        with self._transaction():
            if not self._is_current():
                self._create()

    def _is_current(self) -> bool:
        """Whether the file has tables of this version; an error if it is not ours."""
        made = self.db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if made and self.db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
            remedy = "move it away, then search again"
            raise StorageError(sentence(self.path, "is no index of av-tag", remedy))
        version = self.db.execute("PRAGMA user_version").fetchone()[0]
        return bool(made) and version == VERSION

    def _create(self) -> None:
        """Replace all tables, those of another version, too."""
        tables = self.db.execute(OLD_TABLES).fetchall()
        for (name,) in tables:
            self.db.execute(f'DROP TABLE IF EXISTS "{name}"')
        for statement in SCHEMA.split(";"):
            self.db.execute(statement)
        try:
            self.db.execute(PATHS)
        except sqlite3.OperationalError:
            self.db.execute(PLAIN_PATHS)
        self.db.execute(f"PRAGMA application_id = {APPLICATION}")
        self.db.execute(f"PRAGMA user_version = {VERSION}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.db.close()

    def update(self) -> int:
        """Take up what is new in the source and drop what is gone; how many results are new."""
        with _storage(self.path):
            if self.source.live:
                with self._transaction():
                    return live_index.update(self.db, self.source.path)
            return self._update_results()

    def _update_results(self) -> int:
        state = _state(self.source.path)
        if self._fact("state") == state:
            return 0
        with self._transaction():
            new = self._read_results()
            self.db.execute("INSERT OR REPLACE INTO facts VALUES ('state', ?)", (state,))
        return new

    def _read_results(self) -> int:
        """Lines are known by a digest: a table that was put in order again is not parsed again."""
        known = dict(self.db.execute("SELECT digest, id FROM clips"))
        gone, rows, new = set(known.values()), Rows(self.db), 0
        for number, line in read_lines(self.source.path):
            digest = hashlib.blake2b(line.strip(), digest_size=16).digest()
            if digest in known:
                gone.discard(known[digest])
                continue
            outcome = parse_line(self.source.path, number, line)
            if isinstance(outcome, Tagged):
                known[digest] = rows.add_result(digest, outcome, moment_of(outcome.clip))
                new += 1
        rows.flush()
        rows.drop(gone)
        return new

    def labels(self) -> dict[str, int]:
        """Number of every label in this index."""
        with _storage(self.path):
            rows = self.db.execute("SELECT name, id FROM labels").fetchall()
        return {text_of(name): number for name, number in rows}

    def counts(self) -> tuple[int, int]:
        """How many clips and events there are."""
        query = "SELECT (SELECT count(*) FROM clips), total(length(ends)) / 8 FROM columns"
        with _storage(self.path):
            clips, events = self.db.execute(query).fetchone()
        return int(clips), int(events)

    def _fact(self, name: str) -> str:
        row = self.db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return "" if row is None else str(row[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise


def moment_of(clip: Clip) -> float | None:
    """When the media file was last changed (Unix time); None if it is not there."""
    with suppress(OSError, ValueError):
        return clip.path.stat().st_mtime
    return None


def _state(path: Path) -> str:
    status = os.stat(path)  # noqa: PTH116 - an OSError becomes a StorageError outside
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


@contextmanager
def _storage(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the disk as one sentence."""
    try:
        yield
    except sqlite3.OperationalError as error:
        reason = f"the index cannot be used ({error})"
        raise StorageError(sentence(path, reason, "free some space, or delete it")) from error
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise StorageError(sentence(path, f"the index is damaged ({error})", AGAIN)) from error
    except OSError as error:
        reason = f"the index cannot be made ({error.strerror or error})"
        raise StorageError(sentence(path, reason, "check the folder")) from error

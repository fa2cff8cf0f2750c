"""The journal: what is to be done and what is known, in one file that survives a kill at any moment."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from av_tagger.clip import Clip
from av_tagger.errors import StorageError
from av_tagger.runner.job import DONE, FAILED, Item, Job, Record, failure

# Why SQLite, and why WAL. A journal needs: a record that is there whole or not at all after kill -9; many writers on one machine (one
# process a GPU) without a server; a claim that only one of them can win; a key that is looked up among millions; bounded memory. A
# transaction gives each of these; appended JSON gives none of the last three, and a file per result costs an inode and two syncs a clip.
# In WAL mode readers (progress, table) never block the writers. synchronous=NORMAL: nothing is lost with a process; with a power cut the
# last transactions may be, which are then done again, and the file is never torn. A document lives in the same transaction as its mark
# "done", so neither can exist without the other. Network file systems have no WAL: there a run takes `--shard`, one journal a machine.
NAME = "journal.sqlite"
PATIENCE_SECONDS = 60.0  # for the lock of another process
WAITING, CLAIMED, SETTLED = 0, 1, 2
MOST_DEATHS = 2  # a clip over which that many processes died is given up
CHUNK = 500  # rows a statement while a plan is made

_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, path BLOB NOT NULL, start REAL NOT NULL, finish REAL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, fingerprint TEXT NOT NULL, status TEXT NOT NULL, kind TEXT NOT NULL,
    heard TEXT NOT NULL, seen TEXT NOT NULL, seconds REAL NOT NULL, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS plan (
    position INTEGER PRIMARY KEY, turn INTEGER NOT NULL, key BLOB NOT NULL UNIQUE, path BLOB NOT NULL, start REAL NOT NULL, finish REAL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, fingerprint TEXT NOT NULL, listed TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, owner TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS next_of_plan ON plan (state, turn, position);
CREATE TABLE IF NOT EXISTS timings (owner TEXT PRIMARY KEY, profile TEXT NOT NULL);
"""
_PLANNED = """
INSERT OR IGNORE INTO plan (position, turn, key, path, start, finish, size, mtime_ns, fingerprint, listed) VALUES (?,?,?,?,?,?,?,?,?,?)
"""
_CLAIM = """
UPDATE plan SET state = 1, owner = ? WHERE position IN (SELECT position FROM plan WHERE state = 0 AND (attempts > 0) = ?
ORDER BY turn, position LIMIT ?) RETURNING turn, position, path, start, finish, size, attempts
"""
_SETTLE = """
INSERT OR REPLACE INTO results (key, path, start, finish, size, mtime_ns, fingerprint, status, kind, heard, seen, seconds, document)
SELECT key, path, start, finish, size, mtime_ns, fingerprint, ?, ?, ?, ?, ?, ? FROM plan WHERE position = ?
"""
_COPY = "key, path, start, finish, size, mtime_ns, fingerprint, status, kind, heard, seen, seconds, document"


@dataclass(frozen=True)
class Choice:
    """Which part of what was asked for this run does, and in which order."""

    shard: tuple[int, int] = (1, 1)
    shuffle: int | None = None  # the seed
    limit: int | None = None
    retry_failed: bool = False


@dataclass(frozen=True)
class RunCounts:
    """How far a run is."""

    total: int
    done: int
    failed: int

    @property
    def left(self) -> int:
        return self.total - self.done - self.failed


class Journal:
    """One connection to a run's journal; may be used by several threads."""

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self.folder, self.path = folder, folder / NAME
        self._lock = threading.RLock()
        with self._storage():
            folder.mkdir(parents=True, exist_ok=True)
            if fresh:
                for suffix in ("", "-wal", "-shm"):
                    Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            self._db = sqlite3.connect(
                self.path, timeout=PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise
        self._inode = self.path.stat().st_ino

    def _prepare(self) -> None:
        self._db.execute(
            "PRAGMA page_size = 8192"
        )  # of a new file: three documents of 2 KB fit; of 4096 each would fill one
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(
            "PRAGMA cache_size = -4096"
        )  # KiB: memory does not grow with the collection
        self._db.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # Making the plan.

    def plan(
        self, items: Iterable[Item], fingerprint: str, choice: Choice | None = None
    ) -> RunCounts:
        """What this run is about, from scratch each time; what is known by its key is settled already."""
        choice = choice or Choice()
        with self._transaction() as db:
            db.execute("DELETE FROM plan")
            db.execute("DELETE FROM timings")
            db.executemany(
                _PLANNED,
                (
                    _row(p, item, fingerprint, choice)
                    for p, item in enumerate(items)
                    if _is_ours(p, choice)
                ),
            )
            if choice.limit is not None:
                keep = "SELECT position FROM plan ORDER BY turn, position LIMIT ?"
                db.execute(f"DELETE FROM plan WHERE position NOT IN ({keep})", (choice.limit,))  # noqa: S608 - our own words
            self._settle_known(db, retry=choice.retry_failed)
        return self.counts()

    def _settle_known(self, db: sqlite3.Connection, *, retry: bool) -> None:
        known = "SELECT key FROM results WHERE status = ? OR status = ?"
        db.execute(
            f"UPDATE plan SET state = {SETTLED} WHERE key IN ({known})",  # noqa: S608
            (DONE, DONE if retry else FAILED),
        )

    def give_up_missing(self) -> None:
        """Listed clips that are nowhere are failures like others, known before anything is opened."""
        rows = self._read(
            "SELECT position, path, listed FROM plan WHERE state = 0 AND listed != '' AND size < 0"
        )
        words = "is in none of the folders searched"
        self.record(
            [
                failure(Job(p, Clip(_path(path))), "missing", f"{listed}: {words}")
                for p, path, listed in rows
            ]
        )

    def adopt(self, other: Path) -> None:
        """Take over what another journal knows, such as that of a shard."""
        with self._storage(), self._lock:
            self._db.execute("ATTACH ? AS other", (str(other),))
            try:
                self._db.execute(
                    f"INSERT OR IGNORE INTO results ({_COPY}) SELECT {_COPY} FROM other.results ORDER BY id"  # noqa: S608
                )
            finally:
                self._db.execute("DETACH other")

    # Doing it.

    def claim(self, owner: str, count: int, *, suspects: bool = False) -> list[Job]:
        """The next jobs, for this owner alone. Suspects (a process died over them or beside them) are claimed apart."""
        with self._transaction() as db:
            rows = sorted(db.execute(_CLAIM, (owner, suspects, count)).fetchall())
        return [
            Job(p, Clip(_path(path), start, finish), size >= 0, attempts)
            for _, p, path, start, finish, size, attempts in rows
        ]

    def record(self, records: Sequence[Record]) -> None:
        """Results and their marks in one transaction."""
        if not records:
            return
        with self._transaction() as db:
            settled = [
                (r.status, r.kind, r.heard, r.seen, r.seconds, r.document, r.position)
                for r in records
            ]
            db.executemany(_SETTLE, settled)
            db.executemany(
                f"UPDATE plan SET state = {SETTLED}, owner = '' WHERE position = ?",  # noqa: S608
                [(r.position,) for r in records],
            )

    def release(self, owner: str, *, died: bool) -> None:
        """What an owner has not finished is free again; if it died, each of its clips may have been the reason."""
        with self._transaction() as db:
            db.execute(
                "UPDATE plan SET state = 0, owner = '', attempts = attempts + ? WHERE state = 1 AND owner = ?",
                (int(died), owner),
            )
        if died:
            rows = self._read(
                "SELECT position, path, start, finish, attempts FROM plan WHERE state = 0 AND attempts >= ?",
                MOST_DEATHS,
            )
            words = "the process that worked on it died {} times; tag it alone to see why"
            self.record(
                [
                    failure(Job(p, Clip(_path(b), s, f)), "crash", f"{_path(b)}: {words.format(a)}")
                    for p, b, s, f, a in rows
                ]
            )

    # Reading it.

    def counts(self) -> RunCounts:
        total = self._read("SELECT count(*) FROM plan")[0][0]
        known = dict(
            self._read(
                f"SELECT status, count(*) FROM plan JOIN results USING (key) WHERE state = {SETTLED} GROUP BY status"  # noqa: S608
            )
        )
        return RunCounts(total, known.get(DONE, 0), known.get(FAILED, 0))

    def waiting(self, most: int) -> int:
        """How many jobs nobody holds; counted no further than needed, since millions may wait."""
        return len(self._read("SELECT 1 FROM plan WHERE state = 0 LIMIT ?", most))

    def news(self, after: int) -> list[tuple[int, str, str]]:
        """Results that came after a number: their number, status and document, a handful at a time."""
        words = "SELECT results.id, status, document FROM results JOIN plan USING (key) WHERE results.id > ? ORDER BY results.id LIMIT 64"
        return self._read(words, after)

    def last(self) -> int:
        return int(self._read("SELECT coalesce(max(id), 0) FROM results")[0][0])

    def documents(self) -> Iterator[tuple[str, str]]:
        """(listed name, document) of everything known of the plan, in the order that was asked for, one at a time."""
        with self._storage():
            db = sqlite3.connect(self.path, timeout=PATIENCE_SECONDS)
            try:
                yield from db.execute(
                    "SELECT listed, document FROM plan JOIN results USING (key) ORDER BY position"
                )
            finally:
                db.close()

    def failures(self) -> list[tuple[str, int, str]]:
        """(kind, how many, one example)."""
        failed = "FROM plan JOIN results USING (key) WHERE status = 'failed'"
        words = f"SELECT kind, count(*), min(document) {failed} GROUP BY kind ORDER BY 2 DESC"
        return [
            (kind, count, json.loads(document)["error"]["message"])
            for kind, count, document in self._read(words)
        ]

    def branch_statuses(self) -> list[tuple[str, str, int]]:
        """(status of the ear, status of the eye, how many clips)."""
        return self._read(
            "SELECT heard, seen, count(*) FROM plan JOIN results USING (key) WHERE status = 'done' GROUP BY heard, seen"
        )

    def keep_timings(self, owner: str, profile: str) -> None:
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO timings VALUES (?, ?)", (owner, profile))

    def timings(self) -> list[tuple[str, str]]:
        return self._read("SELECT owner, profile FROM timings ORDER BY owner")

    # Talking to the store.

    def _read(self, words: str, *values: Any) -> list[Any]:
        with self._storage(), self._lock:
            return self._db.execute(words, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._storage(), self._lock:
            self._check_there()
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _check_there(self) -> None:
        """A file that was deleted, or whose disk was taken away, can still be written to, into nowhere."""
        if self.path.stat().st_ino != self._inode:
            raise StorageError(
                f"{self.path}: another journal has taken its place; stop the other run first"
            )

    @contextmanager
    def _storage(self) -> Iterator[None]:
        go_on = "what was recorded is safe; mend it and run the same command again"
        try:
            yield
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise StorageError(
                    f"{self.path}: the journal cannot be used ({error}); {go_on}"
                ) from error
            raise StorageError(
                f"{self.path}: the journal is damaged ({error}); move it away, or begin anew with --fresh"
            ) from error
        except OSError as error:
            raise StorageError(
                f"{self.path}: the journal cannot be used ({error.strerror or error}); {go_on}"
            ) from error


def _row(position: int, item: Item, fingerprint: str, choice: Choice) -> tuple[Any, ...]:
    size, mtime = _stamp(item)
    clip = item.clip
    name = os.fsencode(clip.path)
    key = json.dumps(
        [
            os.fsencode(clip.path.absolute()).hex(),
            clip.start_seconds,
            clip.end_seconds,
            size,
            mtime,
            fingerprint,
        ]
    )
    digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
    turn = _turn(position, choice)
    return (
        position,
        turn,
        digest,
        name,
        clip.start_seconds,
        clip.end_seconds,
        size,
        mtime,
        fingerprint,
        item.listed,
    )


def _stamp(item: Item) -> tuple[int, int]:
    """Size and time of change; -1 for what is not there, so that it is tried anew once it is."""
    if item.trouble:
        return -1, -1
    try:
        status = item.clip.path.stat()
    except (OSError, ValueError):
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _turn(position: int, choice: Choice) -> int:
    """When a position has its turn: a hash instead of a shuffled list, which would have to lie in memory."""
    if choice.shuffle is None:
        return position
    digest = hashlib.blake2b(f"{choice.shuffle}:{position}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big")


def _is_ours(position: int, choice: Choice) -> bool:
    shard, shards = choice.shard
    return position % shards == shard - 1


def _path(name: bytes) -> Path:
    return Path(os.fsdecode(name))

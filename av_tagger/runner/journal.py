"""The journal: plan and results of a run in one SQLite file that survives a kill at any moment."""

from __future__ import annotations

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
from av_tagger.runner import journal_sql as sql
from av_tagger.runner.job import CRASH, DONE, FAILED, SUSPECT, Item, Job, Record, failure
from av_tagger.runner.selection import Selection

# Why SQLite: a record must be there whole or not at all after kill -9; several processes write
# without a server; only one may claim a job; keys are looked up among millions; memory is bounded.
# Transactions give all of these. Appended JSON gives none of the last three, and one file per
# result costs an inode and two syncs per clip.
# WAL mode: readers (progress, table) never block writers. synchronous=NORMAL: nothing is lost with
# a process; a power cut may lose the last transactions, which are then done again. A document and
# its status "done" are in the same transaction. Network file systems have no WAL: use --shard
# there, with one journal per machine.
NAME = "journal.sqlite"
LOCK_SECONDS = 60.0  # to wait for the lock of another process
MOST_DEATHS = 2  # a clip that was held by this many processes when they died is given up


class DamagedJournal(StorageError):
    """The file is no database, or one whose structure is broken."""


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
    """One connection to a run's journal; several threads may use it."""

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self.folder, self.path = folder, folder / NAME
        self._lock = threading.RLock()
        with self._storage():
            folder.mkdir(parents=True, exist_ok=True)
            if fresh:
                for suffix in ("", "-wal", "-shm"):
                    Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            self._db = sqlite3.connect(
                self.path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
                self._inode = self.path.stat().st_ino
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        self._check_kind("main", self.path)
        self._db.execute("PRAGMA page_size = 8192")  # of a new file: holds three documents
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA cache_size = -4096")  # KiB, whatever the number of clips
        self._db.create_function("digest", -1, sql.digest_of)
        self._db.create_function("sound", -1, sql.is_sound)
        self._db.executescript(sql.SCHEMA)
        if self._version("main") != sql.VERSION:  # only then: the disk may be full
            if "digest" not in self._columns("main"):
                self._db.execute(sql.ADD_DIGEST)
            self._db.execute(f"PRAGMA user_version = {sql.VERSION}")

    def _check_kind(self, schema: str, path: Path) -> None:
        """Refuse the file of a later version, or of another program, before anything is written."""
        if self._version(schema) > sql.VERSION:
            raise StorageError(
                f"{path}: was written by a later version of av-tag; update av-tag, or choose "
                "another folder with -o"
            )
        tables = {row[0] for row in self._db.execute(sql.TABLES.format(schema=schema))}
        known = set(sql.RESULT_COLUMNS.split(", "))
        if (tables or schema != "main") and not known <= self._columns(schema):
            raise StorageError(
                f"{path}: is a database, but not a journal of av-tag; move it away, or choose "
                "another folder with -o"
            )

    def _columns(self, schema: str) -> set[str]:
        """Of its results."""
        return {row[1] for row in self._db.execute(f"PRAGMA {schema}.table_info(results)")}

    def _version(self, schema: str) -> int:
        return int(self._db.execute(f"PRAGMA {schema}.user_version").fetchone()[0])

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

    # Plan.

    def plan(
        self, items: Iterable[Item], fingerprint: str, selection: Selection | None = None
    ) -> RunCounts:
        """Make the plan of this run; items whose results are known are settled at once."""
        selection = selection or Selection()
        rows = (
            sql.plan_row(position, item, fingerprint, selection)
            for position, item in enumerate(items)
            if selection.includes(position)
        )
        with self._transaction() as db:
            db.execute("DELETE FROM plan")
            db.execute("DELETE FROM timings")
            db.executemany(sql.INSERT_PLANNED, rows)
            if selection.limit is not None:
                db.execute(sql.KEEP_FIRST, (selection.limit,))
            known = DONE if selection.retry_failed else FAILED
            db.execute(sql.SETTLE_KNOWN, (DONE, known, CRASH))
        return self.counts()

    def fail_missing(self) -> None:
        """Record a failure for every clip of an official list that has no file."""
        reason = "is in none of the folders searched"
        self.record(
            [
                failure(Job(p, Clip(sql.path_of(path))), "missing", f"{listed}: {reason}")
                for p, path, listed in self._read(sql.MISSING)
            ]
        )

    def adopt(self, other: Path) -> int:
        """Copy the results of another journal; returns how many are damaged and left out."""
        advice = "run that shard again, which saves what can be read of it"
        with self._storage(other, advice), self._lock, self._attached(other) as digest:
            self._db.execute(sql.COPY_RESULTS.format(digest=digest))
            broken = self._db.execute(sql.BROKEN.format(schema="other", digest=digest))
            return int(broken.fetchone()[0])

    @contextmanager
    def _attached(self, other: Path) -> Iterator[str]:
        """Another journal as the schema `other`; its digest column, or NULL if it has none."""
        self._db.execute("ATTACH ? AS other", (str(other),))
        try:
            self._check_kind("other", other)
            yield "digest" if "digest" in self._columns("other") else "NULL"
        finally:
            self._db.execute("DETACH other")

    def broken(self) -> int:
        """How many stored results are damaged."""
        return int(self._read(sql.BROKEN.format(schema="main", digest="digest"))[0][0])

    def drop_broken(self) -> None:
        """Forget damaged results, so that their clips are tagged again."""
        with self._transaction() as db:
            db.execute(sql.DROP_BROKEN.format(digest="digest"))

    def check(self) -> None:
        """DamagedJournal if the file is broken; an index that misses a row would hide a result."""
        (found,) = self._read("PRAGMA main.integrity_check(1)")[0]
        if found != "ok":
            disk = "error code=" in found  # it could not be read, which says nothing about it
            kind = sqlite3.OperationalError if disk else sqlite3.DatabaseError
            with self._storage():
                raise kind(found.replace("\n", " "))

    def add(self, rows: Iterable[tuple[Any, ...]]) -> int:
        """Store rows of `sql.ONE_RESULT`; returns how many."""
        with self._transaction() as db:
            return db.executemany(sql.ADD_RESULT, rows).rowcount

    def is_empty(self) -> bool:
        """Whether no result was ever stored."""
        return not self._read("SELECT 1 FROM results LIMIT 1")

    # Work.

    def claim(self, owner: str, count: int, *, suspects: bool = False) -> list[Job]:
        """The next jobs, for this owner alone; or `suspects`, held by a process when it died."""
        with self._transaction() as db:
            rows = sorted(db.execute(sql.CLAIM, (owner, suspects, count)).fetchall())
        return [
            Job(p, Clip(sql.path_of(path), start, finish), size >= 0, attempts)
            for _, p, path, start, finish, size, attempts in rows
        ]

    def record(self, records: Sequence[Record]) -> None:
        """Store results and settle their jobs in one transaction; suspects are freed instead."""
        if not records:
            return
        with self._transaction() as db:
            results = [
                (r.status, r.kind, r.heard, r.seen, r.seconds, r.document, r.position)
                for r in records
                if r.status != SUSPECT
            ]
            db.executemany(sql.INSERT_RESULT, results)
            db.executemany(sql.SETTLE, [(row[-1],) for row in results])
            traces = [(r.traceback, r.position) for r in records if r.traceback]
            db.executemany(sql.INSERT_TRACEBACK, traces)
            suspects = [(r.position,) for r in records if r.status == SUSPECT]
            db.executemany(sql.RELEASE_SUSPECT, suspects)

    def release(self, owner: str, *, died: bool) -> None:
        """Free the unfinished jobs of an owner; if it died, any of them may be the reason."""
        with self._transaction() as db:
            db.execute(sql.RELEASE, (int(died), owner))
        if died:
            self._give_up_deadly()

    def _give_up_deadly(self) -> None:
        records = []
        for position, name, start, finish, attempts in self._read(sql.DEADLY, MOST_DEATHS):
            path = sql.path_of(name)
            reason = f"the process that worked on it died {attempts} times"
            message = f"{path}: {reason}; tag it alone to see why"
            records.append(failure(Job(position, Clip(path, start, finish)), CRASH, message))
        self.record(records)

    # Results.

    def counts(self) -> RunCounts:
        total = self._read("SELECT count(*) FROM plan")[0][0]
        known = dict(self._read(sql.COUNTS))
        return RunCounts(total, known.get(DONE, 0), known.get(FAILED, 0))

    def waiting(self, most: int) -> int:
        """How many jobs are free; counts no further than `most`, since there may be millions."""
        return len(self._read("SELECT 1 FROM plan WHERE state = 0 LIMIT ?", most))

    def results_after(self, number: int) -> list[tuple[int, str, str]]:
        """(number, status, document) of the next results of the plan, at most 64."""
        return self._read(sql.RESULTS_AFTER, number)

    def last(self) -> int:
        """The number of the latest result."""
        return int(self._read("SELECT coalesce(max(id), 0) FROM results")[0][0])

    def documents(self) -> Iterator[tuple[str, str]]:
        """(listed name, document) of all results of the plan, in its order, one at a time."""
        with self._storage():
            db = sqlite3.connect(self.path, timeout=LOCK_SECONDS)
            try:
                yield from db.execute(sql.DOCUMENTS)
            finally:
                db.close()

    def failures(self) -> list[tuple[str, int, str]]:
        """(kind, how many, the message of one of them)."""
        return [
            (kind, count, sql.message_of(document) or "its result is damaged")
            for kind, count, document in self._read(sql.FAILURES)
        ]

    def tracebacks(self) -> list[str]:
        """Of the bugs of this program that cost a clip of the plan."""
        return [text for (text,) in self._read(sql.TRACEBACKS)]

    def branch_statuses(self) -> list[tuple[str, str, int]]:
        """(status of the ear, status of the eye, how many clips)."""
        return self._read(sql.BRANCH_STATUSES)

    def keep_timings(self, owner: str, profile: str) -> None:
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO timings VALUES (?, ?)", (owner, profile))

    def timings(self) -> list[tuple[str, str]]:
        return self._read("SELECT owner, profile FROM timings ORDER BY owner")

    # SQLite.

    def _read(self, statement: str, *values: Any) -> list[Any]:
        with self._storage(), self._lock:
            return self._db.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._storage(), self._lock:
            self._check_inode()
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _check_inode(self) -> None:
        """Writing to a deleted file, or to one on an unmounted disk, would raise no error."""
        if self.path.stat().st_ino != self._inode:
            raise StorageError(
                f"{self.path}: was replaced by another journal; stop the other run first"
            )

    @contextmanager
    def _storage(self, path: Path | None = None, advice: str = "") -> Iterator[None]:
        """Errors of SQLite as StorageError; `path` is the file at fault if it is another's."""
        path = path or self.path
        remedy = "results so far are safe; solve this and run the same command again"
        try:
            yield
        except sqlite3.Error as error:
            if not sql.tells_damage(error):
                reason = f"the journal cannot be used ({error})"
                raise StorageError(f"{path}: {reason}; {remedy}") from error
            remedy = advice or "run the same command again, which saves what can be read of it"
            raise DamagedJournal(f"{path}: the journal is damaged ({error}); {remedy}") from error
        except UnicodeDecodeError as error:  # SQLite's message quotes a damaged name
            remedy = advice or "run the same command again, which saves what can be read of it"
            raise DamagedJournal(f"{path}: the journal is damaged; {remedy}") from error
        except OSError as error:
            raise StorageError(
                f"{path}: the journal cannot be used ({error.strerror or error}); {remedy}"
            ) from error

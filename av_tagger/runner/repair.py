"""Damaged journals and tables: what can be read is saved, and nothing is overwritten or deleted."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from av_tagger.errors import StorageError
from av_tagger.runner import journal_sql as sql
from av_tagger.runner.journal import NAME, DamagedJournal, Journal
from av_tagger.runner.table import NAME as TABLE

DAMAGED = "journal.damaged.sqlite"
BEFORE_REPAIR = "results.before-repair.jsonl"
MOST_BYTES = 1 << 40  # of a journal whose header can be believed
MOST_GAPS = 100_000  # numbers tried in a row without a readable result


@dataclass(frozen=True)
class Repair:
    """What was found when a run was resumed."""

    broken: int = 0  # results that are damaged and are made again
    saved: int = 0  # results of a damaged journal
    damaged: Path | None = None  # where that journal is now


def open_journal(folder: Path, *, fresh: bool) -> tuple[Journal, Repair]:
    """The journal of a run; a damaged one is moved aside and its sound results are copied.

    The table is kept under another name whenever results may be missing from the next one.
    """
    if fresh:
        return Journal(folder, fresh=True), Repair()
    journal, repair = _open_or_salvage(folder)
    try:
        if repair.broken or repair.damaged or journal.is_empty():
            keep_table(folder)
        if repair.broken:
            journal.drop_broken()
    except BaseException:
        journal.close()
        raise
    return journal, repair


def _open_or_salvage(folder: Path) -> tuple[Journal, Repair]:
    try:
        journal = Journal(folder)
        try:
            journal.check()
            return journal, Repair(journal.broken())
        except BaseException:
            journal.close()
            raise
    except DamagedJournal:
        return _salvage(folder)


def _salvage(folder: Path) -> tuple[Journal, Repair]:
    """A new journal with every sound result of the old one, which is moved aside."""
    try:
        aside = _unused(folder / DAMAGED)
        for suffix in ("-wal", ""):  # the journal last: until then the next run starts here again
            with suppress(FileNotFoundError):
                Path(f"{folder / NAME}{suffix}").rename(f"{aside}{suffix}")
        Path(f"{folder / NAME}-shm").unlink(missing_ok=True)
    except OSError as error:
        reason = f"is damaged and cannot be moved ({error.strerror})"
        raise StorageError(f"{folder / NAME}: {reason}; check the folder's permissions") from error
    journal = Journal(folder)
    try:
        return journal, Repair(0, journal.add(_readable(aside)), aside)
    except BaseException:
        journal.close()
        raise


def _readable(path: Path) -> Iterator[tuple[object, ...]]:
    """Rows of a damaged journal, one number at a time: a broken page costs its rows only."""
    _extend(path)
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as db:
        columns = {row[1] for row in db.execute("PRAGMA table_info(results)")}
        digest = "digest" if "digest" in columns else "NULL"
        statement = sql.ONE_RESULT.format(digest=digest)
        number, missed = 0, 0
        while missed < MOST_GAPS:
            number, missed = number + 1, missed + 1
            with suppress(sqlite3.Error):
                row = db.execute(statement, (number,)).fetchone()
                if row is not None and sql.is_sound(*row):
                    missed = 0
                    yield row


def _extend(path: Path) -> None:
    """Give a file that was cut its full length, with zeros: SQLite reads no shorter one."""
    with suppress(OSError), path.open("r+b") as file:
        header = file.read(100)
        size = int.from_bytes(header[16:18]) * int.from_bytes(header[28:32])
        if header.startswith(b"SQLite format 3") and path.stat().st_size < size <= MOST_BYTES:
            file.truncate(size)


def keep_table(folder: Path) -> None:
    """Copy the table of an earlier run, if there is one, before it is written again."""
    table = folder / TABLE
    try:
        if table.exists() and table.stat().st_size:
            shutil.copy2(table, _unused(folder / BEFORE_REPAIR))
    except OSError as error:
        reason = f"cannot be copied ({error.strerror or error})"
        raise StorageError(f"{table}: {reason}; free some space, or move it away") from error


def _unused(path: Path) -> Path:
    """The path, or one with a number if it is taken."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found

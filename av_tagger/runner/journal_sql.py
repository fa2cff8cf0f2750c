"""Tables and statements of the journal, and the row of an item."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

from av_tagger.errors import AvTaggerError
from av_tagger.reports.schema import from_json
from av_tagger.runner.job import DONE, FAILED, Item
from av_tagger.runner.selection import Selection
from av_tagger.scores import Failed

WAITING, CLAIMED, SETTLED = 0, 1, 2  # plan.state

_IDENTITY = "key, path, start, finish, size, mtime_ns, fingerprint"
RESULT_COLUMNS = f"{_IDENTITY}, status, kind, heard, seen, seconds, document"
_TYPES = dict.fromkeys(RESULT_COLUMNS.split(", "), "TEXT") | {
    **dict.fromkeys(("key", "path"), "BLOB"),
    **dict.fromkeys(("size", "mtime_ns"), "INTEGER"),
    **dict.fromkeys(("start", "finish", "seconds"), "REAL"),
}
# Every column has one type, whatever a damaged file says; text may not be UTF-8 there.
_TYPED = ", ".join(
    f"CAST({name} AS {kind.replace('TEXT', 'BLOB')})" for name, kind in _TYPES.items()
)
_MARKS = ", ".join(f"CAST(? AS {kind})" for kind in _TYPES.values())

SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, path BLOB NOT NULL,
    start REAL NOT NULL, finish REAL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    fingerprint TEXT NOT NULL, status TEXT NOT NULL, kind TEXT NOT NULL,
    heard TEXT NOT NULL, seen TEXT NOT NULL, seconds REAL NOT NULL, document TEXT NOT NULL,
    digest BLOB);
CREATE TABLE IF NOT EXISTS plan (
    position INTEGER PRIMARY KEY, turn INTEGER NOT NULL, key BLOB NOT NULL UNIQUE,
    path BLOB NOT NULL, start REAL NOT NULL, finish REAL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    listed TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0, owner TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS next_of_plan ON plan (state, turn, position);
CREATE TABLE IF NOT EXISTS timings (owner TEXT PRIMARY KEY, profile TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tracebacks (key BLOB PRIMARY KEY, traceback TEXT NOT NULL);
"""
VERSION = 2  # of the schema; before it results had no digest
ADD_DIGEST = "ALTER TABLE results ADD COLUMN digest BLOB"
TABLES = "SELECT name FROM {schema}.sqlite_master WHERE type = 'table'"
INSERT_PLANNED = f"""
INSERT OR IGNORE INTO plan (position, turn, {_IDENTITY}, listed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""  # noqa: S608 - our own column names, as below
KEEP_FIRST = """
DELETE FROM plan WHERE position NOT IN
    (SELECT position FROM plan ORDER BY turn, position LIMIT ?)
"""
SETTLE_KNOWN = f"""
UPDATE plan SET state = {SETTLED}
WHERE key IN (SELECT key FROM results WHERE (status = ? OR status = ?) AND kind != ?)
"""  # noqa: S608
CLAIM = f"""
UPDATE plan SET state = {CLAIMED}, owner = ? WHERE position IN (
    SELECT position FROM plan WHERE state = {WAITING} AND (attempts > 0) = ?
    ORDER BY turn, position LIMIT ?)
RETURNING turn, position, path, start, finish, size, attempts
"""  # noqa: S608
INSERT_RESULT = f"""
INSERT OR REPLACE INTO results ({RESULT_COLUMNS}, digest)
SELECT {RESULT_COLUMNS}, digest({_TYPED}) FROM (
    SELECT {_IDENTITY}, ? AS status, ? AS kind, ? AS heard, ? AS seen, ? AS seconds,
        ? AS document FROM plan WHERE position = ?)
"""  # noqa: S608
INSERT_TRACEBACK = """
INSERT OR REPLACE INTO tracebacks SELECT key, ? FROM plan WHERE position = ?
"""
TRACEBACKS = """
SELECT traceback FROM plan JOIN tracebacks USING (key) JOIN results USING (key)
WHERE kind = 'defect' ORDER BY position
"""
SETTLE = f"UPDATE plan SET state = {SETTLED}, owner = '' WHERE position = ?"  # noqa: S608
RELEASE = f"""
UPDATE plan SET state = {WAITING}, owner = '', attempts = attempts + ?
WHERE state = {CLAIMED} AND owner = ?
"""  # noqa: S608
RELEASE_SUSPECT = f"""
UPDATE plan SET state = {WAITING}, owner = '', attempts = attempts + 1 WHERE position = ?
"""  # noqa: S608
DEADLY = f"""
SELECT position, path, start, finish, attempts FROM plan
WHERE state = {WAITING} AND attempts >= ?
"""  # noqa: S608
MISSING = f"""
SELECT position, path, listed FROM plan WHERE state = {WAITING} AND listed != '' AND size < 0
"""  # noqa: S608
IS_SOUND = "sound(CAST({digest} AS BLOB), " + _TYPED + ")"
COPY_RESULTS = f"""
INSERT OR IGNORE INTO results ({RESULT_COLUMNS}, digest)
SELECT {RESULT_COLUMNS}, digest({_TYPED}) FROM other.results WHERE {IS_SOUND} ORDER BY id
"""  # noqa: S608
ONE_RESULT = f"SELECT CAST({{digest}} AS BLOB), {_TYPED} FROM results WHERE id = ?"  # noqa: S608
ADD_RESULT = f"""
INSERT OR IGNORE INTO results (digest, {RESULT_COLUMNS}) VALUES (?, {_MARKS})
"""  # noqa: S608
BROKEN = f"SELECT count(*) FROM {{schema}}.results WHERE NOT {IS_SOUND}"  # noqa: S608
DROP_BROKEN = f"DELETE FROM results WHERE NOT {IS_SOUND}"  # noqa: S608
COUNTS = f"""
SELECT status, count(*) FROM plan JOIN results USING (key)
WHERE state = {SETTLED} GROUP BY status
"""  # noqa: S608
RESULTS_AFTER = """
SELECT results.id, status, document FROM results JOIN plan USING (key)
WHERE results.id > ? ORDER BY results.id LIMIT 64
"""
DOCUMENTS = "SELECT listed, document FROM plan JOIN results USING (key) ORDER BY position"
FAILURES = """
SELECT kind, count(*), min(document) FROM plan JOIN results USING (key)
WHERE status = 'failed' GROUP BY kind ORDER BY 2 DESC
"""
BRANCH_STATUSES = """
SELECT heard, seen, count(*) FROM plan JOIN results USING (key)
WHERE status = 'done' GROUP BY heard, seen
"""


def plan_row(position: int, item: Item, fingerprint: str, selection: Selection) -> tuple[Any, ...]:
    """Values for `INSERT_PLANNED`; the key is a hash of file, part of the file, and settings."""
    size, mtime_ns = _size_and_mtime(item)
    clip = item.clip
    # Links and `..` spell the same file; clips of an official list keep one result per name.
    place = clip.path.absolute() if item.listed else os.path.realpath(clip.path)
    path = os.fsencode(place).hex()
    parts = [path, clip.start_seconds, clip.end_seconds, size, mtime_ns, fingerprint]
    key = hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).digest()
    return (
        position,
        selection.turn(position),
        key,
        os.fsencode(clip.path),
        clip.start_seconds,
        clip.end_seconds,
        size,
        mtime_ns,
        fingerprint,
        item.listed,
    )


def digest_of(*columns: Any) -> bytes:
    """A checksum over all columns of a result: a flipped bit is found anywhere in it."""
    return hashlib.blake2b(repr(columns).encode(), digest_size=16).digest()


def is_sound(digest: bytes | None, *columns: Any) -> bool:
    """Whether a result is what was stored; without a digest, whether it can be read."""
    if digest is not None:
        return digest == digest_of(*columns)
    status, document = columns[7], columns[-1]
    message = message_of(document)
    return message is not None and status == (FAILED if message else DONE).encode()


def message_of(document: str | bytes) -> str | None:
    """The message of a failure, empty for a result; None if the document cannot be read."""
    try:
        outcome = from_json(json.loads(document))
    except (AvTaggerError, ValueError, RecursionError):
        return None
    return outcome.message if isinstance(outcome, Failed) else ""


def tells_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that a file is damaged, and not that the disk is, or is full."""
    if not isinstance(error, sqlite3.OperationalError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def path_of(name: bytes) -> Path:
    return Path(os.fsdecode(name))


def _size_and_mtime(item: Item) -> tuple[int, int]:
    """-1 for a missing file, so that it is tried again once it exists."""
    if item.problem:
        return -1, -1
    try:
        status = item.clip.path.stat()
    except (OSError, ValueError):
        return -1, -1
    return status.st_size, status.st_mtime_ns

"""Tables and statements of the journal, and the row of an item."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from av_tagger.runner.job import Item
from av_tagger.runner.selection import Selection

WAITING, CLAIMED, SETTLED = 0, 1, 2  # plan.state

_IDENTITY = "key, path, start, finish, size, mtime_ns, fingerprint"
RESULT_COLUMNS = f"{_IDENTITY}, status, kind, heard, seen, seconds, document"

SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, path BLOB NOT NULL,
    start REAL NOT NULL, finish REAL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    fingerprint TEXT NOT NULL, status TEXT NOT NULL, kind TEXT NOT NULL,
    heard TEXT NOT NULL, seen TEXT NOT NULL, seconds REAL NOT NULL, document TEXT NOT NULL);
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
VERSION = 1  # of the schema; 0 in journals of the first versions, which have the same tables
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
INSERT OR REPLACE INTO results ({RESULT_COLUMNS})
SELECT {_IDENTITY}, ?, ?, ?, ?, ?, ? FROM plan WHERE position = ?
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
COPY_RESULTS = f"""
INSERT OR IGNORE INTO results ({RESULT_COLUMNS})
SELECT {RESULT_COLUMNS} FROM other.results WHERE sound(CAST(document AS BLOB)) ORDER BY id
"""  # noqa: S608
BROKEN = "SELECT count(*) FROM results WHERE NOT sound(CAST(document AS BLOB))"
BROKEN_OF_OTHER = "SELECT count(*) FROM other.results WHERE NOT sound(CAST(document AS BLOB))"
DROP_BROKEN = "DELETE FROM results WHERE NOT sound(CAST(document AS BLOB))"
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


def is_sound(document: bytes) -> bool:
    """Whether it is an object with a result or an error; only fields that a run relies on."""
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict) or "schema" not in found:
        return False
    error = found.get("error")
    if isinstance(error, dict):
        return isinstance(error.get("message"), str)
    return error is None and isinstance(found.get("tags"), list)


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

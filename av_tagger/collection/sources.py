"""What `av-tag find` can search: runs, files of results, and journals of live streams."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av_tagger import cache
from av_tagger.errors import UsageError, sentence
from av_tagger.path_checks import exists, is_dir, is_file
from av_tagger.reports.schema.lines import RESULTS

DAY = re.compile(r"\d{4}-\d\d-\d\d\.sqlite")  # a day of a live journal
SUFFIX = ".index"
EMBEDDINGS = ("embeddings.npz", "embeddings.parquet")  # in the folder of a run
REMEDY = "name the folder of av-tag batch, of av-tag listen --journal, or a file of JSON lines"


@dataclass(frozen=True)
class IndexSource:
    """A file of results, or a day of a live journal; `given` is how the user named it."""

    path: Path
    given: str
    live: bool = False

    def index_path(self) -> Path:
        """Beside the source; in the cache folder where nothing can be written there."""
        beside = self.path.with_name(self.path.name + SUFFIX)
        if is_file(beside) or os.access(self.path.parent, os.W_OK):
            return beside
        digest = hashlib.sha256(os.fsencode(self.path.absolute())).hexdigest()[:24]
        return cache.folder("find") / f"{digest}{SUFFIX}"


def sources_of(names: Sequence[str]) -> list[IndexSource]:
    """The sources of several paths, each once; UsageError for a path that is none."""
    found = {s.path.absolute(): s for name in names for s in _sources(name)}
    return list(found.values())


def embeddings_of(names: Sequence[str]) -> list[Path]:
    """Files of embeddings in the folders of runs, or named themselves."""
    folders = [Path(name) if is_dir(name) else Path(name).parent for name in names]
    inside = (folder / name for folder in folders for name in EMBEDDINGS)
    return list(dict.fromkeys(path for path in inside if is_file(path)))


def _sources(name: str) -> Iterator[IndexSource]:
    path = Path(name)
    if is_dir(name):
        yield from _in_folder(path, name)
    elif not exists(name):
        raise UsageError(sentence(name, "no such file or folder", "check the path"))
    elif _is_journal(path):
        yield IndexSource(path, name, live=True)
    elif path.suffix in (".sqlite", ".db"):
        raise UsageError(sentence(name, "is no journal of av-tag listen", REMEDY))
    else:
        yield IndexSource(path, name)


def _in_folder(folder: Path, name: str) -> Iterator[IndexSource]:
    results = folder / RESULTS
    days = sorted(p for p in folder.glob("*.sqlite") if DAY.fullmatch(p.name) and _is_journal(p))
    if not is_file(results) and not days:
        reason = f"this folder has no {RESULTS} and no journal of a stream"
        raise UsageError(sentence(name, reason, REMEDY))
    if is_file(results):
        yield IndexSource(results, name)
    yield from (IndexSource(day, name, live=True) for day in days)


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=60)


def _is_journal(path: Path) -> bool:
    with suppress(sqlite3.Error, OSError), closing(read_only(path)) as db:
        names = {row[1] for row in db.execute("PRAGMA table_info(lines)")}
        return {"id", "wall", "kind", "document"} <= names
    return False


def line_of(text: str) -> dict[str, Any]:
    """A line of a live journal; empty where its text is damaged."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}

"""Files of JSON lines: one result per line, read one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from av_tagger.errors import StorageError, TableError, UsageError
from av_tagger.reports.schema.day import SUFFIX, read_day
from av_tagger.reports.schema.partial import PARTIAL
from av_tagger.reports.schema.read import Document, from_json
from av_tagger.reports.schema.write import as_json
from av_tagger.scores import Outcome

RESULTS = "results.jsonl"  # the name that a run gives its results


def read_results(path: Path) -> Iterator[tuple[int, Document, Outcome]]:
    """Line number, object and outcome of each line; a last line without a line end is ignored.

    Such a line is still being written. Empty lines and partial results are skipped. A journal of
    `av-tag listen` (.sqlite) is one result.
    """
    if path.suffix == SUFFIX:
        result = read_day(path)
        yield 1, as_json(result), result
        return
    for number, document in _documents(path):
        outcome = _outcome(path, number, document)
        if outcome is not None:
            yield number, document, outcome


def read_outcomes(path: Path) -> Iterator[Outcome]:
    """The outcomes of a file of JSON lines, one at a time."""
    return (outcome for _, _, outcome in read_results(path))


def find_results(path: Path) -> Path:
    """The file of JSON lines meant by a path: the file itself, or the one in a run's folder."""
    if path.is_dir():
        inside = path / RESULTS
        if not inside.is_file():
            raise UsageError(
                f"{path}: this folder has no {RESULTS}; name a run's folder or a file of JSON lines"
            )
        return inside
    if not path.is_file():
        raise UsageError(f"{path}: no such file or folder; check the path")
    return path


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line that is not empty."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be read ({error.strerror}); name a file that av-tag --json wrote"
        ) from error


def parse_line(path: Path, number: int, line: bytes) -> Outcome | None:
    """The outcome in a line; None for a partial result and for a last line without line end."""
    for document in _parsed(path, number, line):
        return _outcome(path, number, document)
    return None


def _documents(path: Path) -> Iterator[tuple[int, Document]]:
    return ((n, document) for n, line in read_lines(path) for document in _parsed(path, n, line))


def _parsed(path: Path, number: int, line: bytes) -> Iterator[Document]:
    """The object in a line; nothing for a line that is still being written."""
    try:
        yield json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        if line.endswith(b"\n"):
            raise TableError(path, number, f"is not JSON ({_reason(error)})") from error


def _outcome(path: Path, number: int, document: Document) -> Outcome | None:
    if isinstance(document, dict) and PARTIAL in document:
        return None
    try:
        return from_json(document)
    except UsageError as error:
        raise TableError(path, number, str(error)) from error


def _reason(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _refuse(constant: str) -> NoReturn:
    """NaN and Infinity are no JSON, but Python's parser accepts them."""
    raise ValueError(f"{constant} is not a number in JSON")

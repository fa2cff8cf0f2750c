"""Results as tables: JSON lines, CSV and Parquet.

`.tags.csv`: one row per tag. A file without tags, or one that failed (column `error`), has one row
with an empty label, so that every input is listed. `.events.csv`: one row per event. Both begin
with the file and, for a part of a file, its start and end. All times are seconds of the file.
Parquet holds the same two tables.

A text cell of CSV that a spreadsheet would take for a formula gets a `'` in front; the format
`csv-raw` leaves it as it is.
"""

from __future__ import annotations

import csv
import io
import itertools
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from av_tagger.errors import missing_library
from av_tagger.reports.files import no_formula, utf8, whole
from av_tagger.reports.schema import as_json, as_line
from av_tagger.reports.writers.base import TextWriter
from av_tagger.scores import Failed, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from av_tagger.protocols import Outcomes

Row = dict[str, Any]

CLIP_COLUMNS = ("file", "clip_start", "clip_end")
TAG_COLUMNS = (
    *CLIP_COLUMNS,
    "duration",
    "label",
    "probability",
    "threshold",
    "heard",
    "seen",
    "events",
    "objects",
    "error",
)
EVENT_COLUMNS = (*CLIP_COLUMNS, "label", "start", "end", "peak")
_TEXT = {"file", "label", "objects", "error"}  # columns of text; all others are numbers
ROW_GROUP = 1024  # rows of Parquet in memory; 4096 would take 18 MB more


def json_lines(outcomes: Iterable[Outcome]) -> Iterator[str]:
    return (as_line(outcome) + "\n" for outcome in outcomes)


def detailed_json_lines(outcomes: Iterable[Outcome]) -> Iterator[str]:
    return (as_line(outcome, detail=True) + "\n" for outcome in outcomes)


def tag_rows(outcomes: Iterable[Outcome]) -> Iterator[Row]:
    for outcome in outcomes:
        document = as_json(outcome)
        clip = _clip(document)
        if isinstance(outcome, Failed):
            yield {**clip, "label": "", "error": outcome.message}
            continue
        clip["duration"] = document["duration"]
        for tag in document["tags"] or [{"label": "", "events": [], "evidence": []}]:
            objects = "; ".join(dict.fromkeys(e["object"] for e in tag["evidence"]))
            yield {
                **clip,
                **tag,
                "events": len(tag["events"]) if tag["label"] else None,
                "objects": objects,
            }


def event_rows(outcomes: Iterable[Outcome]) -> Iterator[Row]:
    for outcome in outcomes:
        document = as_json(outcome)
        for tag in document.get("tags", ()):
            for event in tag["events"]:
                yield {**_clip(document), "label": tag["label"], **event}


def _clip(document: Row) -> Row:
    part = document.get("clip", {})
    return {"file": document["file"], "clip_start": part.get("start"), "clip_end": part.get("end")}


def csv_lines(columns: Sequence[str], rows: Iterator[Row], *, raw: bool) -> Iterator[str]:
    """A table; unless `raw`, no cell can be taken for a formula."""
    yield _csv_line(columns)
    for row in rows:
        cells = ["" if row.get(column) is None else row[column] for column in columns]
        yield _csv_line(cells if raw else [_neutral(cell) for cell in cells])


def _neutral(cell: Any) -> Any:
    """Text that cannot be a formula; numbers as they are."""
    return no_formula(cell) if isinstance(cell, str) else cell


def _csv_line(cells: Sequence[Any]) -> str:
    """One row; with this line end both of its characters are quoted inside of cells."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n") + "\n"


def tags_csv(outcomes: Iterable[Outcome], *, raw: bool = False) -> Iterator[str]:
    return csv_lines(TAG_COLUMNS, tag_rows(outcomes), raw=raw)


def events_csv(outcomes: Iterable[Outcome], *, raw: bool = False) -> Iterator[str]:
    return csv_lines(EVENT_COLUMNS, event_rows(outcomes), raw=raw)


@dataclass(frozen=True)
class ParquetWriter:
    """A writer of one Parquet table, in row groups of bounded size."""

    suffix: str
    events: bool = False
    each: bool = False

    def check(self) -> None:
        _pyarrow()

    def write(self, outcomes: Outcomes, path: Path) -> None:
        arrow, parquet = _pyarrow()
        columns = EVENT_COLUMNS if self.events else TAG_COLUMNS
        rows = event_rows(outcomes) if self.events else tag_rows(outcomes)
        schema = arrow.schema([(c, _arrow_type(arrow, c)) for c in columns])
        with whole(path) as temporary, parquet.ParquetWriter(temporary, schema) as out:
            while group := list(itertools.islice(rows, ROW_GROUP)):
                cells = {c: [_utf8(row.get(c)) for row in group] for c in columns}
                out.write_table(arrow.table(cells, schema=schema))


def _arrow_type(arrow: Any, column: str) -> Any:
    if column in _TEXT:
        return arrow.string()
    return arrow.int64() if column == "events" else arrow.float64()


def _utf8(value: Any) -> Any:
    return utf8(value) if isinstance(value, str) else value


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise missing_library("Parquet files need", "pyarrow", error) from error
    return pa, parquet


JSON = TextWriter(".jsonl", json_lines)
JSON_DETAIL = TextWriter(".detail.jsonl", detailed_json_lines)
TAGS_CSV = TextWriter(".tags.csv", tags_csv)
EVENTS_CSV = TextWriter(".events.csv", events_csv)
RAW_TAGS_CSV = TextWriter(".tags.raw.csv", partial(tags_csv, raw=True))
RAW_EVENTS_CSV = TextWriter(".events.raw.csv", partial(events_csv, raw=True))
TAGS_PARQUET = ParquetWriter(".tags.parquet")
EVENTS_PARQUET = ParquetWriter(".events.parquet", events=True)

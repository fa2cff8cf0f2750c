"""What a path on the command line stands for, and where its index is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from av_tagger.collection.sources import read_only, sources_of
from av_tagger.errors import UsageError
from av_tagger.reports.schema.day import TABLES
from tests.collection.made import result, write_run


def make_day(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(TABLES)
    return path


def test_a_run_is_its_results(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [result("a", {})])
    (source,) = sources_of([str(run)])
    assert (source.path, source.given, source.live) == (run / "results.jsonl", str(run), False)
    assert source.index_path() == run / "results.jsonl.index"


def test_any_file_of_json_lines_has_an_index_of_its_own(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl", "noon"):
        (tmp_path / name).write_text("")
    found = sources_of([str(tmp_path / name) for name in ("a.jsonl", "b.jsonl", "noon")])
    assert [s.index_path().name for s in found] == ["a.jsonl.index", "b.jsonl.index", "noon.index"]


def test_a_folder_of_a_stream_is_all_its_days(tmp_path: Path) -> None:
    for name in ("2026-03-02.sqlite", "2026-03-01.sqlite", "2026-3-1.sqlite", "notes.sqlite"):
        make_day(tmp_path / name)
    (tmp_path / "2026-03-03.sqlite").write_bytes(b"no database")
    with closing(sqlite3.connect(tmp_path / "2026-03-04.sqlite")) as db:
        db.execute("CREATE TABLE lines (x)")
        db.commit()
    found = sources_of([str(tmp_path)])
    assert [s.path.name for s in found] == ["2026-03-01.sqlite", "2026-03-02.sqlite"]
    assert all(s.live for s in found)


def test_a_journal_of_any_name_can_be_named_itself(tmp_path: Path) -> None:
    (source,) = sources_of([str(make_day(tmp_path / "notes.sqlite"))])
    assert source.live


def test_the_journal_of_a_batch_run_is_no_journal_of_a_stream(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        db.execute("CREATE TABLE results (id)")
    with pytest.raises(UsageError, match="is no journal of av-tag listen"):
        sources_of([str(tmp_path / "journal.sqlite")])


def test_sources_are_read_and_never_written(tmp_path: Path) -> None:
    day = make_day(tmp_path / "a day %41 #?.sqlite")
    with closing(read_only(day)) as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM lines")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", ""])
def test_names_that_no_file_can_have(name: str) -> None:
    with pytest.raises(UsageError):
        sources_of([name])

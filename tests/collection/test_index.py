"""The index of a source: kept up to date line by line, whole after a kill, and only a cache."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from av_tagger.collection.index import Index
from av_tagger.collection.names import Names
from av_tagger.collection.query import parse
from av_tagger.collection.search import search
from av_tagger.collection.sources import embeddings_of, sources_of
from av_tagger.errors import StorageError, TableError, UsageError
from av_tagger.reports.schema import as_line
from tests.collection.made import result, write_run


def updated(*names: Path) -> list[int]:
    """How many results are new in each source."""
    found = []
    for source in sources_of([str(name) for name in names]):
        with Index(source) as index:
            found.append(index.update())
    return found


def files(run: Path, query: str) -> list[str]:
    (source,) = sources_of([str(run)])
    with Index(source) as index:
        index.update()
        names = Names(index.labels())
        return sorted(h.file for h in search([index], parse(query), names.meaning, 99).hits)


FIRST, SECOND = result("a.mp4", {"Dog": [(1, 2)]}), result("b.mp4", {"Dog": [(3, 4)], "Cat": []})


def test_new_lines_are_added_and_a_table_in_another_order_is_not_read_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [FIRST])
    assert updated(run) == [1]
    assert updated(run) == [0]
    with (run / "results.jsonl").open("a") as file:
        file.write(as_line(SECOND) + "\n")
    assert updated(run) == [1]
    write_run(run, [SECOND, FIRST])
    assert updated(run) == [0]
    assert files(run, "dog") == ["a.mp4", "b.mp4"]


def test_results_that_are_gone_or_changed_are_not_found(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [FIRST, SECOND])
    assert files(run, "dog AND NOT cat") == ["a.mp4"]
    write_run(run, [SECOND, result("a.mp4", {"Cat": [(0, 1)]})])
    assert files(run, "dog") == ["b.mp4"]
    assert files(run, "cat") == ["a.mp4", "b.mp4"]
    write_run(run, [])
    assert files(run, "NOT dog") == []


def test_a_line_that_is_still_being_written_is_left_for_the_next_search(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [FIRST])
    line = as_line(SECOND)
    with (run / "results.jsonl").open("a") as file:
        file.write(line[:50])
    assert updated(run) == [1]
    with (run / "results.jsonl").open("a") as file:
        file.write(line[50:] + "\n")
    assert updated(run) == [1]


def test_an_update_that_is_killed_leaves_the_index_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "run", [FIRST])
    updated(run)
    write_run(run, [SECOND])

    def killed(*rows: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("av_tagger.collection.rows.Rows.drop", killed)
        with pytest.raises(KeyboardInterrupt):
            updated(run)
    (source,) = sources_of([str(run)])
    with Index(source) as index:
        assert index.counts() == (1, 1)
    assert files(run, "dog") == ["b.mp4"]


def test_names_that_are_not_utf8_are_given_back_as_they_are(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \n.mp4")
    run = write_run(tmp_path / "run", [result(name, {os.fsdecode(b"\xff"): [(0, 1)]})])
    assert files(run, "NOT dog") == [name]
    assert files(run, "PATH caf") == [name]


def test_many_updates_are_joined(tmp_path: Path) -> None:
    run = tmp_path / "run"
    results = [result(f"{n}.mp4", {"Dog": [(n, n + 1)]}) for n in range(12)]
    for count in range(1, 13):
        write_run(run, results[:count])
        assert updated(run) == [1]
    (source,) = sources_of([str(run)])
    with closing(sqlite3.connect(source.index_path())) as db:
        assert db.execute("SELECT max(n) FROM (SELECT count(*) n FROM columns GROUP BY label)")
        (most,) = db.execute(
            "SELECT max(n) FROM (SELECT count(*) n FROM columns GROUP BY label)"
        ).fetchone()
    assert most <= 8
    assert len(files(run, "dog LONGER 1")) == 12


def spoil(index: Path, kind: str) -> None:
    if kind == "no database":
        index.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    else:
        index.unlink()
        with closing(sqlite3.connect(index)) as db:
            db.execute("CREATE TABLE mine (x)")
            db.commit()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("no database", "delete it; it is made again"), ("another program's", "is no index of")],
)
def test_a_spoilt_index_is_one_sentence_and_stays(tmp_path: Path, kind: str, reason: str) -> None:
    run = write_run(tmp_path / "run", [FIRST])
    updated(run)
    place = run / "results.jsonl.index"
    spoil(place, kind)
    before = place.read_bytes()
    with pytest.raises(StorageError, match=reason):
        updated(run)
    assert place.read_bytes() == before
    place.unlink()
    assert updated(run) == [1]


def test_the_index_of_another_version_is_made_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [FIRST])
    updated(run)
    with closing(sqlite3.connect(run / "results.jsonl.index")) as db:
        db.execute("PRAGMA user_version = 99")
    assert updated(run) == [1]


def test_without_fts5_paths_are_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "av_tagger.collection.index.PATHS", "CREATE VIRTUAL TABLE paths USING no_such_module(x)"
    )
    run = write_run(tmp_path / "run", [FIRST, SECOND])
    assert files(run, "PATH b.mp") == ["b.mp4"]


def test_a_folder_that_cannot_be_written_has_its_index_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "run", [FIRST])
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "access", lambda *asked: False)
    assert updated(run) == [1]
    assert [p.name for p in run.iterdir()] == ["results.jsonl"]
    assert updated(run) == [0]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing", None, "no such file or folder"),
        ("empty", [], "has no results.jsonl and no journal"),
        ("other.sqlite", b"", "is no journal of av-tag listen"),
    ],
)
def test_what_is_no_run(
    name: str, content: Sequence[object] | bytes | None, reason: str, tmp_path: Path
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match=reason):
        updated(tmp_path / name)


def test_a_wrong_line_names_its_number(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [FIRST])
    with (run / "results.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(TableError, match="line 2"):
        updated(run)


def test_the_same_source_counts_once(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [FIRST])
    assert len(sources_of([str(run), str(run / "results.jsonl")])) == 1
    assert embeddings_of([str(run)]) == []
    (run / "embeddings.npz").write_bytes(b"")
    assert embeddings_of([str(run), str(run / "results.jsonl")]) == [run / "embeddings.npz"]

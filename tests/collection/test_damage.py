"""Indexes with flipped bits, journals with strange lines, two processes at once: never a crash."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from av_tagger.collection.index import Index
from av_tagger.collection.names import Names
from av_tagger.collection.query import parse
from av_tagger.collection.search import Found, matching_files, search
from av_tagger.collection.sources import sources_of
from av_tagger.errors import AvTaggerError, StorageError
from av_tagger.reports.schema.day import TABLES
from tests import ROOT
from tests.collection.made import random_results, result, write_run

LABELS = ("Dog", "Cat", "Ambulance (siren)")
QUERIES = ("dog AND NOT cat", "any siren NEAR/3 dog", "PATH clip_1 OR cat LONGER 2", "NOT dog")


def searched(path: Path, query: str) -> Found:
    (source,) = sources_of([str(path)])
    with Index(source) as index:
        index.update()
        names = Names({*index.labels(), *LABELS})
        matching_files([index], parse(query), names.meaning)
        return search([index], parse(query), names.meaning, 9)


def test_flipped_bits_of_an_index_are_found_or_harmless(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", random_results(40, LABELS))
    searched(run, "dog")
    place = run / "results.jsonl.index"
    sound = place.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        spoilt = bytearray(sound)
        for at in rng.integers(0, len(sound), 40).tolist():
            spoilt[at] ^= 1 << int(rng.integers(8))
        place.write_bytes(spoilt)
        for query in QUERIES:
            try:
                found = searched(run, query)
            except AvTaggerError:
                refused += 1
            else:
                assert len(found.hits) <= 9
    assert refused > 0, "some of it is always noticed"
    place.unlink()
    assert searched(run, "dog").total > 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE clips SET detail = 'no json'",
        "UPDATE clips SET detail = '[[1]]'",
        'UPDATE clips SET detail = \'[["Dog", "x", []]]\'',
        "UPDATE clips SET detail = '[[\"Dog\", 0.5, [[1]]]]'",
        "UPDATE clips SET name = 5",
        "UPDATE columns SET clips = x'00'",
        "UPDATE columns SET clips = x'ffffffff'",
        "UPDATE columns SET ends = zeroblob(80000)",
        "DELETE FROM clips",
        "DROP TABLE columns",
        "DROP TABLE paths",
    ],
)
def test_an_index_that_contradicts_itself_is_one_sentence(change: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", random_results(10, LABELS))
    searched(run, "dog")
    with closing(sqlite3.connect(run / "results.jsonl.index")) as db:
        db.execute(change)
        db.commit()
    with pytest.raises(StorageError, match=r"delete it; it is made again|or delete it"):
        searched(run, "dog OR cat OR PATH clip")


STRANGE: list[Any] = [
    "no json",
    "[" * 100_000,
    [],
    {},
    {"label": 5, "start": 1, "end": 2},
    {"label": "Dog", "start": "1", "end": 2},
    {"label": "Dog", "start": 1},
    {"label": "Dog", "start": 1e300, "end": 2e300},
    {"label": "Dog", "start": 5, "end": 2, "peak": "high", "probability": []},
    {"label": "Dog", "start": True, "end": 9},
]


@pytest.mark.parametrize("kind", ["close", "kept"])
def test_strange_lines_of_a_journal_are_left_out(kind: str, tmp_path: Path) -> None:
    day = tmp_path / "2026-03-01.sqlite"
    good = {"label": "Cat", "start": 3, "end": 4, "peak": 0.5}
    with closing(sqlite3.connect(day)) as db:
        db.executescript(TABLES)
        rows = [(kind, x if isinstance(x, str) else json.dumps(x)) for x in STRANGE]
        rows.append(("close", json.dumps(good)))
        db.executemany("INSERT INTO lines (kind, start, document) VALUES (?, 0, ?)", rows)
        db.commit()
    (hit,) = searched(tmp_path, "cat").hits
    assert [e.start for e in hit.events] == [3.0]


def test_a_journal_that_is_damaged_is_one_sentence(tmp_path: Path) -> None:
    day = tmp_path / "2026-03-01.sqlite"
    with closing(sqlite3.connect(day)) as db:
        db.executescript(TABLES)
        row = ("close", json.dumps({"label": "Dog", "start": 1, "end": 2}))
        db.executemany("INSERT INTO lines (kind, start, document) VALUES (?, 0, ?)", [row] * 2000)
        db.commit()
    data = bytearray(day.read_bytes())
    data[len(data) // 3 : len(data) * 2 // 3] = b"\xa5" * (len(data) * 2 // 3 - len(data) // 3)
    day.write_bytes(data)
    with pytest.raises(StorageError, match="the journal cannot be read"):
        searched(tmp_path, "dog")


UPDATE = """
import sys
from av_tagger.collection.index import Index
from av_tagger.collection.sources import sources_of
(source,) = sources_of(sys.argv[1:])
sys.stdin.readline()
with Index(source) as index:
    print(index.update())
"""


def test_two_processes_make_one_index(tmp_path: Path) -> None:
    """Both are started, then both go at once; one does the work, the other finds it done."""
    run = write_run(tmp_path / "run", random_results(200, LABELS))
    both = [
        subprocess.Popen(
            [sys.executable, "-c", UPDATE, str(run)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    counts = sorted(int(process.communicate(timeout=120)[0]) for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert counts == [0, 200]
    (source,) = sources_of([str(run)])
    with Index(source) as index:
        assert index.update() == 0
        assert index.counts()[0] == 200


def test_the_index_of_results_that_are_no_longer_there(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [result("a", {"Dog": []})])
    (source,) = sources_of([str(run)])
    (run / "results.jsonl").unlink()
    with Index(source) as index, pytest.raises(StorageError, match="No such file"):
        index.update()

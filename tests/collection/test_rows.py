"""Columns of an index: appended, joined and filtered as a plain list of tags and events is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from av_tagger.collection.index import PLAIN_PATHS, SCHEMA
from av_tagger.collection.rows import (
    CLIPS,
    ENDS,
    EVENT_CLIPS,
    EVERY_CLIP,
    STARTS,
    VALUES,
    Rows,
    bytes_of,
    read_columns,
    text_of,
)
from tests.collection.made import result

LABELS = ("Dog", "Cat", "Music")
# One update: tags (label, number of events) per new clip, and places of clips to drop after it.
CLIP = st.dictionaries(st.sampled_from(LABELS), st.integers(0, 2), max_size=3)
UPDATES = st.lists(st.tuples(st.lists(CLIP, max_size=4), st.sets(st.integers(0, 15))), max_size=12)


def opened() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(SCHEMA)
    db.execute(PLAIN_PATHS)
    return db


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    database = opened()
    yield database
    database.close()


@settings(max_examples=60)
@given(UPDATES)
def test_columns_hold_what_was_added_and_not_dropped(
    updates: list[tuple[list[dict[str, int]], set[int]]],
) -> None:
    db = opened()
    kept: dict[int, dict[str, int]] = {}
    serial = 0
    for clips, drop in updates:
        rows = Rows(db)
        for tags in clips:
            serial += 1
            times = {label: [(float(n), n + 1.5) for n in range(c)] for label, c in tags.items()}
            number = rows.add_result(str(serial).encode(), result(f"{serial}.mp4", times), None)
            kept[number] = tags
        rows.flush()
        gone = [clip for place, clip in enumerate(sorted(kept)) if place in drop]
        rows.drop(gone)
        for clip in gone:
            del kept[clip]
    names = Rows(db).labels
    for label in LABELS:
        tagged = [clip for clip, tags in kept.items() if label in tags]
        events = [clip for clip in tagged for _ in range(kept[clip][label])]
        columns = read_columns(db, names.get(label, -1))
        assert sorted(columns[CLIPS].tolist()) == sorted(tagged)
        assert sorted(columns[EVENT_CLIPS].tolist()) == sorted(events)
        np.testing.assert_allclose(columns[ENDS] - columns[STARTS], 1.5)
        assert set(columns[VALUES].tolist()) <= {0.8}
    every = read_columns(db, EVERY_CLIP)
    assert sorted(every[CLIPS].tolist()) == sorted(kept)
    assert db.execute("SELECT count(*) FROM clips").fetchone()[0] == len(kept)
    assert db.execute("SELECT count(*) FROM paths").fetchone()[0] == len(kept)
    db.close()


def test_columns_that_do_not_fit_are_an_error(db: sqlite3.Connection) -> None:
    row = (1, b"\0" * 4, b"\0" * 16, b"", b"", b"")
    db.execute(
        "INSERT INTO columns (label, clips, probabilities, event_clips, starts, ends)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        row,
    )
    with pytest.raises(ValueError, match="different lengths"):
        read_columns(db, 1)
    db.execute("UPDATE columns SET probabilities = x'00'")
    with pytest.raises(ValueError, match="buffer size"):
        read_columns(db, 1)


def test_a_label_without_columns_is_empty(db: sqlite3.Connection) -> None:
    assert {name: len(column) for name, column in read_columns(db, 99).items()} == {
        CLIPS: 0,
        VALUES: 0,
        EVENT_CLIPS: 0,
        STARTS: 0,
        ENDS: 0,
    }


@pytest.mark.parametrize("data", [b"plain", "Žluťoučký".encode(), b"caf\xe9\xff", b""])
def test_bytes_of_names_are_kept(data: bytes) -> None:
    assert bytes_of(text_of(data)) == data


def test_dates_are_kept_beside_the_clips(db: sqlite3.Connection) -> None:
    rows = Rows(db)
    rows.add_result(b"1", result(Path("a"), {}), 5.0)
    rows.add_result(b"2", result(Path("b"), {}), None)
    rows.flush()
    dates = read_columns(db, EVERY_CLIP)[VALUES]
    assert dates[0] == 5.0
    assert np.isnan(dates[1])

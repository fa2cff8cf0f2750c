"""Damaged journals, shards and tables: nothing good is lost, and the right file is named."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from av_tagger.clip import Clip
from av_tagger.errors import AvTaggerError, StorageError
from av_tagger.runner import journal_sql as sql
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.job import Item
from av_tagger.runner.journal import DamagedJournal, Journal
from av_tagger.runner.local import InProcessEngine
from av_tagger.runner.run import RunRequest, Summary, run
from av_tagger.runner.selection import Selection
from tests.fakes import FakeWorkerFactory, touch

CONCURRENCY = Concurrency(2, 1, 1, 4, 1 << 20)
NAMES = [f"{i:02d}.mp4" for i in range(24)] + ["24-bad.mp4"]


def go(folder: Path, paths: list[Path], *, names: bool = False, **order: Any) -> Summary:
    items = [Item(Clip(path), f"{path.stem}_x.wav" if names else "") for path in paths]
    engine = InProcessEngine(FakeWorkerFactory()(), CONCURRENCY)
    return run(RunRequest(folder, items, "fake", **order), engine)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return touch(tmp_path / "in", NAMES)


@pytest.fixture
def folder(tmp_path: Path, paths: list[Path]) -> Path:
    """A finished run."""
    go(tmp_path / "run", paths)
    return tmp_path / "run"


def table(folder: Path) -> bytes:
    return (folder / "results.jsonl").read_bytes()


def change(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "journal.sqlite")) as db, db:
        db.execute(statement, values)


def flip(path: Path, place: int, generator: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << generator.randrange(8)
    path.write_bytes(data)


def error_of(attempt: Callable[[], object]) -> str:
    """The sentence of an error that the user can mend; empty if there is none."""
    try:
        attempt()
    except AvTaggerError as error:
        return str(error)
    return ""


TAMPERED = {
    "nothing": "null",
    "a list": "[]",
    "cut": '{"schema": 1, "tags": [',
    "deep": "[" * 100_000,
    "another schema": '{"schema": 2, "file": "a", "tags": []}',
    "a tag without a label": '{"schema": 1, "file": "a", "tags": [{"probability": 1}]}',
    "a number as a path": '{"schema": 1, "file": 5, "tags": []}',
    "an absurd number": '{"schema": 1, "file": "a", "tags": [{"label": "x", "probability": 7}]}',
    "an error without words": '{"schema": 1, "file": "a", "error": {"kind": 3}}',
    "sound, but not what was stored": '{"schema": 1, "file": "a", "tags": []}',
}  # fmt: skip


@pytest.mark.parametrize("text", TAMPERED.values(), ids=TAMPERED)
@pytest.mark.parametrize("number", [2, 25], ids=["a result", "a failure"])
def test_a_tampered_document_is_made_again(
    folder: Path, paths: list[Path], text: str, number: int
) -> None:
    before = table(folder)
    change(folder, "UPDATE results SET document = ? WHERE id = ?", text, number)
    again = go(folder, paths)
    assert (again.repair.broken, again.skipped) == (1, 24)
    assert table(folder) == before
    assert (folder / "results.before-repair.jsonl").read_bytes() == before


@pytest.mark.parametrize("column", ["status", "kind", "heard", "path", "fingerprint", "mtime_ns"])
def test_every_column_is_under_the_checksum(folder: Path, paths: list[Path], column: str) -> None:
    before = table(folder)
    change(folder, f"UPDATE results SET {column} = 'x' WHERE id = 4")
    assert go(folder, paths).repair.broken == 1
    assert table(folder) == before


def forge(folder: Path, text: str, number: int) -> None:
    """Store a document with a checksum that fits, as an attacker would."""
    with closing(sqlite3.connect(folder / "journal.sqlite")) as db, db:
        db.create_function("digest", -1, sql.digest_of)
        db.execute("UPDATE results SET document = ? WHERE id = ?", (text, number))
        db.execute(f"UPDATE results SET digest = digest({sql._TYPED}) WHERE id = ?", (number,))


@pytest.mark.parametrize("text", TAMPERED.values(), ids=TAMPERED)
def test_a_forged_document_is_one_sentence_at_most(
    tmp_path: Path, paths: list[Path], text: str
) -> None:
    folder = tmp_path / "run"
    go(folder, paths, names=True)
    forge(folder, text, 25)
    said = error_of(lambda: go(folder, paths, names=True))
    assert said == "" or said.startswith(f"{folder}/journal.sqlite: a result cannot be read: ")
    assert "\n" not in said


def test_a_journal_of_the_first_version_is_read_and_gets_checksums(
    folder: Path, paths: list[Path]
) -> None:
    before = table(folder)
    change(folder, "ALTER TABLE results DROP COLUMN digest")
    change(folder, "PRAGMA user_version = 1")
    change(folder, "UPDATE results SET document = '{}' WHERE id = 3")
    again = go(folder, paths)
    assert (again.skipped, again.repair.broken) == (24, 1)
    assert table(folder) == before
    with closing(sqlite3.connect(folder / "journal.sqlite")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (sql.VERSION,)
    assert go(folder, paths).skipped == 25


def test_shards_of_the_first_version_are_adopted(tmp_path: Path, paths: list[Path]) -> None:
    for shard in (1, 2):
        go(tmp_path / "run", paths, selection=Selection(shard=(shard, 2)))
    change(tmp_path / "run" / "shard-1-of-2", "ALTER TABLE results DROP COLUMN digest")
    change(tmp_path / "run" / "shard-1-of-2", "PRAGMA user_version = 1")
    assert go(tmp_path / "run", paths).skipped == 25


def cut_short(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 9 // 10])


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to look at" * 1000)


def broken_pages(path: Path) -> None:
    """A page in the middle, which holds results."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 8192 * 8192
    data[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [cut_short, garbage, broken_pages])
def test_a_damaged_journal_is_moved_aside_and_its_results_are_saved(
    folder: Path, paths: list[Path], damage: Callable[[Path], None]
) -> None:
    before = table(folder)
    damage(folder / "journal.sqlite")
    damaged = (folder / "journal.sqlite").read_bytes()
    again = go(folder, paths)
    assert table(folder) == before
    assert again.repair.damaged == folder / "journal.damaged.sqlite"
    kept = (folder / "journal.damaged.sqlite").read_bytes()
    assert kept.rstrip(b"\0") == damaged.rstrip(b"\0")
    assert (folder / "results.before-repair.jsonl").read_bytes() == before
    assert again.repair.saved == again.skipped
    assert (again.repair.saved > 0) == (damage is not garbage)
    assert go(folder, paths).skipped == 25


def test_a_second_repair_overwrites_nothing(folder: Path, paths: list[Path]) -> None:
    for _ in range(2):
        garbage(folder / "journal.sqlite")
        go(folder, paths)
    assert sorted(p.name for p in folder.glob("*damaged*")) == [
        "journal.damaged-2.sqlite",
        "journal.damaged.sqlite",
    ]
    assert len(list(folder.glob("results.before-repair*"))) == 2


def test_a_deleted_journal_does_not_cost_the_table(folder: Path, paths: list[Path]) -> None:
    before = table(folder)
    (folder / "journal.sqlite").unlink()
    go(folder, paths[:3])
    assert (folder / "results.before-repair.jsonl").read_bytes() == before


def test_fresh_keeps_no_copy(folder: Path, paths: list[Path]) -> None:
    garbage(folder / "journal.sqlite")
    assert go(folder, paths, fresh=True).skipped == 0
    assert sorted(p.name for p in folder.iterdir() if p.is_file()) == [
        ".lock",
        "journal.sqlite",
        "results.jsonl",
    ]


def test_a_damaged_shard_is_named_and_the_healthy_journal_is_not_touched(
    tmp_path: Path, paths: list[Path]
) -> None:
    folder = tmp_path / "run"
    for shard in (1, 2):
        go(folder, paths, selection=Selection(shard=(shard, 2)))
    go(folder, paths)
    before = table(folder)
    broken = folder / "shard-2-of-2" / "journal.sqlite"
    cut_short(broken)
    with pytest.raises(StorageError, match="run that shard again") as caught:
        go(folder, paths)
    assert str(caught.value).startswith(f"{broken}: the journal is damaged")
    assert "--fresh" not in str(caught.value)
    assert table(folder) == before
    mended = go(folder, paths, selection=Selection(shard=(2, 2)))
    assert mended.repair.saved > 0
    assert go(folder, paths).skipped == 25
    assert table(folder) == before


def test_no_advice_to_lose_results(folder: Path) -> None:
    garbage(folder / "journal.sqlite")
    with pytest.raises(DamagedJournal) as caught:
        Journal(folder)
    assert str(caught.value).startswith(f"{folder / 'journal.sqlite'}: the journal is damaged")
    assert "--fresh" not in str(caught.value)


def flipped(folder: Path, paths: list[Path], tmp_path: Path, seed: int) -> None:
    """Flip one to three bits of a journal: the run ends well, or names the journal."""
    generator = random.Random(seed)
    expected = table(folder)
    copy = tmp_path / f"copy{seed}"
    shutil.copytree(folder, copy)
    journal = copy / "journal.sqlite"
    for _ in range(generator.randint(1, 3)):
        near = generator.choice((100, 8192, journal.stat().st_size))
        flip(journal, generator.randrange(min(near, journal.stat().st_size)), generator)
    said = error_of(lambda: go(copy, paths))
    assert said == "" or said.startswith(str(copy)), f"seed {seed}: {said}"
    assert table(copy) == expected, f"seed {seed}: {said}"
    shutil.rmtree(copy)


def test_flipped_bits(folder: Path, paths: list[Path], tmp_path: Path) -> None:
    for seed in (*range(20), 1039, 1401):
        flipped(folder, paths, tmp_path, seed)


def test_a_damaged_index_hides_no_result(folder: Path, paths: list[Path], tmp_path: Path) -> None:
    """Each place where the key of a result is stored, in the table and in its indexes."""
    with closing(sqlite3.connect(folder / "journal.sqlite")) as db:
        (key,) = db.execute("SELECT key FROM results WHERE id = 5").fetchone()
    data = (folder / "journal.sqlite").read_bytes()
    places = [n for n in range(len(data)) if data.startswith(key, n)]
    assert len(places) >= 2, "in the table and in its index"
    for number, place in enumerate(places):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(folder, copy)
        flip(copy / "journal.sqlite", place, random.Random(number))
        go(copy, paths)
        assert table(copy) == table(folder), f"byte {place}"


def test_a_damaged_name_in_the_schema_is_damage(folder: Path, paths: list[Path]) -> None:
    """SQLite quotes it in a message that is no UTF-8."""
    before = table(folder)
    path = folder / "journal.sqlite"
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE results", b"CREATE TABLE r\xd5sults"))
    assert go(folder, paths).repair.damaged is not None
    assert table(folder) == before


@pytest.mark.slow
def test_many_flipped_bits(folder: Path, paths: list[Path], tmp_path: Path) -> None:
    for seed in range(1000, 6000):
        flipped(folder, paths, tmp_path, seed)


def test_the_digest_of_a_result_does_not_change_with_the_program(folder: Path) -> None:
    """Stored checksums must stay valid."""
    fixed = (b"k", b"p", 0.0, None, 1, 2, b"f", b"done", b"", b"ok", b"ok", 0.5, b"{}")
    assert sql.digest_of(*fixed).hex() == DIGEST
    with closing(sqlite3.connect(folder / "journal.sqlite")) as db:
        rows = db.execute(f"SELECT digest, {sql._TYPED} FROM results").fetchall()
    assert len(rows) == 25
    assert all(sql.is_sound(*row) for row in rows)
    assert json.loads(rows[0][-1])["schema"] == 1


DIGEST = "e68d79743086c2a6d599fbd2883c86f3"

"""The journal: exclusive claims, keys that notice changes, clear errors of the store."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from av_tagger.clip import Clip
from av_tagger.errors import StorageError
from av_tagger.runner.job import Item, Job, Record, failure
from av_tagger.runner.journal import Journal, RunCounts
from av_tagger.runner.selection import Selection
from tests.fakes import touch


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "run") as opened:
        yield opened


def items(folder: Path, count: int) -> list[Item]:
    return [Item(Clip(p)) for p in touch(folder, [f"{i:03d}.mp4" for i in range(count)])]


SOUND = '{"schema": 1, "file": "a.mp4", "tags": []}'


def done(job: Job, text: str = SOUND) -> Record:
    return Record(job.position, "done", "", "ok", "ok", 0.1, text)


def names(jobs: list[Job]) -> list[str]:
    return [job.clip.path.stem for job in jobs]


def test_each_job_has_one_owner(journal: Journal, tmp_path: Path) -> None:
    journal.plan(items(tmp_path / "in", 10), "f")
    with Journal(journal.folder) as other:
        mine, yours, mine_again = journal.claim("a", 4), other.claim("b", 4), journal.claim("a", 4)
    assert names(mine + yours + mine_again) == [f"{i:03d}" for i in range(10)]
    assert journal.claim("a", 1) == []


def test_known_results_are_not_planned_again(journal: Journal, tmp_path: Path) -> None:
    listed = items(tmp_path / "in", 4)
    journal.plan(listed, "f")
    first, second, *_ = journal.claim("a", 4)
    journal.record([done(first), failure(second, "media", "is broken")])
    assert journal.plan(listed, "f") == RunCounts(4, 1, 1)
    assert names(journal.claim("a", 4)) == ["002", "003"]
    assert journal.plan(listed, "f", Selection(retry_failed=True)) == RunCounts(4, 1, 0)
    assert names(journal.claim("a", 4)) == ["001", "002", "003"]


@pytest.mark.parametrize("change", ["content", "time", "settings", "part"])
def test_changes_are_done_again(journal: Journal, tmp_path: Path, change: str) -> None:
    (item,) = items(tmp_path / "in", 1)
    journal.plan([item], "f")
    journal.record([done(*journal.claim("a", 1))])
    if change == "content":
        item.clip.path.write_bytes(b"longer")
    if change == "time":
        os.utime(item.clip.path, ns=(1, 1))
    again = Item(Clip(item.clip.path, 1.0, 2.0)) if change == "part" else item
    assert journal.plan([again], "g" if change == "settings" else "f").left == 1


def test_the_same_file_by_another_name_is_known(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item,) = items(tmp_path / "in", 1)
    journal.plan([item], "f")
    journal.record([done(*journal.claim("a", 1))])
    monkeypatch.chdir(tmp_path)
    assert journal.plan([Item(Clip(Path("in") / item.clip.path.name))], "f").left == 0


def test_links_and_dots_are_the_same_file(journal: Journal, tmp_path: Path) -> None:
    (item,) = items(tmp_path / "in", 1)
    (tmp_path / "link.mp4").symlink_to(item.clip.path)
    (tmp_path / "folder").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "deep").mkdir()
    paths = ["link.mp4", "folder/000.mp4", "in/deep/../000.mp4", "in/000.mp4"]
    assert journal.plan([Item(Clip(tmp_path / p)) for p in paths], "f").total == 1
    named = [Item(Clip(tmp_path / p), f"{n}.wav") for n, p in enumerate(paths)]
    assert journal.plan(named, "f").total == len(paths), "each name of an official list counts"


def test_file_names_that_are_not_utf8(journal: Journal, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe \n'.mp4"))
    odd.write_bytes(b"x")
    journal.plan([Item(Clip(odd))], "f")
    assert [job.clip.path for job in journal.claim("a", 1)] == [odd]


def test_an_item_named_twice_is_one(journal: Journal, tmp_path: Path) -> None:
    listed = items(tmp_path / "in", 2)
    assert journal.plan(listed + listed[:1], "f").total == 2


def test_shards_together_are_the_whole_plan(journal: Journal, tmp_path: Path) -> None:
    listed = items(tmp_path / "in", 11)
    found = []
    for shard in (1, 2, 3):
        journal.plan(listed, "f", Selection(shard=(shard, 3)))
        found += names(journal.claim("a", 99))
    assert sorted(found) == [f"{i:03d}" for i in range(11)]


def test_shuffled_and_limited_is_the_same_sample_twice(journal: Journal, tmp_path: Path) -> None:
    listed = items(tmp_path / "in", 50)
    samples = []
    for seed in (1, 1, 2):
        journal.plan(listed, "f", Selection(shuffle=seed, limit=10))
        samples.append(names(journal.claim("a", 99)))
    assert len(samples[0]) == 10
    assert samples[0] == samples[1] != samples[2]
    assert samples[0] != sorted(samples[0])


def test_a_death_makes_suspects_and_the_second_gives_the_clip_up(
    journal: Journal, tmp_path: Path
) -> None:
    journal.plan(items(tmp_path / "in", 5), "f")
    journal.claim("a", 3)
    journal.release("a", died=True)
    assert names(journal.claim("b", 9)) == ["003", "004"]
    (first,) = journal.claim("b", 1, suspects=True)
    journal.record([done(first)])
    journal.claim("b", 1, suspects=True)
    journal.release("b", died=True)
    words = "the process that worked on it died 2 times; tag it alone to see why"
    assert journal.failures() == [("crash", 1, f"{tmp_path}/in/001.mp4: {words}")]
    assert names(journal.claim("c", 9, suspects=True)) == ["002", "003", "004"], (
        "jobs held at the second death are suspects, too"
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**30))
def test_random_owners_do_everything_once(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Owners claim, finish and release at random: in the end each clip has one result."""
    generator = random.Random(seed)
    with Journal(tmp_path_factory.mktemp("j")) as journal:
        journal.plan([Item(Clip(Path(f"/none/{i}"))) for i in range(20)], "f")
        held: dict[str, list[Job]] = {"a": [], "b": [], "c": []}
        while journal.counts().left:
            owner = generator.choice("abc")
            held[owner] += journal.claim(owner, generator.randrange(1, 4))
            if generator.random() < 0.3:
                journal.release(owner, died=False)
                held[owner] = []
            while held[owner] and generator.random() < 0.7:
                job = held[owner].pop()
                journal.record([done(job, json.dumps({"n": job.position}))])
        assert [json.loads(d)["n"] for _, d in journal.documents()] == list(range(20))


def test_free_jobs_are_counted_no_further_than_asked(journal: Journal, tmp_path: Path) -> None:
    journal.plan(items(tmp_path / "in", 5), "f")
    assert [journal.waiting(most) for most in (0, 1, 3, 99)] == [0, 1, 3, 5]
    journal.claim("a", 4)
    assert journal.waiting(99) == 1


def test_new_results_come_once_and_in_order(journal: Journal, tmp_path: Path) -> None:
    journal.plan(items(tmp_path / "in", 3), "f")
    a, b, c = journal.claim("a", 3)
    journal.record([done(b, "b")])
    last = journal.last()
    journal.record([done(c, "c"), done(a, "a")])
    assert [text for _, _, text in journal.results_after(last)] == ["c", "a"]
    assert [text for _, text in journal.documents()] == ["a", "b", "c"]


def test_results_of_shards_are_adopted(journal: Journal, tmp_path: Path) -> None:
    listed = items(tmp_path / "in", 4)
    with Journal(tmp_path / "run" / "shard-1-of-2") as shard:
        shard.plan(listed, "f", Selection(shard=(1, 2)))
        shard.record([done(job) for job in shard.claim("a", 9)])
    journal.adopt(tmp_path / "run" / "shard-1-of-2" / "journal.sqlite")
    assert journal.plan(listed, "f") == RunCounts(4, 2, 0)


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(StorageError, match=r"journal is damaged .*run the same command again"):
        Journal(tmp_path)
    with Journal(tmp_path, fresh=True) as journal:
        assert journal.counts().total == 0


def test_a_deleted_journal_is_named(journal: Journal, tmp_path: Path) -> None:
    journal.plan(items(tmp_path / "in", 2), "f")
    for path in journal.folder.iterdir():
        path.unlink()
    with pytest.raises(StorageError, match="No such file"):
        journal.claim("a", 1)


def test_the_journal_is_in_wal_mode(journal: Journal) -> None:
    with closing(sqlite3.connect(journal.path)) as db, db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


def test_a_damaged_shard_is_named_and_not_the_healthy_journal(
    journal: Journal, tmp_path: Path
) -> None:
    other = tmp_path / "run" / "shard-1-of-2" / "journal.sqlite"
    other.parent.mkdir()
    other.write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(StorageError, match="damaged") as caught:
        journal.adopt(other)
    assert str(caught.value).startswith(f"{other}: ")
    assert "run that shard again" in str(caught.value)


def test_a_journal_of_a_later_version_is_named(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db, db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="written by a later version of av-tag; update"):
        Journal(tmp_path)


def test_a_database_of_another_program_is_named_and_left_alone(
    journal: Journal, tmp_path: Path
) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE results (name TEXT)")
    before = path.read_bytes()
    for attempt in (lambda: Journal(tmp_path), lambda: journal.adopt(path)):
        with pytest.raises(StorageError, match="not a journal of av-tag"):
            attempt()
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", SOUND[:-1], '{"schema": 1, "error": 2}'])
def test_damaged_documents_are_counted_and_not_copied(
    journal: Journal, tmp_path: Path, text: str
) -> None:
    listed = items(tmp_path / "in", 3)
    with Journal(tmp_path / "shard") as shard:
        shard.plan(listed, "f")
        first, *rest = shard.claim("a", 9)
        shard.record([done(first), *map(done, rest)])
        shard._db.execute("UPDATE results SET document = ? WHERE id = 1", (text,))
        assert journal.adopt(shard.path) == shard.broken() == 1
        shard.drop_broken()
        assert shard.plan(listed, "f") == RunCounts(3, 2, 0)
    assert journal.plan(listed, "f") == RunCounts(3, 2, 0)

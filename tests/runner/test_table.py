"""results.jsonl: appended during the run, sorted at the end, never with half a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from av_tagger.clip import Clip
from av_tagger.errors import StorageError
from av_tagger.runner.job import Item, Job, Record, failure
from av_tagger.runner.journal import Journal
from av_tagger.runner.table import NAME, ResultsTable, listed_documents, shards_of
from tests.fakes import touch


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "run") as opened:
        paths = touch(tmp_path / "in", [f"{i}.mp4" for i in range(200)])
        opened.plan(
            [Item(Clip(p), f"{p.stem}.wav" if n < 2 else "") for n, p in enumerate(paths)], "f"
        )
        yield opened


def done(job: Job) -> Record:
    return Record(job.position, "done", "", "ok", "ok", 0.1, json.dumps({"n": job.position}))


def numbers(table: ResultsTable) -> list[int]:
    return [json.loads(line)["n"] for line in table.path.read_text().splitlines()]


def test_results_are_appended_as_they_come_and_sorted_at_the_end(journal: Journal) -> None:
    table = ResultsTable(journal)
    table.write()
    assert table.path.read_text() == ""
    jobs = journal.claim("a", 5)
    for group in ([jobs[3]], [], [jobs[0], jobs[4]]):
        journal.record([done(job) for job in group])
        table.catch_up()
    assert numbers(table) == [3, 0, 4]
    table.write()
    assert numbers(table) == [0, 3, 4]
    assert (table.done, table.failed) == (3, 0)


def test_many_results_are_appended_in_one_call(journal: Journal) -> None:
    table = ResultsTable(journal)
    table.write()
    journal.record([done(job) for job in journal.claim("a", 150)])
    table.catch_up()
    assert len(numbers(table)) == 150


def test_failures_are_counted(journal: Journal) -> None:
    table = ResultsTable(journal)
    table.write()
    one, other = journal.claim("a", 2)
    journal.record([done(one), failure(other, "media", "is broken")])
    table.catch_up()
    assert (table.done, table.failed) == (1, 1)


def test_results_that_write_has_written_are_not_appended_again(journal: Journal) -> None:
    journal.record([done(job) for job in journal.claim("a", 3)])
    table = ResultsTable(journal)
    table.write()
    table.catch_up()
    assert numbers(table) == [0, 1, 2]


def test_a_table_that_cannot_be_written_names_the_remedy(journal: Journal) -> None:
    (journal.folder / NAME).mkdir()
    journal.record([done(job) for job in journal.claim("a", 1)])
    with pytest.raises(StorageError, match=r"results\.jsonl: cannot be written .*safe in"):
        ResultsTable(journal).catch_up()


def test_clips_of_official_lists_keep_their_names(journal: Journal) -> None:
    journal.record([done(job) for job in journal.claim("a", 4)])
    assert [name for name, _ in listed_documents(journal)] == ["0.wav", "1.wav"]


def test_journals_of_shards_are_found(tmp_path: Path) -> None:
    for name in ("shard-1-of-2", "shard-2-of-2", "other"):
        with Journal(tmp_path / name):
            pass
    found = [path.parent.name for path in shards_of(tmp_path)]
    assert found == ["shard-1-of-2", "shard-2-of-2"]

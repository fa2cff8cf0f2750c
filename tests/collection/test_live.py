"""Journals of live streams: scenes, kept sound, and lines that come while searches are made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from av_tagger.collection.index import Index
from av_tagger.collection.names import Names
from av_tagger.collection.query import parse
from av_tagger.collection.search import Hit, search
from av_tagger.collection.sources import sources_of
from av_tagger.collection.tables import media_of
from av_tagger.live.lines import LineKind, LiveLine
from av_tagger.live.outputs.files import DailyJournal
from av_tagger.reports.schema.day import StreamHead
from tests.collection.made import BRANCH, RUN

HEAD = StreamHead("rtsp://camera", BRANCH, BRANCH, RUN)
MARCH_1 = 1_772_366_400.0  # Unix time, noon in Greenwich
NUMBERS = iter(range(1, 10_000))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[DailyJournal]:
    output = DailyJournal(tmp_path / "journal", HEAD, lambda: "2026-03-01")
    yield output
    output.close()


def take(journal: DailyJournal, label: str, start: float, end: float, peak: float = 0.9) -> int:
    """An event that has ended; its number."""
    number = next(NUMBERS)
    line = LiveLine(LineKind.CLOSE, start, end, label, peak, number=number, wall=MARCH_1 + start)
    journal.take(line)
    return number


def find(journal: DailyJournal, query: str) -> tuple[Hit, ...]:
    (source,) = sources_of([str(journal.folder)])
    with Index(source) as index:
        index.update()
        return search([index], parse(query), Names(index.labels()).meaning, 99).hits


def starts(hits: tuple[Hit, ...]) -> list[float]:
    return sorted(event.start for hit in hits for event in hit.events)


def test_events_that_are_near_in_time_are_one_scene(journal: DailyJournal) -> None:
    take(journal, "Dog", 10, 11)
    take(journal, "Cat", 40, 41)
    take(journal, "Dog", 500, 501)
    assert starts(find(journal, "dog AND cat")) == [10, 40]
    assert starts(find(journal, "dog AND NOT cat")) == [500]
    assert starts(find(journal, "dog NEAR/30 cat")) == [10, 40]
    assert find(journal, "dog NEAR/20 cat") == ()


def test_a_scene_without_a_pause_ends_after_ten_minutes(journal: DailyJournal) -> None:
    for minute in range(25):
        take(journal, "Dog", minute * 50, minute * 50 + 1)
    scenes = sorted(hit.start for hit in find(journal, "dog"))
    assert scenes == [0, 650]


def test_lines_that_come_later_go_on_with_the_last_scene(journal: DailyJournal) -> None:
    take(journal, "Dog", 10, 11, peak=0.4)
    assert starts(find(journal, "dog AND NOT cat")) == [10]
    take(journal, "Cat", 15, 16)
    take(journal, "Dog", 20, 24, peak=0.7)
    assert find(journal, "dog AND NOT cat") == ()
    (hit,) = find(journal, "dog AND cat LONGER 1")
    assert hit.tags == (("Cat", 0.9), ("Dog", 0.7))
    assert (hit.start, hit.end) == (10, 24)
    assert starts(find(journal, "dog OVER 0.6 LONGER 2")) == [20]


def test_dates_of_scenes_are_those_of_the_wall_clock(journal: DailyJournal) -> None:
    take(journal, "Dog", 10, 11)
    (hit,) = find(journal, "dog SINCE 2026-02-20 UNTIL 2026-03-10")
    assert hit.moment == MARCH_1 + 10
    assert find(journal, "dog SINCE 2026-03-10") == ()


def test_kept_sound_is_what_is_played(journal: DailyJournal) -> None:
    number = take(journal, "Dog", 10, 11)
    line = LiveLine(LineKind.KEPT, 5.0, 16.0, "Dog", number=number, text="kept/dog.wav")
    journal.take(line)
    take(journal, "Dog", 30, 31)
    (hit,) = find(journal, "dog")
    kept, other = hit.events
    assert media_of(hit, kept) == ("kept/dog.wav", 5.0, 6.0)
    assert media_of(hit, other) is None
    assert hit.live


def test_a_journal_that_was_replaced_is_read_anew(journal: DailyJournal, tmp_path: Path) -> None:
    take(journal, "Dog", 10, 11)
    take(journal, "Dog", 100, 101)
    assert len(find(journal, "dog")) == 2
    journal.close()
    journal.path.unlink()
    again = DailyJournal(journal.folder, HEAD, lambda: "2026-03-01")
    take(again, "Cat", 5, 6)
    assert find(again, "dog") == ()
    assert starts(find(again, "cat")) == [5]
    again.close()


def test_days_and_runs_in_one_folder_are_all_searched(journal: DailyJournal) -> None:
    take(journal, "Dog", 10, 11)
    (source,) = sources_of([str(journal.path)])
    assert source.live
    (journal.folder / "results.jsonl").write_text("")
    (journal.folder / "other.sqlite").write_bytes(b"")
    assert len(sources_of([str(journal.folder)])) == 2

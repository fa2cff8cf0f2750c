"""Searches against a plain implementation on random results; scores, dates, events of hits."""

from __future__ import annotations

import datetime as dt
import fnmatch
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from av_tagger.collection.index import Index
from av_tagger.collection.names import Names
from av_tagger.collection.query import And, Dated, Near, Node, Not, Or, PathLike, Term, parse
from av_tagger.collection.search import Found, FoundEvent, search
from av_tagger.collection.sources import sources_of
from av_tagger.collection.tables import whole_of
from av_tagger.scores import Event, Tagged
from tests.collection.made import random_results, result, write_run

LABELS = ("Dog", "Cat", "Music", "Ambulance (siren)", "Police car (siren)")
KINDS = {"siren": LABELS[3:]}
QUERIES = (
    "dog",
    "dog AND NOT cat",
    "NOT (dog OR cat)",
    "any siren AND music",
    "dog OVER 0.5",
    "dog LONGER 3",
    "any siren SHORTER 1 OVER 0.3",
    "dog NEAR/1 cat",
    "dog NEAR/0 any siren",
    "any siren NEAR/2 any siren",
    "dog NEAR/3 dog",
    "dog LONGER 2 NEAR/5 cat SHORTER 2 OVER 0.2",
    "any siren LONGER 1 NEAR/2 any siren SHORTER 4 OVER 0.4",
    "PATH /1/",
    'dog AND PATH "films/?/clip_*2.mp4"',
    "dog AND SINCE 2000-01-01",
    "accordion OR cat",
)


def plain(one: Tagged, node: Node) -> bool:  # noqa: PLR0911
    """The meaning of a query for one result, in loops."""
    match node:
        case Not(inner):
            return not plain(one, inner)
        case And(parts):
            return all(plain(one, part) for part in parts)
        case Or(parts):
            return any(plain(one, part) for part in parts)
        case PathLike(pattern):
            return fnmatch.fnmatch(str(one.clip.path), f"*{pattern}*")
        case Dated():
            return False  # no file of these is there
        case Term():
            wanted = [t for t in one.tags if t.label in names(node) and t.probability >= node.over]
            return bool(events(one, node)) if node.of_events else bool(wanted)
        case Near(left, right, seconds):
            return any(
                a is not b and max(a.start - b.end, b.start - a.end) <= seconds + 1e-9
                for a in events(one, left)
                for b in events(one, right)
            )


def names(term: Term) -> tuple[str, ...]:
    return KINDS.get(term.name, (term.name.capitalize(),))


def events(one: Tagged, term: Term) -> list[Event]:
    most = 1e9 if term.shorter is None else term.shorter
    return [
        e
        for tag in one.tags
        if tag.label in names(term) and tag.probability >= term.over
        for e in tag.events
        if term.longer - 1e-9 <= e.end - e.start <= most + 1e-9
    ]


Search = Callable[..., Found]


@pytest.fixture
def find(tmp_path: Path) -> Search:
    def find(query: str, *runs: Path, limit: int = 999) -> Found:
        indexes = [Index(source) for source in sources_of([str(run) for run in runs])]
        for index in indexes:
            index.update()
        present = {label for index in indexes for label in index.labels()}
        try:
            return search(indexes, parse(query), Names(present).meaning, limit)
        finally:
            for index in indexes:
                index.db.close()

    return find


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Tagged]]:
    results = random_results(300, LABELS)
    return write_run(tmp_path_factory.mktemp("random") / "run", results), results


@pytest.mark.parametrize("query", QUERIES)
def test_queries_find_what_loops_find(
    query: str, collection: tuple[Path, list[Tagged]], find: Search
) -> None:
    run, results = collection
    node = parse(query)
    expected = sorted(str(one.clip.path) for one in results if plain(one, node))
    found = find(query, run)
    assert sorted(hit.file for hit in found.hits) == expected
    assert found.total == len(expected)
    if "SINCE" not in query:
        assert 0 < len(expected) < 300, "a query that tells something"


def test_the_best_hits_of_several_runs_come_first(
    collection: tuple[Path, list[Tagged]], find: Search, tmp_path: Path
) -> None:
    other = write_run(tmp_path / "other", [result("best.mp4", {"Dog": [(1, 2)]}, 0.9995)])
    everything = find("dog OR cat", collection[0], other).hits
    scores = [hit.score for hit in everything]
    assert scores == sorted(scores, key=lambda s: -(s or 0))
    few = find("dog OR cat", collection[0], other, limit=5)
    assert few.hits == everything[:5]
    assert few.hits[0].file == "best.mp4"
    assert few.hits[0].source == str(other)
    assert few.total == len(everything)


def test_hits_show_the_events_that_matched(find: Search, tmp_path: Path) -> None:
    tags = {"Dog": [(1, 2), (30, 36)], "Cat": [(3, 4)], "Music": [(0, 60)]}
    run = write_run(tmp_path / "run", [result("a.mp4", tags)])

    def times(query: str) -> list[tuple[str, float]]:
        (hit,) = find(query, run).hits
        return [(e.label, e.start) for e in hit.events]

    assert times("dog") == [("Dog", 1), ("Dog", 30)]
    assert times("dog LONGER 3") == [("Dog", 30)]
    assert times("dog NEAR/1 cat") == [("Dog", 1), ("Cat", 3)]
    assert times("dog SHORTER 2 AND NOT accordion") == [("Dog", 1)]
    assert times("NOT accordion") == []


def test_a_tag_without_events_is_named_by_what_was_asked_for(find: Search, tmp_path: Path) -> None:
    """Seen and not heard: the best tag of the clip is another one."""
    one = result("a.mp4", {"Music": [(0, 9)], "Dog": []}, 0.9)
    less = [replace(tag, probability=0.5) if tag.label == "Dog" else tag for tag in one.tags]
    run = write_run(tmp_path / "run", [replace(one, tags=tuple(less))])
    (hit,) = find("dog", run).hits
    assert (hit.asked, hit.events, hit.score) == (("Dog",), (), 0.5)
    assert whole_of(hit) == FoundEvent("Dog", 0.0, 60.0, 0.5)
    (hit,) = find("NOT cat", run).hits
    assert hit.asked == ()
    assert whole_of(hit).label == "Music"


def test_dates_are_days_of_the_file_here(find: Search, tmp_path: Path) -> None:
    film = tmp_path / "a.mp4"
    film.write_bytes(b"x")
    noon = dt.datetime(2026, 3, 1, 12).astimezone().timestamp()
    os.utime(film, (noon, noon))
    results = [result(film, {"Dog": []}), result("gone.mp4", {"Dog": []})]
    run = write_run(tmp_path / "run", results)
    assert find("dog ON 2026-03-01", run).total == 1
    assert find("dog SINCE 2026-03-01 UNTIL 2026-03-01", run).total == 1
    assert find("dog SINCE 2026-03-02", run).total == 0
    assert find("dog UNTIL 2026-02-28", run).total == 0
    assert find("UNTIL 9999-12-31", run).total == 1
    assert find("SINCE 0001-01-01", run).total == 1
    assert find("dog NOT ON 2026-03-01", run).total == 1, "a film without a date"


def test_a_percent_sign_in_a_path_is_itself(find: Search, tmp_path: Path) -> None:
    clips = ("100%.mp4", "100x.mp4", "a_b.mp4", "acb.mp4")
    run = write_run(tmp_path / "run", [result(name, {}) for name in clips])
    assert [h.file for h in find("PATH 100%", run).hits] == ["100%.mp4"]
    assert [h.file for h in find("PATH a_b", run).hits] == ["a_b.mp4"]
    assert find("PATH 'x\\", run).total == 0

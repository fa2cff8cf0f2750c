"""Which parts of a film are cut for which classes, and what the films are called."""

from __future__ import annotations

import itertools

import pytest

from av_tagger.collection.parts import (
    CutRequest,
    Kind,
    PlannedFilm,
    events_of,
    labels_of,
    planned_films,
)
from av_tagger.errors import UsageError
from av_tagger.media.spans import Span
from av_tagger.scores import Event
from tests.collection.made import result

ONE = result("a.mp4", {"Dog": [(10, 12), (12.5, 14)], "Police car (siren)": [(30, 31)]})
EVENTS = events_of([ONE], frozenset({"Dog", "Police car (siren)"}), 0)


def films(kind: Kind, **more: float) -> list[PlannedFilm]:
    request = CutRequest(kind, pad=more.get("pad"), seconds=more.get("seconds", 0.0))
    return planned_films(request, EVENTS, 60.0)


def test_keep_and_drop_share_the_film() -> None:
    (keep,) = films("keep", pad=1)
    (drop,) = films("drop", pad=1)
    assert keep == PlannedFilm("keep", (Span(9, 15), Span(29, 32)))
    assert drop == PlannedFilm("drop", (Span(0, 9), Span(15, 29), Span(32, 60)))


def test_extract_has_a_film_per_event_and_class() -> None:
    assert [(f.name, f.spans) for f in films("extract", pad=0)] == [
        ("dog.001", (Span(10, 12),)),
        ("dog.002", (Span(12.5, 14),)),
        ("police-car-siren.001", (Span(30, 31),)),
    ]
    assert len(films("extract")) == 2, "half a second more on each side joins the first two"


def test_split_is_the_whole_film_in_pieces() -> None:
    spans = [f.spans[0] for f in films("split")]
    assert spans[0].start == 0
    assert spans[-1].end == 60
    assert all(a.end == b.start for a, b in itertools.pairwise(spans))
    assert len(spans) == 7


def test_a_reel_takes_every_class_before_second_events() -> None:
    (reel,) = films("reel", seconds=3.5, pad=0)
    assert reel.spans == (Span(10, 12), Span(30, 31)), "0.5 s of the next would be too short"
    (longer,) = films("reel", seconds=60, pad=0)
    assert sum(s.seconds for s in longer.spans) == pytest.approx(4.5)


def test_nothing_is_planned_without_events() -> None:
    assert planned_films(CutRequest("drop"), [], 60.0) == []
    everything = events_of([result("a", {"Dog": [(0, 60)]})], frozenset({"Dog"}), 0)
    assert planned_films(CutRequest("drop"), everything, 60.0) == []


def test_events_of_classes_with_a_least_peak_in_order() -> None:
    assert [e.start for _, e in EVENTS] == [10, 12.5, 30]
    assert events_of([ONE], frozenset({"Dog"}), 0.95) == []
    assert events_of([ONE], frozenset({"Dog"}), 0.9)[0] == ("Dog", Event(10, 12, 0.9))


def test_classes_are_named_as_in_find() -> None:
    labels, why = labels_of(CutRequest("keep", "any siren; dog"), [ONE])
    assert labels == {"Police car (siren)", "Dog"}
    assert len(why) == 1
    every, _ = labels_of(CutRequest("reel"), [ONE])
    assert every == labels
    with pytest.raises(UsageError, match=r"^there is no class 'Dogg'; did you mean 'Dog'"):
        labels_of(CutRequest("keep", "Dogg"), [ONE])


@pytest.mark.parametrize("label", ["../../x", "/etc/passwd", "\x00\n", "=1+1", "ß" * 300, ""])
def test_hostile_labels_are_no_paths(label: str) -> None:
    (film,) = planned_films(CutRequest("extract"), [(label, Event(1, 2, 0.5))], 60.0)
    stem = film.name.removesuffix(".001")
    assert stem
    assert len(stem) <= 40
    assert all(c.isascii() and (c.isalnum() or c == "-") for c in stem)

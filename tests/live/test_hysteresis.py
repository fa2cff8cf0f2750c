"""Events of a growing timeline are those of the whole timeline."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from av_tagger.audio.events import EventSettings, find_events
from av_tagger.live.hysteresis import Change, Hysteresis

SETTINGS = EventSettings(minimum_seconds=0.2, gap_seconds=0.3)
ALL = np.ones(2, bool)


def pushed(values: NDArray[np.float32], sizes: list[int], *, allowed: bool = True) -> list[Change]:
    events = Hysteresis(SETTINGS, 10.0, np.array([0.5, 0.8]))
    changes: list[Change] = []
    first = 0
    for size in [*sizes, len(values)]:
        changes += events.push(values[first : first + size], ALL & allowed)
        first = min(len(values), first + size)
    return changes + events.finish()


LEVELS = st.sampled_from([0.0, 0.1, 0.26, 0.45, 0.6, 0.9, float("nan")])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=60),
    st.lists(st.integers(1, 9), max_size=20),
)
def test_the_same_events_as_offline(rows: list[tuple[float, float]], sizes: list[int]) -> None:
    values = np.array(rows, np.float32)
    changes = pushed(values, sizes)
    for column, high in enumerate((0.5, 0.8)):
        offline = find_events(values[:, column], 10.0, 0.0, SETTINGS.at(high))
        live = [c for c in changes if c.closed and c.column == column]
        assert [(round(c.start / 10, 6), round(c.end / 10, 6)) for c in live] == [
            (round(e.start, 6), round(e.end, 6)) for e in offline
        ]
        assert np.allclose([c.peak for c in live], [e.peak for e in offline])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=60))
def test_every_event_opens_once_before_it_closes(rows: list[tuple[float, float]]) -> None:
    open_now: set[int] = set()
    for change in pushed(np.array(rows, np.float32), [3] * 20):
        assert (change.column in open_now) == change.closed
        open_now ^= {change.column}
    assert not open_now


def test_an_event_opens_with_the_frame_that_makes_it_certain() -> None:
    events = Hysteresis(SETTINGS, 10.0, np.array([0.5, 0.5]))
    assert events.push(np.array([[0.3, 0.0], [0.6, 0.0]]), ALL) == [
        Change(0, 0, 2, 0.6, closed=False)
    ]
    assert events.push(np.zeros((2, 2)), ALL) == []
    assert events.push(np.zeros((1, 2)), ALL) == [Change(0, 0, 2, 0.6, closed=True)]


def test_a_pause_shorter_than_the_gap_joins() -> None:
    values = np.array([[v, 0.0] for v in (0.9, 0.9, 0.0, 0.0, 0.9, 0.9)], np.float32)
    closed = [c for c in pushed(values, [1] * 6) if c.closed]
    assert [(c.start, c.end) for c in closed] == [(0, 6)]


def test_classes_that_are_not_allowed_stay_silent() -> None:
    values = np.full((10, 2), 0.9, np.float32)
    assert pushed(values, [2, 2], allowed=False) == []


def test_an_event_is_opened_when_it_becomes_allowed() -> None:
    events = Hysteresis(SETTINGS, 10.0, np.array([0.5, 0.5]))
    loud = np.full((3, 2), 0.9)
    assert events.push(loud, ~ALL) == []
    opened = events.push(loud, np.array([True, False]))
    assert [(c.column, c.start) for c in opened] == [(0, 0)]
    assert set(events.open_events()) == {0}


def test_a_patient_timeline_tells_earlier_events_once_the_class_is_allowed() -> None:
    events = Hysteresis(SETTINGS, 10.0, np.array([0.5, 0.5]), patient=True)
    loud, quiet = np.full((3, 2), 0.9), np.zeros((5, 2))
    assert events.push(np.concatenate([quiet, loud, quiet]), ~ALL) == []
    assert events.push(quiet, np.array([True, False])) == [
        Change(0, 5, 8, 0.9, closed=False),
        Change(0, 5, 8, 0.9, closed=True),
    ]
    later = events.push(np.concatenate([loud, quiet]), ~ALL)
    assert [(c.column, c.closed) for c in later] == [(0, False), (0, True)]

"""Events from frame activity: by hand, and by properties."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from av_tagger.audio.events import EventSettings, find_events
from av_tagger.scores import Event

PLAIN = EventSettings(high=0.5, low=0.25, minimum_seconds=0.0, gap_seconds=0.0)
activities = arrays(np.float64, st.integers(0, 40), elements=st.floats(0, 1))


def spans(
    values: list[float], settings: EventSettings, rate: float = 10.0, start: float = 0.0
) -> list[tuple[float, float, float]]:
    return [
        (round(e.start, 6), round(e.end, 6), e.peak)
        for e in find_events(np.array(values), rate, start, settings)
    ]


def test_hysteresis_by_hand() -> None:
    assert spans([0.1, 0.3, 0.6, 0.3, 0.1, 0.3, 0.4, 0.1, 0.9], PLAIN) == [
        (0.1, 0.4, 0.6),
        (0.8, 0.9, 0.9),
    ]


def test_touching_both_ends_and_starting_later() -> None:
    assert spans([0.9, 0.2, 0.8, 0.7], PLAIN, start=30.0) == [(30.0, 30.1, 0.9), (30.2, 30.4, 0.8)]


@pytest.mark.parametrize(("gap", "count"), [(0.0, 2), (0.2, 2), (0.21, 1), (0.3, 1)])
def test_gaps_shorter_than_allowed_are_closed(gap: float, count: int) -> None:
    """Two quiet frames at 10 Hz are a pause of 0.2 s."""
    assert len(spans([0.9, 0.0, 0.0, 0.9], EventSettings(0.5, 0.25, 0.0, gap))) == count


@pytest.mark.parametrize(("minimum", "count"), [(0.1, 2), (0.11, 1), (0.3, 1), (0.31, 0)])
def test_short_events_are_dropped(minimum: float, count: int) -> None:
    """One frame is 0.1 s, three are 0.3 s."""
    assert len(spans([0.9, 0.0, 0.9, 0.9, 0.9], EventSettings(0.5, 0.25, minimum, 0.0))) == count


def test_gaps_close_before_short_events_are_dropped() -> None:
    assert spans([0.9, 0.0, 0.9], EventSettings(0.5, 0.25, 0.3, 0.2)) == [(0.0, 0.3, 0.9)]


def test_nan_frames_count_as_inactive() -> None:
    assert spans([0.9, np.nan, 0.9], PLAIN) == [(0.0, 0.1, 0.9), (0.2, 0.3, 0.9)]
    assert spans([np.nan], PLAIN) == []
    assert spans([], PLAIN) == []


def test_another_threshold_scales_the_low_one() -> None:
    assert PLAIN.at(0.8) == EventSettings(0.8, 0.4, 0.0, 0.0)
    assert EventSettings(0.0, 0.0).at(0.3).low == 0.3


@pytest.mark.parametrize(
    "wrong", [{"high": 0.2}, {"low": -0.1}, {"minimum_seconds": -1}, {"gap_seconds": -1}]
)
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"low must lie between|_seconds must lie between 0 and"):
        EventSettings(**wrong)


def slow_oracle(values: np.ndarray, high: float, low: float) -> list[tuple[int, int]]:
    """Frame by frame."""
    found, start = [], None
    for i, v in enumerate([*values, -1.0]):
        if v >= low and start is None:
            start = i
        elif v < low and start is not None:
            if max(values[start:i]) >= high:
                found.append((start, i))
            start = None
    return found


@given(activities, st.floats(0, 1), st.floats(0, 1))
def test_agrees_with_a_loop_over_frames(values: np.ndarray, a: float, b: float) -> None:
    settings = EventSettings(max(a, b), min(a, b), 0.0, 0.0)
    assert [(e.start, e.end) for e in find_events(values, 1.0, 0.0, settings)] == slow_oracle(
        values, max(a, b), min(a, b)
    )


@given(activities, st.floats(0, 5), st.floats(0, 5))
def test_events_are_apart_long_enough_and_high_enough(
    values: np.ndarray, minimum: float, gap: float
) -> None:
    events = find_events(values, 1.0, 0.0, EventSettings(0.5, 0.25, minimum, gap))
    assert all(e.end - e.start >= minimum - 1e-3 and e.peak >= 0.5 for e in events)
    assert all(b.start - a.end >= gap - 1e-3 for a, b in pairwise(events))
    assert all(e.peak == values[int(e.start) : int(e.end)].max() for e in events)


@given(activities, st.integers(0, 5))
def test_a_shift_in_time_shifts_the_events(values: np.ndarray, frames: int) -> None:
    later = find_events(
        np.concatenate([np.zeros(frames), values]), 1.0, 0.0, EventSettings(minimum_seconds=0)
    )
    moved = [
        Event(e.start + frames, e.end + frames, e.peak)
        for e in find_events(values, 1.0, 0.0, EventSettings(minimum_seconds=0))
    ]
    assert later == moved


def test_needs_no_torch() -> None:
    code = "import sys, av_tagger.audio.events, av_tagger.weights; print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"

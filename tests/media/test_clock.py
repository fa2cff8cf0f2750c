"""Time stamps are kept where they are possible and replaced where they are not."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from av_tagger.media.clock import MAX_DECLARED_SECONDS, MAX_JUMP_SECONDS, Clock

STEP = 0.04


def run(clock: Clock, stamps: list[float | None], back: float = 1.0) -> list[float]:
    """Times of successive frames, as the tracks use a clock."""
    times = []
    for stamp in stamps:
        expected = clock.last + STEP if math.isfinite(clock.last) else clock.start
        clock.last = clock.tick(stamp, expected, back)
        times.append(clock.last)
    return times


def test_rising_stamps_are_kept() -> None:
    clock = Clock(10.0, 0.0)
    stamps: list[float | None] = [0.0, 0.04, 0.5, 0.5, 9.0]
    assert run(clock, stamps) == stamps
    assert clock.repaired == 0


def test_missing_stamps_continue_from_the_last_frame() -> None:
    assert run(Clock(None, 0.0), [None, None, 1.0, None]) == pytest.approx([0.0, 0.04, 1.0, 1.04])


def test_a_clip_without_stamps_begins_where_reading_begins() -> None:
    assert run(Clock(None, 30.0), [None, None]) == pytest.approx([30.0, 30.04])


def test_a_restarted_clock_moves_all_later_times() -> None:
    """As in joined transport streams."""
    clock = Clock(None, 0.0)
    assert run(clock, [0.0, 5.0, 0.0, 0.04, 1.0]) == pytest.approx([0.0, 5.0, 5.04, 5.08, 6.04])
    assert clock.repaired == 1


def test_a_small_step_back_is_jitter() -> None:
    clock = Clock(None, 0.0)
    assert run(clock, [0.0, 5.0, 4.5]) == [0.0, 5.0, 4.5]
    assert clock.repaired == 0


def test_a_jump_is_only_possible_within_the_declared_duration() -> None:
    far = MAX_JUMP_SECONDS + 400.0
    assert run(Clock(far, 0.0), [0.0, far]) == [0.0, far]
    clock = Clock(10.0, 0.0)
    assert run(clock, [0.0, far, far + STEP]) == pytest.approx([0.0, STEP, 2 * STEP])
    assert clock.repaired == 1
    assert run(Clock(10.0, 0.0), [0.0, MAX_JUMP_SECONDS]) == [0.0, MAX_JUMP_SECONDS]


def test_an_absurd_declared_duration_is_ignored() -> None:
    clock = Clock(1e12, 0.0)
    assert run(clock, [0.0, MAX_DECLARED_SECONDS + 2.0]) == pytest.approx([0.0, STEP])


def test_a_first_stamp_far_before_the_file_is_replaced() -> None:
    """Later frames would otherwise be placed before the file, too, and be dropped."""
    clock = Clock(None, 0.0)
    assert run(clock, [-1e9, None, 5.0]) == pytest.approx([0.0, STEP, 2 * STEP])
    assert run(Clock(None, 2000.0), [0.0, 0.04]) == [0.0, 0.04], "a file without an index"


@pytest.mark.parametrize("stamp", [math.nan, math.inf, -math.inf])
def test_stamps_that_are_no_numbers_are_replaced(stamp: float) -> None:
    clock = Clock(None, 0.0)
    assert run(clock, [1.0, stamp, 2.0]) == pytest.approx([1.0, 1.0 + STEP, 2.0])
    assert clock.repaired == 1


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=True)), max_size=30))
def test_times_are_finite_and_never_step_back_far(stamps: list[float | None]) -> None:
    times = run(Clock(60.0, 0.0), stamps)
    assert all(map(math.isfinite, times))
    steps = [after - before for before, after in pairwise(times)]
    assert all(-1.0 < step <= MAX_JUMP_SECONDS + 61.0 for step in steps)

"""Plans of cuts on made lists of packets: what they hold, where they begin, how they join."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from av_tagger.media.cut_plan import TOLERANCE, copy_plan, exact_plan
from av_tagger.media.spans import Span, joined

BASE = Fraction(1, 100)
STEP = 4  # ticks of a frame: 25 per second
TICK = float(BASE)


@dataclass
class FakePacket:
    """A packet as the plan looks at it."""

    pts: int | None
    dts: int | None
    is_keyframe: bool
    duration: int = STEP
    size: int = 10
    time_base: Fraction = BASE


class FakeFilm:
    """Groups of one key frame and frames in the order I P B B P B B, as encoders write them."""

    def __init__(self, groups: list[int], start: int = 0) -> None:
        self.packets: list[FakePacket] = []
        shown = start
        for length in groups:
            order = [0]
            for place in range(1, length, 3):
                last = min(place + 2, length - 1)
                order += [last, *range(place, last)]
            for place in order:
                at = shown + place * STEP
                decoded = start + (len(self.packets) - 2) * STEP
                self.packets.append(FakePacket(at, decoded, place == 0))
            shown += length * STEP
        self.end = shown

    def demux(self, stream: Any) -> Any:
        return iter([*self.packets, FakePacket(None, None, False, size=0)])


GROUPS = st.lists(st.integers(1, 40), min_size=1, max_size=8)
TIMES = st.floats(0, 12).map(lambda t: round(t, 2))
PAIRS = st.tuples(TIMES, TIMES).map(lambda t: Span(min(t), max(t)))
SPANS = st.lists(PAIRS, min_size=1, max_size=5)


def inside(film: FakeFilm, spans: list[Span]) -> list[Span]:
    """Spans within the film, as the command plans them."""
    return joined(Span(min(s.start, film.end * TICK), min(s.end, film.end * TICK)) for s in spans)


def shown(film: FakeFilm, first: int, stop: int) -> list[int]:
    """Ticks of the frames that a segment shows: those from its key frame on."""
    start = film.packets[first].pts or 0
    times = [p.pts for p in film.packets[first:stop] if p.pts is not None]
    return sorted(t for t in times if t >= start)


@given(GROUPS, SPANS)
def test_outward_holds_every_frame_that_was_asked_for(groups: list[int], spans: list[Span]) -> None:
    film = FakeFilm(groups)
    wanted = inside(film, spans)
    parts = copy_plan(film, None, wanted, Fraction(0), inward=False)
    for part in parts:
        assert part.segment is not None
        assert film.packets[part.segment.first].is_keyframe
        found = shown(film, part.segment.first, part.segment.stop)
        late = part.asked.start + float(TOLERANCE)
        asked = {t for t in range(0, film.end, STEP) if late <= t * TICK < part.asked.end - 1e-9}
        assert asked <= set(found)
        assert part.got.start <= part.asked.start + float(TOLERANCE)


@given(GROUPS, SPANS)
def test_inward_holds_no_frame_that_was_not_asked_for(groups: list[int], spans: list[Span]) -> None:
    film = FakeFilm(groups)
    for part in copy_plan(film, None, inside(film, spans), Fraction(0), inward=True):
        if part.segment is not None:
            found = shown(film, part.segment.first, part.segment.stop)
            assert found[0] * TICK >= part.asked.start - 0.01
            assert found[-1] * TICK < part.asked.end
            assert all(b - a == STEP for a, b in pairwise(found)), "without a gap"


@given(GROUPS, SPANS, st.booleans())
def test_segments_follow_each_other_and_share_no_packet(
    groups: list[int], spans: list[Span], inward: bool
) -> None:
    film = FakeFilm(groups)
    parts = copy_plan(film, None, inside(film, spans), Fraction(0), inward=inward)
    segments = list(dict.fromkeys(p.segment for p in parts if p.segment is not None))
    assert all(a.stop <= b.first for a, b in pairwise(segments))
    place = Fraction(0)
    for segment in segments:
        assert segment.place == place
        place += segment.end - segment.start


def test_a_film_that_does_not_begin_at_zero_is_told_in_its_own_seconds() -> None:
    film = FakeFilm([25, 25, 25], start=500)
    (part,) = copy_plan(film, None, [Span(1.2, 1.8)], Fraction(5), inward=False)
    assert part.segment is not None
    assert (part.segment.start, part.got.start) == (Fraction(6), 1.0)
    assert part.got.end == pytest.approx(1.84, abs=0.09)


def test_a_film_without_key_frames_cannot_be_copied() -> None:
    film = FakeFilm([10])
    film.packets[0].is_keyframe = False
    for inward in (False, True):
        (part,) = copy_plan(film, None, [Span(0, 1)], Fraction(0), inward=inward)
        assert part.segment is None
        assert part.got.seconds == 0


def test_packets_without_times_or_lengths_do_no_harm() -> None:
    film = FakeFilm([25, 25])
    film.packets[3].pts = film.packets[4].dts = None
    for packet in film.packets:
        packet.duration = 0
    (part,) = copy_plan(film, None, [Span(0.2, 1.4)], Fraction(0), inward=False)
    assert part.segment is not None
    assert (part.got.start, part.got.end >= 1.4) == (0.0, True)


def test_exact_plans_are_what_was_asked_for() -> None:
    parts = exact_plan([Span(1, 2), Span(5, 5.5)], Fraction(1, 2))
    segments = [p.segment for p in parts if p.segment is not None]
    assert [s.place for s in segments] == [0, 1]
    assert [s.start for s in segments] == [Fraction(3, 2), Fraction(11, 2)]
    assert [p.got for p in parts] == [p.asked for p in parts]

"""Parts of a film in seconds."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from av_tagger.media.spans import LONGEST_HIGHLIGHT, Span, joined, padded, pieces, reel, rest

LENGTH = 100.0
TIMES = st.floats(0, LENGTH).map(lambda t: round(t, 2))
SPANS = st.lists(st.tuples(TIMES, TIMES).map(lambda t: Span(min(t), max(t))), max_size=8)


def covered(spans: list[Span], time: float) -> bool:
    return any(s.start < time < s.end for s in spans)


@given(SPANS, st.floats(0, LENGTH).map(lambda t: round(t, 2) + 0.0051))
def test_kept_and_left_out_share_the_film(spans: list[Span], time: float) -> None:
    kept, left = joined(spans), rest(spans, LENGTH)
    assert covered(kept, time) == covered(spans, time)
    if time < LENGTH:
        assert covered(kept, time) != covered(left, time)
        assert covered(pieces(spans, LENGTH), time)
    assert all(a.end < b.start for a, b in itertools.pairwise(kept))


@given(SPANS, st.floats(0, 5))
def test_padding_stays_in_the_film_and_loses_nothing(spans: list[Span], pad: float) -> None:
    found = padded(spans, pad, LENGTH)
    assert all(0 <= s.start < s.end <= LENGTH for s in found)
    for span in joined(spans):
        assert any(s.start <= span.start and span.end <= s.end for s in found)


@given(SPANS, st.floats(1, 60))
def test_a_reel_is_no_longer_than_asked_for(spans: list[Span], seconds: float) -> None:
    found = reel(spans, seconds, 0.5, LENGTH)
    assert sum(s.seconds for s in found) <= seconds + 1e-6
    assert found == joined(found)


def test_one_long_event_does_not_fill_a_reel() -> None:
    assert reel([Span(0, 90)], 60, 0, LENGTH) == [Span(0, LONGEST_HIGHLIGHT)]

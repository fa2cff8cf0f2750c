"""Parts of a film in seconds: padded, joined, turned around, chosen for a reel. Arithmetic only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHORTEST = 1e-3  # seconds; shorter parts are none
SHORTEST_HIGHLIGHT, LONGEST_HIGHLIGHT = 1.0, 8.0  # seconds of one event in a reel


@dataclass(frozen=True, order=True)
class Span:
    """A part of a file."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


def padded(spans: Iterable[Span], seconds: float, length: float) -> list[Span]:
    """Longer by so many seconds on both sides, within the film; those that touch are joined."""
    longer = (Span(max(0.0, s.start - seconds), min(length, s.end + seconds)) for s in spans)
    return joined(longer)


def joined(spans: Iterable[Span]) -> list[Span]:
    """In order, without overlaps and without empty ones."""
    found: list[Span] = []
    for span in sorted(s for s in spans if s.seconds > SHORTEST):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def rest(spans: Sequence[Span], length: float) -> list[Span]:
    """The film without these parts."""
    ends = [0.0, *(s.end for s in joined(spans))]
    starts = [*(s.start for s in joined(spans)), length]
    return joined(Span(*pair) for pair in zip(ends, starts, strict=True))


def pieces(spans: Sequence[Span], length: float) -> list[Span]:
    """The whole film in parts that begin and end where these do."""
    return sorted([*joined(spans), *rest(spans, length)])


def reel(ranked: Sequence[Span], seconds: float, pad: float, length: float) -> list[Span]:
    """Padded parts of the best events, first ones first, until the reel is so long; in order."""
    chosen: list[Span] = []
    for span in ranked:
        left = seconds - sum(s.seconds for s in chosen)
        if left < min(SHORTEST_HIGHLIGHT, span.seconds) or left <= SHORTEST:
            break
        first = max(0.0, span.start - pad)
        most = min(length, span.end + pad, first + min(left, LONGEST_HIGHLIGHT))
        chosen = joined([*chosen, Span(first, most)])
    return chosen

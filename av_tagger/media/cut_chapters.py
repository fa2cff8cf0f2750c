"""Chapters of a film that was cut: moved, shortened, or gone with what they named."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from av_tagger.media.cut_plan import Segment

BASE = Fraction(1, 1000)
LEAST = Fraction(1, 2)  # seconds; less of a longer chapter is a remainder of its neighbour's cut


def moved_chapters(chapters: Sequence[Any], segments: Sequence[Segment]) -> list[Any]:
    """The chapters as PyAV takes them; one that lies in several parts spans what is left of it."""
    found: list[Any] = []
    for chapter in chapters:
        base = Fraction(chapter["time_base"])
        pieces = [_moved(chapter["start"] * base, chapter["end"] * base, s) for s in segments]
        left = [piece for piece in pieces if piece is not None]
        if sum(end - start for start, end in left) >= min(
            LEAST, (chapter["end"] - chapter["start"]) * base
        ):
            found.append(
                {
                    "id": len(found) + 1,
                    "start": round(min(start for start, _ in left) / BASE),
                    "end": round(max(end for _, end in left) / BASE),
                    "time_base": BASE,
                    "metadata": dict(chapter["metadata"]),
                }
            )
    return found


def _moved(start: Fraction, end: Fraction, segment: Segment) -> tuple[Fraction, Fraction] | None:
    """The part of a chapter in a segment, in seconds of the new film."""
    first, last = max(start, segment.start), min(end, segment.end)
    if last - first < BASE:
        return None
    shift = segment.place - segment.start
    return first + shift, last + shift

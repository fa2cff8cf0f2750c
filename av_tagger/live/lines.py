"""What a live run says: openings, updates and closings of events, gaps, seconds (plain data)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from av_tagger.scores import Evidence

SECONDS_DIGITS, PROBABILITY_DIGITS = 3, 6


class LineKind(StrEnum):
    """What happened."""

    OPEN = "open"
    UPDATE = "update"
    CLOSE = "close"
    SECOND = "second"
    GAP = "gap"
    NOTE = "note"
    KEPT = "kept"
    END = "end"


@dataclass(frozen=True)
class LiveLine:
    """One line of the output; times are seconds of the stream."""

    kind: LineKind
    start: float
    end: float | None = None
    label: str = ""
    peak: float | None = None  # highest frame probability so far
    probability: float | None = None  # fused, of the window
    heard: float | None = None
    seen: float | None = None
    threshold: float | None = None
    evidence: tuple[Evidence, ...] = ()
    scores: tuple[tuple[str, float], ...] = ()  # of a second: the most probable classes
    level: float | None = None  # of a second: dBFS
    text: str = ""
    wall: float | None = None  # Unix time of `start`, if the stream has a wall clock
    number: int | None = None  # of an event; the same in its open, update and close lines


def as_document(line: LiveLine) -> dict[str, Any]:
    """The object of the live schema: fields that have a value, numbers rounded."""
    document: dict[str, Any] = {"event": str(line.kind)}
    if line.label:
        document["label"] = line.label
    if line.number is not None:
        document["number"] = line.number
    document["start"] = _rounded(line.start, SECONDS_DIGITS)
    if line.end is not None:
        document["end"] = _rounded(line.end, SECONDS_DIGITS)
    for name in ("peak", "probability", "heard", "seen", "threshold"):
        value = getattr(line, name)
        if value is not None and math.isfinite(value):
            document[name] = _rounded(value, PROBABILITY_DIGITS)
    if line.evidence:
        document["evidence"] = [_evidence(e) for e in line.evidence]
    if line.kind is LineKind.SECOND:
        document["scores"] = {k: _rounded(v, PROBABILITY_DIGITS) for k, v in line.scores}
        document["level"] = None if line.level is None else _rounded(line.level, 1)
    if line.text:
        document["text"] = line.text
    if line.wall is not None:
        document["wall"] = _rounded(line.wall, SECONDS_DIGITS)
    return document


def at_wall(line: LiveLine, offset: float) -> LiveLine:
    """The same line with its wall-clock time: stream time plus `offset`."""
    return replace(line, wall=line.start + offset)


def _rounded(value: float, digits: int) -> float:
    return round(float(value), digits) + 0.0


def _evidence(e: Evidence) -> dict[str, Any]:
    return {
        "time": _rounded(e.seconds, SECONDS_DIGITS),
        "object": e.object,
        "probability": _rounded(e.probability, PROBABILITY_DIGITS),
        "similarity": _rounded(e.similarity, PROBABILITY_DIGITS),
    }

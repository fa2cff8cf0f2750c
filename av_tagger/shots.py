"""Shots of a film: from the cuts that the eye saw to tags per shot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from av_tagger.scores import Activity, Event, Shot, Tag, Tagged

LEAST_OVERLAP = 0.1  # seconds of an event within a shot; less is an event of the shot beside it

Span = tuple[float, float]


def shots_between(cuts: Sequence[Sequence[float]], windows: Sequence[Span]) -> list[Span]:
    """Spans from cut to cut over a clip, from the cuts seen in each of its windows.

    Windows overlap; each contributes the cuts up to the middle of its overlaps.
    """
    start, end = windows[0][0], windows[-1][1]
    borders = [start, *((a[1] + b[0]) / 2 for a, b in pairwise(windows)), end]
    inside = [
        seconds
        for found, low, high in zip(cuts, borders, borders[1:], strict=False)
        for seconds in found
        if low <= seconds < high and start < seconds < end
    ]
    edges = [start, *sorted(set(inside)), end]
    return list(pairwise(edges))


def by_shot(tagged: Tagged, spans: Sequence[Span]) -> Tagged:
    """The same result with shots, and with each tag's events replaced by the shots that have it."""
    labels = tuple(tagged.scores)
    tags = tuple(
        replace(tag, events=tuple(_events(tag, spans, tagged.activity, labels.index(tag.label))))
        for tag in tagged.tags
    )
    shots = tuple(Shot(start, end, _tags_of((start, end), tags)) for start, end in spans)
    return replace(tagged, tags=tags, shots=shots)


def _tags_of(span: Span, tags: Sequence[Tag]) -> tuple[tuple[str, float], ...]:
    """Labels with the peak of each in the shot, highest first."""
    found = [(t.label, e.peak) for t in tags for e in t.events if (e.start, e.end) == span]
    return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def _events(tag: Tag, spans: Sequence[Span], activity: Activity | None, column: int) -> list[Event]:
    """A tag is in a shot if it was heard there, or, where it was only seen, seen there."""
    found = []
    for start, end in spans:
        if tag.events:
            heard = any(_overlap(e, start, end) for e in tag.events)
            peak = _peak(activity, column, start, end) if heard else None
        else:
            seen = [e.probability for e in tag.evidence if start <= e.seconds < end]
            peak = max(seen, default=None)
        if peak is not None:
            found.append(Event(start, end, peak))
    return found


def _overlap(event: Event, start: float, end: float) -> bool:
    shared = min(event.end, end) - max(event.start, start)
    return shared >= min(LEAST_OVERLAP, (event.end - event.start) / 2)


def _peak(activity: Activity | None, column: int, start: float, end: float) -> float:
    """The highest activity of a class within a span; 0 where it is unknown."""
    if activity is None:
        return 0.0
    first, last = ((t - activity.start_seconds) * activity.rate for t in (start, end))
    rows = activity.values[max(0, int(first)) : max(int(first) + 1, int(np.ceil(last))), column]
    known = rows[np.isfinite(rows)]
    return float(known.max()) if len(known) else 0.0

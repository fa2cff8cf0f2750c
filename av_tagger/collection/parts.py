"""Which parts of a film to cut, from the events of its result: the films to write, by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal

from av_tagger.collection.names import Names
from av_tagger.collection.query import Term
from av_tagger.media.spans import Span, padded, pieces, reel, rest
from av_tagger.scores import Event, Tagged

Kind = Literal["keep", "drop", "extract", "split", "reel"]

USUAL_PAD = {"keep": 0.5, "extract": 0.5, "reel": 0.5, "drop": 0.0, "split": 0.0}
LONGEST_SLUG = 40  # characters


@dataclass(frozen=True)
class CutRequest:
    """What to do with the events of some classes."""

    kind: Kind
    classes: str = ""  # names joined by ';', each with `any` before it or not; empty: all
    over: float = 0.0  # the least peak of an event
    pad: float | None = None  # seconds on both sides
    seconds: float = 0.0  # of a reel

    @property
    def padding(self) -> float:
        return USUAL_PAD[self.kind] if self.pad is None else self.pad


@dataclass(frozen=True)
class PlannedFilm:
    """A film to write: what its name ends in, and its parts."""

    name: str
    spans: tuple[Span, ...]


def labels_of(request: CutRequest, results: Sequence[Tagged]) -> tuple[frozenset[str], list[str]]:
    """The classes that are meant among those of the results, and why."""
    present = {x for r in results for x in (*r.scores, *(tag.label for tag in r.tags))}
    if not request.classes:
        return frozenset(present), []
    names = Names(present)
    texts = [text.strip() for text in request.classes.split(";") if text.strip()]
    meanings = [names.meaning(_term(text)) for text in texts]
    labels = frozenset(label for m in meanings for label in m.labels)
    return labels, [m.why for m in meanings if m.why]


def events_of(
    results: Iterable[Tagged], labels: frozenset[str], over: float
) -> list[tuple[str, Event]]:
    """The events of some classes with at least this peak, in order of time."""
    found = [
        (tag.label, event)
        for result in results
        for tag in result.tags
        if tag.label in labels
        for event in tag.events
        if event.peak >= over
    ]
    return sorted(found, key=lambda pair: (pair[1].start, pair[1].end, pair[0]))


def planned_films(
    request: CutRequest, events: Sequence[tuple[str, Event]], length: float
) -> list[PlannedFilm]:
    """The films of a request, none without events; `length` is that of the source."""
    spans = [Span(event.start, event.end) for _, event in events]
    if not spans:
        return []
    pad = request.padding
    match request.kind:
        case "keep":
            return _one("keep", padded(spans, pad, length))
        case "drop":
            return _one("drop", rest(padded(spans, pad, length), length))
        case "reel":
            return _one("reel", reel(_ranked(events), request.seconds, pad, length))
        case "split":
            films = pieces(padded(spans, pad, length), length)
            return [PlannedFilm(f"{n:03d}", (s,)) for n, s in zip(count(1), films, strict=False)]
        case "extract":
            return _extracted(events, pad, length)


def _one(name: str, spans: list[Span]) -> list[PlannedFilm]:
    return [PlannedFilm(name, tuple(spans))] if spans else []


def _extracted(events: Sequence[tuple[str, Event]], pad: float, length: float) -> list[PlannedFilm]:
    """A film per event, and per class where several overlap."""
    found = []
    for label in dict.fromkeys(label for label, _ in events):
        spans = [Span(e.start, e.end) for name, e in events if name == label]
        for number, span in enumerate(padded(spans, pad, length), 1):
            found.append(PlannedFilm(f"{_slug(label)}.{number:03d}", (span,)))
    return found


def _ranked(events: Sequence[tuple[str, Event]]) -> list[Span]:
    """The best event of every class first, then the second ones."""
    ranks: list[tuple[int, float, Span]] = []
    for label in {label for label, _ in events}:
        own = sorted((e for name, e in events if name == label), key=lambda e: -e.peak)
        ranks += [(place, -e.peak, Span(e.start, e.end)) for place, e in enumerate(own)]
    return [span for _, _, span in sorted(ranks)]


def _term(text: str) -> Term:
    first, _, after = text.partition(" ")
    kinds = first.casefold() == "any" and bool(after.strip())
    return Term(after.strip().strip('"') if kinds else text.strip('"'), kinds)


def _slug(label: str) -> str:
    """Part of a file name: small letters and digits only."""
    slug = re.sub(r"[^a-z0-9]+", "-", label.casefold()).strip("-")
    return slug[:LONGEST_SLUG].strip("-") or "class"

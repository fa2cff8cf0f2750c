"""The text writer, and the views of a result that several formats share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from av_tagger.protocols import Outcomes
from av_tagger.reports.files import write_text
from av_tagger.scores import Event, Outcome, Tag, Tagged

if TYPE_CHECKING:
    from pathlib import Path

Render = Callable[[Outcomes], Iterable[str]]


@dataclass(frozen=True)
class TextWriter:
    """A writer made of a suffix and a function that renders outcomes as pieces of text."""

    suffix: str
    render: Render
    each: bool = False  # one file per result, none for failures

    def check(self) -> None:
        """No library is needed."""

    def write(self, outcomes: Outcomes, path: Path) -> None:
        write_text(path, self.render(outcomes))


def span(tagged: Tagged) -> tuple[float, float]:
    """The tagged part, in seconds of its file."""
    start = tagged.clip.start_seconds
    return start, start + tagged.duration_seconds


def occurrences(tagged: Tagged, tag: Tag) -> tuple[Event, ...]:
    """A tag's events; a tag without events (seen, not heard) holds for the whole clip."""
    return tag.events or (Event(*span(tagged), tag.probability),)


def timeline(tagged: Tagged) -> list[tuple[Event, Tag]]:
    """Every occurrence of every tag, sorted by time."""
    pairs = [(event, tag) for tag in tagged.tags for event in occurrences(tagged, tag)]
    return sorted(pairs, key=lambda pair: (pair[0].start, pair[0].end, pair[1].label))


def only_tagged(outcomes: Iterable[Outcome]) -> Iterator[Tagged]:
    """The results, without failures."""
    return (o for o in outcomes if isinstance(o, Tagged))

"""What every writer is made of: a suffix, a rendering as text, and whether each input gets a file of its own."""

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
class Sheet:
    """A writer of text."""

    suffix: str
    render: Render
    each: bool = False  # one file an input; a file that failed then gets none

    def check(self) -> None:
        """Text needs no library."""

    def write(self, outcomes: Outcomes, path: Path) -> None:
        write_text(path, self.render(outcomes))


def span(tagged: Tagged) -> tuple[float, float]:
    """The tagged part in seconds of its file."""
    start = tagged.clip.start_seconds
    return start, start + tagged.duration_seconds


def occurrences(tagged: Tagged, tag: Tag) -> tuple[Event, ...]:
    """When a tag holds: its events, or the whole clip for one that has none (a tag that was only seen)."""
    return tag.events or (Event(*span(tagged), tag.probability),)


def timeline(tagged: Tagged) -> list[tuple[Event, Tag]]:
    """Every occurrence of every tag, in the order of time."""
    pairs = [(event, tag) for tag in tagged.tags for event in occurrences(tagged, tag)]
    return sorted(pairs, key=lambda pair: (pair[0].start, pair[0].end, pair[1].label))


def answers(outcomes: Iterable[Outcome]) -> Iterator[Tagged]:
    return (o for o in outcomes if isinstance(o, Tagged))

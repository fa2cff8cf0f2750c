"""CMX 3600 edit decision lists whose events are markers, as DaVinci Resolve reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from av_tagger.reports.writers.timeline import FilmTimeline, TimelineWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

COLOURS = (
    "Blue",
    "Cyan",
    "Green",
    "Yellow",
    "Red",
    "Pink",
    "Purple",
    "Fuchsia",
    "Rose",
    "Lavender",
)
MOST_EVENTS = 999  # numbers of CMX 3600 have three digits; after that they start again


def edl(film: FilmTimeline) -> str:
    """One event of one frame per marker; its comment holds colour, name and number of frames."""
    return "".join(_lines(film))


def _lines(film: FilmTimeline) -> Iterator[str]:
    mode = "DROP FRAME" if film.rate.drop else "NON-DROP FRAME"
    yield f"TITLE: {_comment(film.name)}\nFCM: {mode}\n\n"
    labels = sorted({m.label for m in film.markers})
    for number, marker in enumerate(film.markers):
        first = film.start + marker.start
        span = f"{film.rate.timecode(first)} {film.rate.timecode(first + 1)}"
        colour = COLOURS[labels.index(marker.label) % len(COLOURS)]
        yield f"{number % MOST_EVENTS + 1:03d}  001      V     C        {span} {span}\n"
        name = _comment(marker.label)
        yield f"{marker.note} |C:ResolveColor{colour} |M:{name} |D:{marker.frames}\n\n"


def _comment(text: str) -> str:
    """Text without the character that separates the parts of a comment."""
    return text.replace("|", "¦") or "-"


EDL = TimelineWriter(".edl", edl)

"""Tags as captions: WebVTT and SRT.

Players show overlapping captions badly. Time is therefore cut wherever an event starts or ends, and
each cue lists all events in it, with their peaks.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from av_tagger.reports.files import one_line
from av_tagger.reports.writers.base import TextWriter, only_tagged, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av_tagger.scores import Event, Outcome, Tag, Tagged

Cue = tuple[int, int, tuple[str, ...]]  # start and end in milliseconds, lines of text

_FOR_SRT = str.maketrans({"<": "‹", ">": "›"})  # SRT has no escapes


def cues(tagged: Tagged) -> list[Cue]:
    """The cues in order; neighbours with the same text are joined."""
    spans = [(_ms(e.start), _ms(e.end), _line(e, tag)) for e, tag in timeline(tagged)]
    cuts = sorted({cut for start, end, _ in spans for cut in (start, end)})
    result: list[Cue] = []
    for start, end in itertools.pairwise(cuts):
        lines = tuple(text for a, b, text in spans if a <= start and end <= b)
        if lines and result and result[-1][1:] == (start, lines):
            result[-1] = (result[-1][0], end, lines)
        elif lines:
            result.append((start, end, lines))
    return result


def _line(event: Event, tag: Tag) -> str:
    """A tag without events has no peak: then its probability is shown."""
    number = f"peak {event.peak:.2f}" if tag.events else f"probability {tag.probability:.2f}"
    return f"{one_line(tag.label)} ({number})"


def vtt(outcomes: Iterable[Outcome]) -> Iterator[str]:
    yield "WEBVTT\n"
    for tagged in only_tagged(outcomes):
        for start, end, lines in cues(tagged):
            yield f"\n{_timestamp(start, '.')} --> {_timestamp(end, '.')}\n"
            yield "".join(f"{_escape(text)}\n" for text in lines)


def srt(outcomes: Iterable[Outcome]) -> Iterator[str]:
    number = 0
    for tagged in only_tagged(outcomes):
        for start, end, lines in cues(tagged):
            number += 1
            yield f"{number}\n{_timestamp(start, ',')} --> {_timestamp(end, ',')}\n"
            shown = (text.replace("-->", "→").translate(_FOR_SRT) for text in lines)
            yield "".join(f"{text}\n" for text in shown) + "\n"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _timestamp(ms: int, point: str) -> str:
    """01:02:03.456, with the decimal point of the format."""
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{ms:03d}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


VTT = TextWriter(".vtt", vtt, each=True)
SRT = TextWriter(".srt", srt, each=True)

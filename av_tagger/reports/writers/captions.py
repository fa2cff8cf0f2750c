"""Tags as captions: WebVTT and SRT.

Players show overlapping captions badly, so each stretch of time has one cue that lists all its
tags. The formats `vtt` and `srt` are made for readers: a cue lasts at least 1.5 s, short pauses are
bridged, at most three lines, no numbers, and no parent beside its kind (Animal beside Dog).
`vtt-scores` and `srt-scores` cut wherever an event starts or ends, and name the peaks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from av_tagger.ontology import fold
from av_tagger.reports.files import one_line
from av_tagger.reports.writers.base import TextWriter, only_tagged, span, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from av_tagger.scores import Event, Outcome, Tag, Tagged

Cue = tuple[int, int, tuple[str, ...]]  # start and end in milliseconds, lines of text
Cut = Callable[["Tagged"], list[Cue]]

LEAST_MS = 1500  # a shorter cue cannot be read
PAUSE_MS = 1000  # a shorter pause of one sound is no pause
MOST_LINES = 3
_FOR_SRT = str.maketrans({"<": "‹", ">": "›"})  # SRT has no escapes


@dataclass(frozen=True)
class _Span:
    """One sound without a pause, in milliseconds."""

    start: int
    end: int
    label: str
    probability: float

    def overlap(self, start: int, end: int) -> int:
        return min(self.end, end) - max(self.start, start)


def readable_cues(tagged: Tagged) -> list[Cue]:
    """The cues in order, for readers: long enough, few lines, labels alone."""
    first, last = (_ms(seconds) for seconds in span(tagged))
    spans = [s for tag in tagged.tags for s in _spans(tagged, tag, (first, last))]
    cuts = _cuts(sorted({cut for s in spans for cut in (s.start, s.end)}))
    found = [_cue(start, end, spans) for start, end in itertools.pairwise(cuts)]
    return _joined(cue for cue in found if cue is not None)


def exact_cues(tagged: Tagged) -> list[Cue]:
    """The cues in order, with peaks, cut wherever an event starts or ends."""
    spans = [(_ms(e.start), _ms(e.end), _line(e, tag)) for e, tag in timeline(tagged)]
    cuts = sorted({cut for start, end, _ in spans for cut in (start, end)})
    found = [
        (start, end, tuple(text for a, b, text in spans if a <= start and end <= b))
        for start, end in itertools.pairwise(cuts)
    ]
    return _joined(cue for cue in found if cue[2])


def _spans(tagged: Tagged, tag: Tag, bounds: tuple[int, int]) -> list[_Span]:
    """The events of a tag with short pauses bridged, each at least as long as a cue."""
    times = sorted((_ms(e.start), _ms(e.end)) for e, t in timeline(tagged) if t is tag)
    merged: list[list[int]] = []
    for start, end in times:
        if merged and start - merged[-1][1] < PAUSE_MS:
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([start, end])
    label, p = one_line(tag.label), tag.probability
    return [_Span(*_longer(start, end, bounds), label, p) for start, end in merged]


def _longer(start: int, end: int, bounds: tuple[int, int]) -> tuple[int, int]:
    """As long as a cue: on into the clip, and back from its end."""
    first, last = bounds
    later = max(end, min(start + LEAST_MS, last))
    return min(start, max(first, later - LEAST_MS)), later


def _cuts(times: Sequence[int]) -> list[int]:
    """Some of the times, so far apart that each cue can be read; the first and the last stay."""
    cuts: list[int] = []
    for time in times:
        if not cuts or time - cuts[-1] >= LEAST_MS:
            cuts.append(time)
    if times and times[-1] != cuts[-1]:
        cuts[max(1, len(cuts) - 1) :] = [times[-1]]
    return cuts


def _cue(start: int, end: int, spans: Sequence[_Span]) -> Cue | None:
    """The sounds of at least half of the time, or of half of themselves; None if there are none."""
    heard = [s for s in spans if 2 * s.overlap(start, end) >= min(end - start, s.end - s.start) > 0]
    if not heard:
        return None
    shown = fold({s.label for s in heard})
    best = sorted((s for s in heard if s.label in shown), key=lambda s: -s.probability)
    lines = tuple(dict.fromkeys(s.label for s in best))[:MOST_LINES]
    return (*_tight(start, end, heard), lines)


def _tight(start: int, end: int, heard: Sequence[_Span]) -> tuple[int, int]:
    """From the first sound of a cue to its last, if what is left can be read."""
    first = max(start, min(s.start for s in heard))
    last = min(end, max(s.end for s in heard))
    if last - first < LEAST_MS:
        first = max(start, last - LEAST_MS)
        last = min(end, max(last, first + LEAST_MS))
    return first, last


def _joined(cues: Iterable[Cue]) -> list[Cue]:
    """Neighbours with the same text become one cue."""
    result: list[Cue] = []
    for start, end, lines in cues:
        if result and result[-1][1:] == (start, lines):
            result[-1] = (result[-1][0], end, lines)
        else:
            result.append((start, end, lines))
    return result


def _line(event: Event, tag: Tag) -> str:
    """A tag without events has no peak: then its probability is shown."""
    number = f"peak {event.peak:.2f}" if tag.events else f"probability {tag.probability:.2f}"
    return f"{one_line(tag.label)} ({number})"


def vtt(outcomes: Iterable[Outcome], cut: Cut = readable_cues) -> Iterator[str]:
    yield "WEBVTT\n"
    for tagged in only_tagged(outcomes):
        for start, end, lines in cut(tagged):
            yield f"\n{_timestamp(start, '.')} --> {_timestamp(end, '.')}\n"
            yield "".join(f"{_escape(text)}\n" for text in lines)


def srt(outcomes: Iterable[Outcome], cut: Cut = readable_cues) -> Iterator[str]:
    number = 0
    for tagged in only_tagged(outcomes):
        for start, end, lines in cut(tagged):
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
VTT_SCORES = TextWriter(".scores.vtt", partial(vtt, cut=exact_cues), each=True)
SRT_SCORES = TextWriter(".scores.srt", partial(srt, cut=exact_cues), each=True)

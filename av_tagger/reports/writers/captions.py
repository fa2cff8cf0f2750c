"""Tags as captions of the video: WebVTT and SRT.

Players show overlapping captions badly, so time is cut wherever a sound begins or ends, and each piece names all that is heard in it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from av_tagger.reports.files import one_line
from av_tagger.reports.writers.sheet import Sheet, answers, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av_tagger.scores import Outcome, Tagged

Cue = tuple[int, int, tuple[str, ...]]  # from, to (milliseconds), what is heard


def cues(tagged: Tagged) -> list[Cue]:
    """The pieces of time in which something is heard, in order, neighbours with the same sounds joined."""
    spans = [
        (_ms(e.start), _ms(e.end), f"{one_line(t.label)} {e.peak:.2f}") for e, t in timeline(tagged)
    ]
    cuts = sorted({cut for start, end, _ in spans for cut in (start, end)})
    result: list[Cue] = []
    for start, end in itertools.pairwise(cuts):
        heard = tuple(text for a, b, text in spans if a <= start and end <= b)
        if heard and result and result[-1][1:] == (start, heard):
            result[-1] = (result[-1][0], end, heard)
        elif heard:
            result.append((start, end, heard))
    return result


def vtt(outcomes: Iterable[Outcome]) -> Iterator[str]:
    yield "WEBVTT\n"
    for tagged in answers(outcomes):
        for start, end, heard in cues(tagged):
            yield f"\n{_profiler(start, '.')} --> {_profiler(end, '.')}\n"
            yield "".join(f"{_escape(text)}\n" for text in heard)


def srt(outcomes: Iterable[Outcome]) -> Iterator[str]:
    number = 0
    for tagged in answers(outcomes):
        for start, end, heard in cues(tagged):
            number += 1
            yield f"{number}\n{_profiler(start, ',')} --> {_profiler(end, ',')}\n"
            yield (
                "".join(
                    f"{text.replace('-->', '→').replace('<', '‹').replace('>', '›')}\n"
                    for text in heard
                )
                + "\n"
            )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _profiler(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{ms:03d}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


VTT = Sheet(".vtt", vtt, each=True)
SRT = Sheet(".srt", srt, each=True)

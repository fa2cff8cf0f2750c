"""Chapters: FFmpeg's metadata, and the text that video sites read from a description."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from av_tagger.reports.writers.base import TextWriter, only_tagged, span
from av_tagger.reports.writers.captions import readable_cues
from av_tagger.reports.writers.timeline import field

if TYPE_CHECKING:
    from av_tagger.scores import Outcome, Tagged

INTRO = "Intro"
SHORTEST_MS = 10_000  # video sites refuse shorter chapters
LONGEST_TITLE = 100
_ESCAPED = re.compile(r"([=;#\\])")


@dataclass(frozen=True)
class Chapter:
    """A part of a film, in milliseconds, and its sounds."""

    start: int
    end: int
    title: str


def chapters(tagged: Tagged, shortest: int = SHORTEST_MS) -> list[Chapter]:
    """Parts of a film with different sounds, from its first to its last moment without gaps.

    A part that is too short belongs to the chapter before it; silence before the first sound is
    the chapter "Intro".
    """
    last = round(1000 * span(tagged)[1])
    starts: list[tuple[int, str]] = []
    for start, _, labels in readable_cues(tagged):
        title = field(", ".join(labels))[:LONGEST_TITLE]
        if not starts:
            starts = [(0, title)] if start < shortest else [(0, INTRO), (start, title)]
        elif title != starts[-1][1] and start - starts[-1][0] >= shortest:
            starts.append((start, title))
    while len(starts) > 1 and last - starts[-1][0] < shortest:
        starts.pop()
    ends = [start for start, _ in starts[1:]] + [last]
    pairs = zip(starts, ends[: len(starts)], strict=True)
    return [Chapter(start, max(end, start + 1), title) for (start, title), end in pairs]


def ffmetadata(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """For `ffmpeg -i film.mp4 -i film.ffmetadata -map_metadata 1 -codec copy out.mp4`."""
    yield ";FFMETADATA1\n"
    for tagged in only_tagged(outcomes):
        for chapter in chapters(tagged):
            title = _ESCAPED.sub(r"\\\1", chapter.title)
            times = f"TIMEBASE=1/1000\nSTART={chapter.start}\nEND={chapter.end}"
            yield f"\n[CHAPTER]\n{times}\ntitle={title}\n"


def chapter_text(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """`0:00 Intro`, one line per chapter."""
    for tagged in only_tagged(outcomes):
        for chapter in chapters(tagged):
            yield f"{_clock(chapter.start)} {chapter.title}\n"


def _clock(ms: int) -> str:
    """1:02:03 or 2:03."""
    minutes, seconds = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


FFMETADATA = TextWriter(".ffmetadata", ffmetadata, each=True)
CHAPTER_TEXT = TextWriter(".chapters.txt", chapter_text, each=True)

"""Places sound captions between the lines of dialogue."""

from __future__ import annotations

import textwrap
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from av_tagger.reports.captioning.settings import CaptionSettings
from av_tagger.reports.captioning.sounds import SoundCaption, same_text
from av_tagger.reports.captioning.subtitles import VTT, Subtitle, SubtitleFile, escaped

TOGETHER_MS = 1000  # sounds that start this close share a caption
Span = tuple[int, int]


@dataclass(frozen=True)
class Merged:
    """The subtitles, and what became of the sound captions."""

    file: SubtitleFile
    placed: int  # in a cue of their own
    shared: int  # as a line of a cue of dialogue
    left_out: tuple[SoundCaption, ...]  # there was no room


def merge_captions(
    captions: Sequence[SoundCaption],
    settings: CaptionSettings,
    dialogue: SubtitleFile | None = None,
    duration: float | None = None,
) -> Merged:
    """Sound captions among the cues of `dialogue`, whose times and words never change.

    A caption gets a free stretch of time in or near its sound, long enough to be read. Without
    one it becomes a line of a cue that has room for it and stays readable; else it is left out.
    """
    dialogue = dialogue or SubtitleFile(VTT)
    last = None if duration is None else round(1000 * duration)
    merger = _Merger(settings, dialogue, last)
    for group in _groups(captions):
        merger.add(group)
    cues = sorted([*merger.dialogue, *merger.own], key=lambda c: (c.start, c.end))
    left = tuple(merger.left_out)
    file = replace(dialogue, cues=tuple(cues))
    return Merged(file, len(merger.own), merger.shared, left)


def _groups(captions: Sequence[SoundCaption]) -> Iterator[list[SoundCaption]]:
    """Captions whose sounds start together."""
    group: list[SoundCaption] = []
    for caption in sorted(captions, key=lambda c: c.start):
        if group and caption.start - group[0].start >= TOGETHER_MS:
            yield group
            group = []
        group.append(caption)
    if group:
        yield group


class _Merger:
    """The cues so far, and the stretches of time that are taken."""

    def __init__(self, settings: CaptionSettings, file: SubtitleFile, last: int | None) -> None:
        self.settings, self.format, self.last = settings, file.format, last
        self.dialogue = list(file.cues)
        self.own: list[Subtitle] = []
        self.taken: list[Span] = list(_joined((c.start, c.end) for c in file.cues))
        self.starts = [c.start for c in file.cues]
        self.longest_cue = max((c.end - c.start for c in file.cues), default=0)
        self.left_out: list[SoundCaption] = []
        self.shared = 0
        self.told: set[str] = set()  # classes whose sound has a caption and may "continue"

    def add(self, captions: Sequence[SoundCaption]) -> None:
        """Place a group in one cue; one caption less at a time where it does not fit."""
        group = [self._as_told(caption) for caption in captions]
        texts, left = same_text(group), list[str]()
        while texts:
            lines = self._lines(texts)
            span = None if lines is None else self._free(group, "\n".join(lines))
            if lines is not None and span is not None:
                text = escaped("\n".join(lines), self.format)
                self.own.append(Subtitle(*span, text))
                insort(self.taken, span)
                break
            left.append(texts.pop())
        self.told |= {c.label for c in group if c.text in texts}
        for text in reversed(left):
            caption = next(c for c in group if c.text == text)
            if self._share(caption):
                self.told.add(caption.label)
            else:
                self.left_out.append(caption)

    def _as_told(self, caption: SoundCaption) -> SoundCaption:
        """A sound "continues" only where its caption before was shown."""
        if not caption.first:
            self.told.discard(caption.label)
        elif caption.label not in self.told:
            return replace(caption, text=caption.first, first="")
        return caption

    def _lines(self, texts: Sequence[str]) -> list[str] | None:
        """At most `lines` lines of bounded length; None where several captions do not fit."""
        width, most = self.settings.characters_per_line, self.settings.lines
        lines = [line for text in texts for line in wrap(text, width)]
        if len(lines) > most:
            lines = wrap(" ".join(texts), width)
        if len(lines) <= most:
            return lines
        return cut(lines, most, width) if len(texts) == 1 else None

    def _free(self, group: Sequence[SoundCaption], text: str) -> Span | None:
        """The earliest free stretch that is long enough, of the times near the sound."""
        need, shift = self.settings.reading_ms(text), round(1000 * self.settings.shift)
        start, end = group[0].start, max(c.end for c in group)
        latest = max(end + shift, start + need)
        if self.last is not None:
            latest = min(latest, self.last)
        for first, last in self._between(start, latest):
            if last - first >= need:
                return first, min(last, max(first + need, min(end, first + self._longest)))
        for first, last in self._between(max(0, start - shift), latest):
            if last - first >= need:
                begin = min(max(first, start), last - need)
                return begin, begin + need
        return None

    @property
    def _longest(self) -> int:
        return round(1000 * self.settings.longest)

    def _between(self, start: int, end: int) -> Iterator[Span]:
        """The free stretches from `start` to `end`, a gap away from what is taken."""
        gap = round(1000 * self.settings.gap)
        at = max(0, bisect_left(self.taken, (start - gap, 0)) - 1)
        free = start
        for first, last in self.taken[at:]:
            if first - gap >= end:
                break
            if first - gap > free:
                yield free, first - gap
            free = max(free, last + gap)
        if free < end:
            yield free, end

    def _share(self, caption: SoundCaption) -> bool:
        """Put a caption above the words of a cue during its sound, if both can be read."""
        at = bisect_left(self.starts, caption.start - self.longest_cue)
        for n in range(at, len(self.dialogue)):
            cue = self.dialogue[n]
            if cue.start >= caption.end:
                break
            if cue.end > caption.start and self._has_room(cue, caption.text):
                text = f"{escaped(caption.text, self.format)}\n{cue.text}"
                self.dialogue[n] = replace(cue, text=text)
                self.shared += 1
                return True
        return False

    def _has_room(self, cue: Subtitle, text: str) -> bool:
        if len(text) > self.settings.characters_per_line:
            return False
        shown = cue.shown
        read = (len(shown) + 1 + len(text)) / self.settings.characters_per_second
        lines = len(shown.splitlines()) + 1
        return lines <= self.settings.lines and 1000 * read <= cue.end - cue.start


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Overlapping spans, in order, as one."""
    last: Span | None = None
    for start, end in spans:
        if last is not None and start <= last[1]:
            last = (last[0], max(last[1], end))
            continue
        if last is not None:
            yield last
        last = (start, end)
    if last is not None:
        yield last


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters, of about equal length; long words are broken."""
    lines = textwrap.wrap(text, width, break_on_hyphens=False)
    if len(lines) != 2:
        return lines
    even = textwrap.wrap(text, max(width // 2, (len(text) + 1) // 2 + 4), break_on_hyphens=False)
    return even if len(even) == 2 and max(map(len, even)) <= width else lines


def cut(lines: Sequence[str], most: int, width: int) -> list[str]:
    """The first lines of a text that is too long; the end says so."""
    last = lines[most - 1][: max(0, width - 2)].rstrip()
    return [*lines[: most - 1], f"{last}…]"]

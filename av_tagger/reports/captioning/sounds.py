"""From a result to captions: one per sound event, with what ear, eye and loudness say of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from av_tagger.labels import audioset, dcase2017
from av_tagger.ontology import below, fold
from av_tagger.scores import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from av_tagger.reports.captioning.loudness import SoundLevels
    from av_tagger.reports.captioning.settings import CaptionSettings
    from av_tagger.reports.captioning.words import CaptionWords
    from av_tagger.scores import Tag, Tagged

SPEECH = "Speech"
NO_SOUNDS = frozenset(  # of AudioSet: places, qualities of a recording, and silence
    {
        "Silence",
        "Sound effect",
        "Inside, small room",
        "Inside, large room or hall",
        "Inside, public space",
        "Outside, urban or manmade",
        "Outside, rural or natural",
        "Reverberation",
        "Echo",
        "Noise",
        "Environmental noise",
        "Sidetone",
        "Cacophony",
        "Field recording",
    }
)


@dataclass(frozen=True)
class SoundCaption:
    """A caption and the time of its sound, in milliseconds of the file."""

    start: int
    end: int
    text: str
    probability: float = 1.0
    label: str = ""
    first: str = ""  # of one that "continues": the text where the caption before found no room


def sound_captions(
    tagged: Tagged,
    words: CaptionWords,
    settings: CaptionSettings,
    levels: SoundLevels | None = None,
    leave_out: Collection[str] = (),
) -> list[SoundCaption]:
    """The captions of a result in order of time.

    Without `leave_out`, all classes but places and silence; a parent is left out beside its kind.
    A tag without events was seen and not heard: it has no caption.
    """
    shown = fold({tag.label for tag in tagged.tags} - NO_SOUNDS - set(leave_out))
    captions = [
        caption
        for tag in tagged.tags
        if tag.label in shown
        for caption in _Sound(tagged, tag, words, settings, levels).captions()
    ]
    return sorted(captions, key=lambda c: (c.start, -c.probability, c.text))


def speech_labels() -> frozenset[str]:
    """Classes that subtitles with dialogue tell already."""
    return frozenset({SPEECH, *below(SPEECH)})


@dataclass(frozen=True)
class _Sound:
    """One tag of a result."""

    tagged: Tagged
    tag: Tag
    words: CaptionWords
    settings: CaptionSettings
    levels: SoundLevels | None

    def captions(self) -> Iterator[SoundCaption]:
        """One per event, with repeats folded.

        After a pause of less than `repeat` seconds a sound continues. It says so once, and again
        when it had no caption for `remind` seconds.
        """
        ended, shown, continued = -math.inf, -math.inf, False
        for start, end in self._events():
            again = start - ended < self.settings.repeat
            if not again or not continued or start - shown >= self.settings.remind:
                yield self._caption(start, end, again=again)
                shown, continued = start, again
            ended = end

    def _caption(self, start: float, end: float, *, again: bool) -> SoundCaption:
        label, first = self.tag.label, ""
        text = self.words.say(label, *self._patterns(start, end))
        if again:
            text, first = self.words.say(label, "@continues"), text
        return SoundCaption(_ms(start), _ms(end), text, self.tag.probability, label, first)

    def _events(self) -> list[tuple[float, float]]:
        """Start and end in seconds; pauses shorter than `pause` are bridged."""
        merged: list[tuple[float, float]] = []
        times = sorted((e.start, e.end) for e in self.tag.events)
        for start, end in times:
            if merged and start - merged[-1][1] < self.settings.pause:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def _patterns(self, start: float, end: float) -> tuple[str, ...]:
        level = float("nan") if self.levels is None else self.levels.relative_db(start, end)
        unseen = self._is_off_screen(start, end)
        if level <= self.settings.faint:
            far = unseen or (self.words.is_far_when_faint(self.tag.label) and not self._is_seen())
            return ("@distance",) if far else ("@faint",)
        loud = ("@loud",) if level >= self.settings.loud else ()
        return (*loud, "@off-screen") if unseen else loud

    def _is_off_screen(self, start: float, end: float) -> bool:
        """Heard, not seen, and the eye looked at pictures in which the source could be seen."""
        if self.tagged.eye.status is not Status.OK or not _has_a_visible_form(self.tag.label):
            return False
        first, last = start - self.settings.look, end + self.settings.look
        frames = [k for k in self.tagged.keyframes if first <= k.seconds <= last]
        objects = {e.object for e in self.tag.evidence}
        seen = any(first <= e.seconds <= last for e in self.tag.evidence)
        seen = seen or any(name in objects for k in frames for name, _ in k.objects)
        return bool(frames) and not seen

    def _is_seen(self) -> bool:
        return bool(self.tag.evidence)


def _has_a_visible_form(label: str) -> bool:
    for classes in (dcase2017(), audioset()):
        if classes.knows(label):
            return bool(classes.find(label).words)
    return False


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def same_text(captions: Sequence[SoundCaption]) -> list[str]:
    """The texts, each once, most probable first."""
    ordered = sorted(captions, key=lambda c: -c.probability)
    return list(dict.fromkeys(c.text for c in ordered))

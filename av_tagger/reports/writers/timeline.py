"""What editors' formats share: markers on the timeline of a film, counted in frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.errors import UsageError
from av_tagger.reports.files import one_line, utf8, write_text, xml_text
from av_tagger.reports.timecode import FrameRate, rate_of
from av_tagger.reports.writers.base import only_tagged, span, timeline

if TYPE_CHECKING:
    from av_tagger.protocols import Outcomes
    from av_tagger.scores import Tagged

LONGEST_NAME = 240  # characters of a name that every editor shows or cuts


@dataclass(frozen=True)
class TimelineSettings:
    """Frame rate of the editor's project (None: that of the file) and the first timecode."""

    rate: FrameRate | None = None
    start: str = "00:00:00:00"


@dataclass(frozen=True)
class Marker:
    """One sound: the first frame, the number of frames (at least 1), label and numbers."""

    start: int
    frames: int
    label: str
    note: str


@dataclass(frozen=True)
class FilmTimeline:
    """The timeline of one film, from its first frame to the end of what was tagged."""

    name: str
    path: Path
    rate: FrameRate
    start: int  # number of the first frame, as the editor's project counts
    frames: int
    markers: tuple[Marker, ...]
    has_video: bool

    @property
    def url(self) -> str:
        """`file:///...`, percent-encoded."""
        return Path(xml_text(utf8(str(self.path.absolute())))).as_uri()


def film_timeline(tagged: Tagged, settings: TimelineSettings) -> FilmTimeline:
    rate = settings.rate or rate_of(tagged)
    markers = []
    for event, tag in timeline(tagged):
        first, last = rate.frames(event.start), rate.frames(event.end)
        kind = "peak" if tag.events else "probability"
        label = field(tag.label)[:LONGEST_NAME]
        markers.append(Marker(first, max(1, last - first), label, f"{kind} {event.peak:.2f}"))
    frames = max([rate.frames(span(tagged)[1]), 1, *(m.start + m.frames for m in markers)])
    return FilmTimeline(
        field(tagged.clip.path.name)[:LONGEST_NAME] or "film",
        tagged.clip.path,
        rate,
        rate.frame_of(settings.start),
        frames,
        tuple(markers),
        tagged.eye.status != "no track",
    )


def field(text: str) -> str:
    """Text of others for one line of a text file or an attribute of XML."""
    return one_line(xml_text(utf8(text)))


@dataclass(frozen=True)
class TimelineWriter:
    """A writer of one file per result, for an editor's timeline."""

    suffix: str
    render: Callable[[FilmTimeline], str]
    settings: TimelineSettings = TimelineSettings()
    need: Callable[[], object] | None = None  # raises where the library is not installed
    each: bool = True

    def check(self) -> None:
        if self.need is not None:
            self.need()

    def at(self, settings: TimelineSettings) -> TimelineWriter:
        """The same writer for another frame rate or start."""
        return replace(self, settings=settings)

    def write(self, outcomes: Outcomes, path: Path) -> None:
        films = (film_timeline(tagged, self.settings) for tagged in only_tagged(outcomes))
        write_text(path, (self.render(film) for film in films))


def timeline_settings(rate: FrameRate | None, start: str | None) -> TimelineSettings:
    """Settings whose start is a timecode at this rate, as far as the rate is known."""
    settings = TimelineSettings(rate, start or TimelineSettings.start)
    if rate is not None:
        rate.frame_of(settings.start)
    elif settings.start.count(":") + settings.start.count(";") != 3:
        raise UsageError(f"{start!r} is no timecode; expected hours:minutes:seconds:frames")
    return settings

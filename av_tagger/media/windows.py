"""Cuts one stream of audio and pictures into overlapping windows, in bounded memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from av_tagger.clip import Clip, ColourMatrix, Frames, Images, Media, Samples, Waveform, all_finite
from av_tagger.errors import MediaError
from av_tagger.protocols import DecodeRequest
from av_tagger.repeats import RepeatFinder

LONGEST = 1.5  # window lengths: the rest of a clip becomes one window up to this length
MAX_LEAD_SECONDS = (
    5.0  # one track may run ahead by this before a window is closed without the other
)
MAX_GAP_SECONDS = 3600.0  # without audio and pictures; a longer gap is a broken time stamp
EPSILON = 1e-6  # seconds; rounding of time stamps must not lose a frame

Allocate = Callable[[tuple[int, ...]], Images]


def plain_memory(shape: tuple[int, ...]) -> Images:
    return np.empty(shape, np.uint8)


@dataclass(frozen=True)
class DecodedSound:
    """Mono samples at the requested rate; sample n of the track is at origin + n / rate seconds."""

    origin: float
    index: int
    samples: Samples


@dataclass(frozen=True)
class LazyPicture:
    """An upright picture of final size in the decoder's memory: valid until the next event."""

    shape: tuple[int, ...]  # as in `Frames.images`: RGB, or planes if there is `luma`
    put: Callable[[Images], None]  # writes it into memory of that shape
    luma: ColourMatrix | None = None


def lazy_picture_of(image: Images) -> LazyPicture:
    """From an RGB picture in memory."""
    return LazyPicture(image.shape, partial(np.copyto, src=image))


@dataclass(frozen=True)
class Picture:
    """One frame and its presentation time."""

    seconds: float
    lazy_picture: LazyPicture
    damaged: bool = False


@dataclass(frozen=True)
class Skipped:
    """Frames up to this time were decoded and not needed."""

    seconds: float


@dataclass(frozen=True)
class Note:
    """Something that could not be read, as text for the result."""

    text: str


Event = DecodedSound | Picture | Skipped | Note


@dataclass(frozen=True)
class ContainerHints:
    """What the container declares: sizes buffers and allows early cuts, but is never relied on."""

    sound: bool
    pictures: bool
    duration_seconds: float | None = None
    frame_rate: float = 25.0
    sound_ends: float = math.inf
    pictures_end: float = math.inf


@dataclass
class _Window:
    """A window being filled: pictures in one block that rarely grows, audio as a list of views."""

    start: float
    reach: float  # seconds that it may hold: one window length, or LONGEST near the end
    capacity: int  # expected number of pictures
    sounds: list[DecodedSound] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    images: Images | None = None
    luma: ColourMatrix | None = None
    damaged: int = 0
    repeats: RepeatFinder = field(default_factory=RepeatFinder)

    def take_picture(self, picture: Picture, allocate: Allocate) -> None:
        count, lazy_picture = len(self.times), picture.lazy_picture
        if self.images is None:
            self.images, self.luma = (
                allocate((self.capacity, *lazy_picture.shape)),
                lazy_picture.luma,
            )
        elif count == len(self.images):
            larger = allocate((count * 3 // 2 + 1, *lazy_picture.shape))
            larger[:count] = self.images
            self.images = larger
        lazy_picture.put(self.images[count])
        self.repeats.add(self.images)
        self.times.append(picture.seconds)
        self.damaged += picture.damaged

    def frames(self, end: float) -> Frames | None:
        count = int(np.searchsorted(self.times, end - EPSILON))
        if self.images is None or not count:
            return None
        first = np.array(self.repeats.first[:count], dtype=np.int64)
        times = np.array(self.times[:count])
        return Frames(self.images[:count], times, self.damaged, self.luma, first)

    def waveform(self, end: float, rate: int) -> Waveform | None:
        if not self.sounds:
            return None
        origin, first = self.sounds[0].origin, self.sounds[0].index
        samples = np.concatenate([s.samples for s in self.sounds])
        skip = max(0, _index(self.start, origin, rate) - first)
        samples = samples[skip : max(skip, _index(end, origin, rate) - first)]
        if not len(samples):
            return None
        return Waveform(samples, rate, origin + (first + skip) / rate, all_finite(samples))


def _index(seconds: float, origin: float, rate: int) -> int:
    """The first sample of a track at or after a time."""
    return math.ceil(min(seconds - origin, 1e9) * rate - 1e-3)


class Windows:
    """Takes events in file order; returns each window when both tracks have passed its end."""

    def __init__(
        self,
        clip: Clip,
        request: DecodeRequest,
        expected: ContainerHints,
        allocate: Allocate = plain_memory,
    ) -> None:
        self.clip, self.request, self.expected, self.allocate = clip, request, expected, allocate
        self.length = request.window_seconds
        self.hop = max(
            request.window_seconds - request.overlap_seconds, 0.1 * request.window_seconds
        )
        self.end = math.inf if clip.end_seconds is None else clip.end_seconds
        self.open: deque[_Window] = deque()
        self.next_start = clip.start_seconds
        self.heard = self.seen = -math.inf  # end of each track so far
        self.period = 1 / max(expected.frame_rate, 1e-3)
        self.notes: list[str] = []
        self.noted: set[str] = set()
        self.closed_until = -math.inf
        self.last_picture: Frames | None = None  # of the last closed window

    @property
    def complete(self) -> bool:
        """Every track has passed the end of the clip: decoding can stop."""
        return self._passed(self.end)

    def add(self, event: Event) -> Iterable[Media]:
        match event:
            case Picture():
                self._add_picture(event)
            case DecodedSound():
                self._add_sound(event)
            case Skipped(seconds):
                self._advance(seconds)
            case Note(text):
                self._note(text)
        return self._closed_windows() if self.open and self._ready(self.open[0]) else ()

    def _closed_windows(self) -> Iterator[Media]:
        while self.open and self._ready(self.open[0]):
            media = self._close(self.open.popleft(), final=False)
            if media is not None:
                yield media
                del media  # its memory can be reused as soon as the caller drops it

    def finish(self) -> Iterator[Media]:
        """The remaining windows; the last one gets the remaining notes."""
        last: Media | None = None
        while self.open:
            window = self.open.popleft()
            if last is not None and self._content_end() <= last.end_seconds + EPSILON:
                continue
            if last is not None:
                yield last
            last = self._close(window, final=True) or last
        if last is not None:
            notes = (*last.notes, *self.notes)
            self.notes = []
            yield replace(last, notes=notes, is_last=True)

    def _note(self, text: str) -> None:
        if text not in self.noted:
            self.noted.add(text)
            self.notes.append(text)

    def _add_sound(self, sound: DecodedSound) -> None:
        rate = self.request.audio_rate or 1
        begin = sound.origin + sound.index / rate
        finish = begin + len(sound.samples) / rate
        self.heard = max(self.heard, finish)
        self._check_late(begin)
        self._open_until(min(finish, self.end))
        for window in self.open:
            if finish > window.start and begin < min(window.start + window.reach, self.end):
                window.sounds.append(sound)

    def _advance(self, seconds: float) -> None:
        if math.isfinite(self.seen):
            self.period = max(seconds - self.seen, 1e-3)
        self.seen = max(self.seen, seconds)

    def _add_picture(self, picture: Picture) -> None:
        self._advance(picture.seconds)
        if not self.clip.start_seconds - EPSILON <= picture.seconds < self.end - EPSILON:
            return
        self._check_late(picture.seconds + EPSILON)
        self._open_until(picture.seconds + 2 * EPSILON)
        for window in self.open:
            if window.start - EPSILON <= picture.seconds < window.start + window.reach:
                window.take_picture(picture, self.allocate)

    def _capacity(self, start: float, reach: float) -> int:
        left = min(self.end, self.expected.duration_seconds or math.inf) - start
        rate = min(self.request.frame_rate or math.inf, self.expected.frame_rate, 240.0)
        return max(1, math.ceil(min(reach, max(left, 0.5)) * rate * 1.05) + 2)

    def _check_late(self, seconds: float) -> None:
        if seconds < self.closed_until - self.request.overlap_seconds - 0.5:
            self._note("audio and video are too far apart in this file: a part was left out")

    def _open_until(self, seconds: float) -> None:
        gap = seconds - self.next_start
        if gap > MAX_GAP_SECONDS and math.isfinite(gap):
            reason = f"has a gap of {gap:.0f} s in its time stamps; expected at most"
            raise MediaError(
                self.clip.path, f"{reason} {MAX_GAP_SECONDS:.0f} s", "repair it, or cut it there"
            )
        while self.next_start < seconds:
            ends = self.expected.duration_seconds
            left = min(self.end, math.inf if ends is None else ends) - self.next_start
            in_sight = ends is None or left <= LONGEST * self.length + 1.0
            reach = self.length * (LONGEST if in_sight else 1.0)
            self.open.append(
                _Window(self.next_start, reach, self._capacity(self.next_start, reach))
            )
            self.next_start += self.hop

    def _passed(self, seconds: float, slack: float = 0.0) -> bool:
        sound = not self.expected.sound or self.heard >= min(
            seconds, self.expected.sound_ends - slack
        )
        pictures = (
            not self.expected.pictures
            or self.seen >= min(seconds, self.expected.pictures_end - slack) - EPSILON
        )
        return sound and pictures and max(self.heard, self.seen) >= seconds - EPSILON

    def _ready(self, window: _Window) -> bool:
        edge = window.start + window.reach
        if edge > self.end:
            return False  # the last window of a clip with an end is closed by `finish`
        return (
            self._passed(edge, slack=0.5) or max(self.heard, self.seen) >= edge + MAX_LEAD_SECONDS
        )

    def _content_end(self) -> float:
        ends, reached = max(self.heard, self.seen + self.period), max(self.heard, self.seen)
        declared = self.expected.duration_seconds or 0.0
        if 0.0 < reached < declared + 0.1:  # the last picture of a slide show has no known period
            ends = min(ends, max(reached, declared))
        return min(self.end, ends) if math.isfinite(ends) else self.clip.start_seconds

    def _close(self, window: _Window, final: bool) -> Media | None:
        longest = min(self.end, window.start + (window.reach if final else self.length))
        end = min(longest, self._content_end())
        frames = window.frames(longest)
        if frames is not None:
            self.last_picture = replace(
                frames,
                images=frames.images[-1:].copy(),
                times=frames.times[-1:],
                damaged=0,
                first_equal=np.zeros(1, np.int64),
            )
        elif self.last_picture is not None and self.seen > window.start:  # still on the screen
            frames = replace(
                self.last_picture,
                images=self.last_picture.images.copy(),
                times=np.array([window.start]),
            )
        waveform = (
            window.waveform(longest, self.request.audio_rate) if self.request.audio_rate else None
        )
        if waveform is None and frames is None:
            return None
        notes, self.notes = tuple(self.notes), []
        self.closed_until = end
        total = self._total_seconds()
        return Media(self.clip, window.start, end, waveform, frames, notes, total_seconds=total)

    def _total_seconds(self) -> float | None:
        declared = self.expected.duration_seconds
        end = min(self.end, math.inf if declared is None else declared)
        return end - self.clip.start_seconds if math.isfinite(end) else None

"""The listener: blocks of sound and frames in, events out; state is bounded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip, Media, Samples
from av_tagger.fusion.windows import WindowResult
from av_tagger.live.buffers import FrameBuffer, SampleBuffer, TimedImage
from av_tagger.live.hysteresis import Change, Hysteresis
from av_tagger.live.kept import grid_of, kept_ear, kept_eye
from av_tagger.live.lines import LineKind, LiveLine
from av_tagger.live.schedule import FileWindows, RollingWindows, WindowSchedule, WindowSpan
from av_tagger.live.threads import exported_parts
from av_tagger.live.timeline import GrowingTimeline
from av_tagger.ontology import fold
from av_tagger.protocols import DecodeRequest
from av_tagger.scores import Scores, Status
from av_tagger.tagger import Parts, Tagger

STREAM = Clip(Path("stream"))
LEAD_SECONDS = 0.3  # sound does not wait longer than this for pictures
FILE_LEAD_SECONDS = 5.0  # in a file the tracks may be further apart
SCORE_RATE = 10.0  # frames per second of a timeline made of window scores
SHORT_FRAME = 0.2  # seconds; coarser frames of an ear are only decided when complete
TOP = 5


@dataclass(frozen=True)
class LiveSettings:
    """How a stream is windowed. `windows="file"` gives the answers of `av-tag FILE`, later."""

    windows: Literal["live", "file"] = "live"
    window_seconds: float = 10.0
    hop_seconds: float = 0.5
    lookahead_seconds: float | None = None  # None: what suits the ear
    look_seconds: float = 5.0  # between two looks of the eye
    frame_rate: float = 2.0  # candidate frames per second of the eye
    update_seconds: float = 0.0  # between `update` lines of an open event; 0: none
    seconds: bool = False  # a `second` line each second

    def __post_init__(self) -> None:
        if self.windows not in ("live", "file"):
            raise ValueError(f"windows is live or file, not {self.windows!r}")
        for name in ("window_seconds", "hop_seconds", "look_seconds", "frame_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is above 0, not {getattr(self, name)}")


class Listener:
    """A tagger for a stream that does not end.

    `hear` takes blocks of mono samples at `rate`, `see` frames with their times; both return the
    lines that are new. `gap` skips time that was lost, `finish` closes what is open.
    """

    def __init__(self, tagger: Tagger, settings: LiveSettings | None = None) -> None:
        self.settings = settings or LiveSettings()
        parts = tagger.parts
        ear = None if parts.ear is None else kept_ear(parts.ear)
        eye = None if parts.eye is None else kept_eye(parts.eye)
        self.tagger = Tagger(replace(parts, ear=ear, eye=eye))
        self.rate = parts.request.audio_rate or 1000
        self.expects_sound, self.expects_pictures = ear is not None, eye is not None
        self.labels = parts.labels
        self.schedule = _schedule(parts, self.settings)
        self.numbers = 0  # of events so far
        self._begun = False
        self.latest: WindowResult | None = None
        self._restart(0.0)

    @property
    def request(self) -> DecodeRequest:
        """What a source should deliver."""
        request = self.tagger.parts.request
        live = self.settings.windows == "live"
        return replace(request, frame_rate=self.settings.frame_rate) if live else request

    @property
    def time(self) -> float:
        """How far the stream has come, in seconds."""
        return max(self._origin, self._sound.end, self._frames.end)

    @property
    def level(self) -> float:
        """Loudness of the last half second, dBFS."""
        wave = self._sound.waveform(self._sound.end - 0.5, self._sound.end)
        power = 0.0 if wave is None else float(np.mean(np.square(wave.samples)))
        return 10 * math.log10(max(power, 1e-10))

    def expect(self, *, sound: bool, pictures: bool) -> None:
        """Which tracks the source has: windows do not wait for others."""
        self.expects_sound = sound and self.tagger.parts.ear is not None
        self.expects_pictures = pictures and self.tagger.parts.eye is not None

    def hear(self, samples: Samples, seconds: float | None = None) -> list[LiveLine]:
        """The next samples; `seconds` is the time of the first block, if it is not the start."""
        if not self._begun:
            self._begun = True
            self._sound = SampleBuffer(self.rate, self._origin if seconds is None else seconds)
        self._sound.add(samples)
        return self._advance()

    def see(self, frame: TimedImage) -> list[LiveLine]:
        """The next frame; times rise."""
        self._frames.add(frame)
        return self._advance()

    def passed(self, seconds: float) -> list[LiveLine]:
        """Frames up to this time were not needed."""
        self._frames.end = max(self._frames.end, seconds)
        return self._advance()

    def gap(self, seconds: float, text: str = "") -> list[LiveLine]:
        """Nothing is known of the next `seconds`: what is open ends here."""
        return [*self.finish(), replace(self.skip(seconds), text=text)]

    def skip(self, seconds: float) -> LiveLine:
        """Go on after a gap of `seconds`, with a memory of nothing; after `finish`."""
        start = self.time
        self._restart(start + seconds)
        return LiveLine(LineKind.GAP, start, start + seconds)

    def finish(self) -> list[LiveLine]:
        """Score what is left and close open events; the stream can go on after a `gap`."""
        lines = [
            line for span in self.schedule.rest(self.time) for line in self._score(span, last=True)
        ]
        if self._events is not None:
            lines += [self._line(change) for change in self._events.finish()]
        self._numbered.clear()
        return lines

    def _restart(self, origin: float) -> None:
        self._origin, self._begun = origin, False
        self._sound, self._frames = SampleBuffer(self.rate, origin), FrameBuffer()
        self._timeline: GrowingTimeline | None = None
        self._events: Hysteresis | None = None
        self._seen: Scores | None = None
        self._next_look = origin
        self._next_second = math.floor(origin) + 1.0
        self._numbered: dict[int, tuple[int, float]] = {}  # by class: number, time of last line
        self.schedule.restart(origin)

    def _advance(self) -> list[LiveLine]:
        lines: list[LiveLine] = []
        for span in self.schedule.due(self._reached()):
            lines += self._score(span)
            self._forget()
        return lines

    def _reached(self) -> float:
        """The time up to which windows may be scored."""
        ends = [self._sound.end] if self.expects_sound else []
        ends += [self._frames.end] if self.expects_pictures else []
        lead = LEAD_SECONDS if self.settings.windows == "live" else FILE_LEAD_SECONDS
        return max(min(ends), max(ends) - lead) if ends else self.time

    def _forget(self) -> None:
        keep = self.schedule.next_end() - self._longest()
        self._sound.drop_before(keep)
        self._frames.drop_before(keep)

    def _longest(self) -> float:
        return self.settings.window_seconds * (1.0 if self.settings.windows == "live" else 1.5)

    def _score(self, span: WindowSpan, *, last: bool = False) -> list[LiveLine]:
        media = Media(
            STREAM,
            span.start,
            span.end,
            self._sound.waveform(span.start, span.end) if self.expects_sound else None,
            self._frames.frames(span.start, span.end) if self.expects_pictures else None,
        )
        if media.waveform is None and media.frames is None:
            return []
        heard, seen = self.tagger.hear([media]), [self._see(media)]
        (result,) = self.tagger.weigh([media], heard, seen)
        self.latest = result
        return [*self._decide(result, span.decided), *self._seconds(result, last=last)]

    def _see(self, media: Media) -> Scores:
        """The eye's scores of a window; between two looks those of the last look."""
        every = self.settings.windows == "file"
        if self._seen is None or every or media.end_seconds >= self._next_look - 1e-6:
            (self._seen,) = self.tagger.see([media])
            if self._seen.status is not Status.NO_TRACK:
                self._next_look = media.end_seconds + self.settings.look_seconds
        return self._seen

    def _decide(self, result: WindowResult, until: float) -> Iterator[LiveLine]:
        """Events that open and close now that the timeline is decided up to a time."""
        activity = result.heard.activity
        if self._timeline is None:
            rate = SCORE_RATE if activity is None else activity.rate
            self._timeline = GrowingTimeline(self._origin, rate, len(self.labels))
            self._events = self._hysteresis(result, rate, by_score=activity is None)
        assert self._events is not None
        values = self._timeline.decide(activity, until)
        if self._by_score:
            values[:] = result.fused.probabilities
        for change in self._events.push(values, self._allowed(result)):
            yield self._line(change)
        yield from self._updates(result)

    def _allowed(self, result: WindowResult) -> NDArray[np.bool_]:
        """Classes of which an event may open; no parent beside its kind, as in a file's tags."""
        known = np.nan_to_num(result.fused.probabilities, nan=-1.0)
        allowed: NDArray[np.bool_] = known >= result.thresholds
        if not self.tagger.parts.fold or self._events is None:
            return allowed
        present = {self.labels[k] for k in (*np.flatnonzero(allowed), *self._events.open_events())}
        shown = fold(present)
        return allowed & np.array([label in shown for label in self.labels], np.bool_)

    def _hysteresis(self, result: WindowResult, rate: float, *, by_score: bool) -> Hysteresis:
        """Without frames of an ear, the fused scores of windows are the timeline."""
        self._by_score = by_score
        parts = self.tagger.parts
        high: NDArray[np.float64]
        if by_score:
            high = np.asarray(result.thresholds, np.float64)
        elif parts.threshold is not None or parts.ear_thresholds is None:
            level = parts.events.high if parts.threshold is None else parts.threshold
            high = np.full(len(self.labels), level)
        else:
            high = np.asarray(parts.ear_thresholds, np.float64)
        patient = self.settings.windows == "file"
        return Hysteresis(parts.events, rate, high, patient)

    def _line(self, change: Change) -> LiveLine:
        assert self._timeline is not None
        start, end = self._timeline.seconds(change.start), self._timeline.seconds(change.end)
        end = min(end, max(start, self.time))  # the last frame may be longer than the sound
        if not change.closed:
            self.numbers += 1
            self._numbered[change.column] = (self.numbers, end)
            return self._event(LineKind.OPEN, change.column, start, change.peak)
        line = self._event(LineKind.CLOSE, change.column, start, change.peak)
        self._numbered.pop(change.column, None)
        return replace(line, end=end)

    def _event(self, kind: LineKind, k: int, start: float, peak: float) -> LiveLine:
        result = self.latest
        assert result is not None
        return LiveLine(
            kind,
            start,
            label=self.labels[k],
            peak=peak,
            probability=_known(result.fused.probabilities[k]),
            heard=_known(result.heard.probabilities[k]),
            seen=_known(result.seen.probabilities[k]),
            threshold=float(result.thresholds[k]),
            evidence=result.seen.evidence.get(self.labels[k], ()),
            number=self._numbered.get(k, (None, 0.0))[0],
        )

    def _updates(self, result: WindowResult) -> Iterator[LiveLine]:
        every, now = self.settings.update_seconds, result.end_seconds
        if not every or self._events is None or self._timeline is None:
            return
        for k, held in self._events.open_events().items():
            number, last = self._numbered[k]
            if now - last >= every - 1e-6:
                self._numbered[k] = (number, now)
                start = self._timeline.seconds(held.start)
                end = self._timeline.seconds(held.end)
                yield replace(self._event(LineKind.UPDATE, k, start, held.peak), end=end)

    def _seconds(self, result: WindowResult, *, last: bool) -> Iterator[LiveLine]:
        if not self.settings.seconds or (last and result.end_seconds < self._next_second):
            return
        if result.end_seconds < self._next_second - 1e-6:
            return
        p = np.nan_to_num(result.fused.probabilities, nan=-1.0)
        best = np.argsort(-p, kind="stable")[:TOP]
        scores = tuple((self.labels[k], float(p[k])) for k in best if p[k] >= 0)
        end = math.floor(result.end_seconds + 1e-6)
        self._next_second = end + 1.0
        yield LiveLine(LineKind.SECOND, end - 1.0, float(end), scores=scores, level=self.level)


def _schedule(parts: Parts, settings: LiveSettings) -> WindowSchedule:
    if settings.windows == "file":
        return FileWindows(parts.request.window_seconds, parts.request.overlap_seconds)
    grid, frame = grid_of(parts.ear)
    window = settings.window_seconds
    exported = [ear.window / ear.rate for ear in exported_parts(parts.ear)]
    if exported:  # windows of the one length that the network knows; nothing is kept
        window, grid = min(window, *exported), settings.hop_seconds
    coarse = frame if frame > SHORT_FRAME else min(frame, 0.1)
    lookahead = coarse if settings.lookahead_seconds is None else settings.lookahead_seconds
    return RollingWindows(window, settings.hop_seconds, lookahead, grid)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

"""PyAV packets of one track to audio and picture events; damaged packets are only counted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from av_tagger.clip import Clip, Samples
from av_tagger.errors import MediaError
from av_tagger.media.clock import Clock
from av_tagger.media.opening import BROKEN, MAX_RATE, MIN_RATE, codec_name
from av_tagger.media.paths import CHECK
from av_tagger.media.planes import PlanePainter
from av_tagger.media.sound import NOTHING, Mixer, Resampler, to_mono
from av_tagger.media.windows import MAX_GAP_SECONDS, DecodedSound, Event, Note, Picture, Skipped
from av_tagger.protocols import DecodeRequest

RUN_UP_SECONDS = 0.05  # resampled before a clip's first sample, so that the cut does not click
GAP_SECONDS = 0.1  # smaller gaps and overlaps of audio time stamps are jitter
PRIMING_SECONDS = 0.1  # an audio file that starts this little before 0 starts at 0


def frame_rate(stream: Any) -> float | None:
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate and 0.01 <= rate <= 1000 else None


class Track:
    """What audio and video tracks have in common."""

    kind = ""

    def __init__(self, stream: Any, clip: Clip, origin: float, clock: Clock) -> None:
        self.stream, self.clip, self.origin, self.clock = stream, clip, origin, clock
        self.damaged = 0
        self.base = float(stream.time_base or 0)
        self.end = math.inf if clip.end_seconds is None else clip.end_seconds

    def take(self, packet: Any) -> Iterator[Event]:
        self.damaged += bool(packet.is_corrupt)
        try:
            frames = packet.decode()
        except BROKEN:
            self.damaged += 1
            return
        for frame in frames:
            try:
                yield from self.show(frame)
            except BROKEN:
                self.damaged += 1

    def stamp(self, frame: Any) -> float | None:
        return None if frame.pts is None else frame.pts * self.base - self.origin

    def show(self, frame: Any) -> Iterable[Event]:
        raise NotImplementedError

    def finish(self) -> Iterator[Event]:
        if self.damaged:
            codec = codec_name(self.stream)
            yield Note(f"{self.damaged} damaged packets in the {self.kind} track ({codec})")
        if self.clock.repaired:
            count = self.clock.repaired
            yield Note(f"{count} impossible time stamps in the {self.kind} track were repaired")


class PictureTrack(Track):
    kind = "video"

    def __init__(
        self, stream: Any, request: DecodeRequest, clip: Clip, origin: float, clock: Clock
    ) -> None:
        super().__init__(stream, clip, origin, clock)
        self.painter = PlanePainter(stream.codec_context, request.short_side)
        self.wanted_rate = request.frame_rate
        self.period = 1 / (frame_rate(stream) or 25.0)
        self.slot = -math.inf

    def show(self, frame: Any) -> Iterable[Event]:
        last = self.clock.last
        expected = last + self.period if math.isfinite(last) else max(0.0, self.clip.start_seconds)
        seconds = self.clock.tick(self.stamp(frame), expected, back=1.0)
        seconds = 0.0 if -1e-6 <= seconds < 0 else seconds
        if seconds <= last:  # times must rise
            seconds = last + min(self.period, 1e-3)
        self.clock.last = seconds
        bad = bool(frame.is_corrupt)
        self.damaged += bad
        if self.clip.start_seconds - 1e-6 <= seconds < self.end and self._is_candidate(seconds):
            return (Picture(seconds, self.painter.paint(frame), bad),)
        return (Skipped(seconds),) if seconds >= self.end else ()

    def _is_candidate(self, seconds: float) -> bool:
        """Whether this is the first frame in its slot of 1 / rate seconds."""
        if self.wanted_rate is None:
            return True
        slot = math.floor(seconds * self.wanted_rate + 1e-3)
        if slot == self.slot:
            return False
        self.slot = slot
        return True


class SoundTrack(Track):
    kind = "audio"

    def __init__(self, stream: Any, rate: int, clip: Clip, origin: float, clock: Clock) -> None:
        super().__init__(stream, clip, origin, clock)
        self.rate = rate
        self.mixer, self.source_rate = Mixer(), 0
        self.resampler: Resampler | None = None
        self.alone = stream.container.streams.video == ()
        self.begins: float | None = None  # time of the first sample that was kept
        self.sent = 0  # resampled samples so far

    def show(self, frame: Any) -> Iterable[Event]:
        """Most frames are only added to the mixer and produce no event."""
        rate, samples = frame.sample_rate, frame.samples
        if not rate or not samples:
            return ()
        if not MIN_RATE <= rate <= MAX_RATE:
            raise ValueError(f"a frame with a sampling rate of {rate} Hz")
        expected = (
            self.clock.last if math.isfinite(self.clock.last) else max(0.0, self.clip.start_seconds)
        )
        seconds = self.clock.tick(self.stamp(frame), expected, back=GAP_SECONDS)
        if self.begins is None:
            return self._begin(frame, seconds)
        if rate != self.source_rate or seconds - self.clock.last > GAP_SECONDS:
            return self._after_a_break(frame, seconds)
        mono = self.mixer.add(frame)
        self.clock.last += samples / rate
        if self.clock.last >= self.end:  # the clip is complete
            mono = np.concatenate([mono, self.mixer.rest()])
        return self._push(mono) if len(mono) else ()

    def _begin(self, frame: Any, seconds: float) -> Iterator[Event]:
        """Cut the first frame to where the clip, and before it the resampler's run-up, starts."""
        if self.alone and self.clip.start_seconds == 0 and -PRIMING_SECONDS < seconds < 0:
            self.clock.shift, seconds = self.clock.shift - seconds, 0.0
        rate, samples = frame.sample_rate, frame.samples
        keep_from = max(
            0, math.ceil((self.clip.start_seconds - RUN_UP_SECONDS - seconds) * rate - 1e-6)
        )
        mono = to_mono(frame)[keep_from:] if keep_from < samples else NOTHING
        self.clock.last = seconds + samples / rate
        if len(mono):
            self.begins, self.source_rate = seconds + keep_from / rate, rate
            yield from self._push(mono)

    def _after_a_break(self, frame: Any, seconds: float) -> Iterator[Event]:
        """Fill a gap with silence; restart the resampler when the sampling rate changes."""
        if seconds - self.clock.last > GAP_SECONDS:
            yield from self._silence(seconds - self.clock.last)
            self.clock.last = seconds
        if frame.sample_rate != self.source_rate:
            yield from self._push(self.mixer.rest())
            self.source_rate = frame.sample_rate
        mono = self.mixer.add(frame)
        self.clock.last += frame.samples / frame.sample_rate
        yield from self._push(mono)

    def _silence(self, seconds: float) -> Iterator[Event]:
        if seconds > MAX_GAP_SECONDS:
            limit = f"at most {MAX_GAP_SECONDS:.0f} s are filled with silence"
            reason = f"has a gap of {seconds:.0f} s in its audio track; {limit}"
            raise MediaError(self.clip.path, reason, CHECK)
        yield from self._push(self.mixer.rest())
        left = round(seconds * self.source_rate)
        while left > 0:
            yield from self._push(np.zeros(min(left, self.source_rate), np.float32))
            left -= self.source_rate

    def _push(self, mono: Samples) -> Iterator[Event]:
        if self.resampler is None or self.resampler.source_rate != self.source_rate:
            yield from self._flush()
            self.resampler = Resampler(self.source_rate, self.rate)
        yield from self._give(self.resampler.push(mono))

    def _give(self, samples: Any) -> Iterator[Event]:
        if len(samples) and self.begins is not None:
            yield DecodedSound(self.begins, self.sent, samples)
            self.sent += len(samples)

    def _flush(self) -> Iterator[Event]:
        if self.resampler is not None:
            yield from self._give(self.resampler.flush())

    def finish(self) -> Iterator[Event]:
        if self.begins is not None:
            yield from self._push(self.mixer.rest())
        yield from self._flush()
        yield from super().finish()

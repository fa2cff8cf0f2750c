"""Decoded frames of one track, in PyAV's form, become sound and pictures with mended times; damaged packets are counted, never fatal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from av_tagger.clip import Clip, Samples
from av_tagger.media.clock import Clock
from av_tagger.media.opening import BROKEN, codec_name
from av_tagger.media.planes import PlanePainter
from av_tagger.media.sound import NOTHING, Mixer, Resampler, to_mono
from av_tagger.media.windows import DecodedSound, Event, Note, Passed, Picture
from av_tagger.protocols import DecodeRequest

RUN_UP_SECONDS = (
    0.05  # what the resampler hears before a clip's first sample, so that the cut leaves no click
)
GAP_SECONDS = 0.1  # a smaller hole or overlap in the stamps of sound is jitter
WARM_UP_SECONDS = (
    0.1  # a sound file that says it starts this little before 0 has its clock set wrong
)


def frame_rate(stream: Any) -> float | None:
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate and 0.01 <= rate <= 1000 else None


class Track:
    """What reading sound and reading pictures share: damaged packets are counted, never fatal."""

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
            yield Note(
                f"{self.damaged} damaged packets in the {self.kind} track ({codec_name(self.stream)})"
            )
        if self.clock.mended:
            yield Note(
                f"{self.clock.mended} impossible time stamps in the {self.kind} track were mended"
            )


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
        if seconds <= last:  # two pictures cannot be shown at once
            seconds = last + min(self.period, 1e-3)
        self.clock.last = seconds
        bad = bool(frame.is_corrupt)
        self.damaged += bad
        if self.clip.start_seconds - 1e-6 <= seconds < self.end and self._is_candidate(seconds):
            return (Picture(max(0.0, seconds), self.painter.paint(frame), bad),)
        return (Passed(seconds),) if seconds >= self.end else ()

    def _is_candidate(self, seconds: float) -> bool:
        """The first frame in each 1 / rate seconds of the file."""
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
        self.begins: float | None = None  # seconds of the first sample that was kept
        self.sent = 0  # samples given out at the wanted rate

    def show(self, frame: Any) -> Iterable[Event]:
        """Most frames only join those that wait in the mixer: no iterator is made for them."""
        rate, samples = frame.sample_rate, frame.samples
        if not rate or not samples:
            return ()
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
        if self.clock.last >= self.end:  # what lies beyond the clip is not waited for
            mono = np.concatenate([mono, self.mixer.rest()])
        return self._push(mono) if len(mono) else ()

    def _begin(self, frame: Any, seconds: float) -> Iterator[Event]:
        """The first frame that reaches into the clip is cut to where the clip, and the resampler's run-up, starts."""
        if self.alone and self.clip.start_seconds == 0 and -WARM_UP_SECONDS < seconds < 0:
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
        """Silence where the stamps leave a gap; another rate gets another resampler."""
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

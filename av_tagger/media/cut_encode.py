"""Parts of a film encoded again: every frame and every sample where it was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from av_tagger.errors import MediaError
from av_tagger.media.cut_plan import Segment
from av_tagger.media.opening import BROKEN, Tracks, is_cover
from av_tagger.media.paths import CHECK
from av_tagger.media.picture import Painter
from av_tagger.media.tracks import frame_rate
from av_tagger.media.write import PictureWriter

SOUND_ENCODERS = {
    ".wav": "pcm_s16le",
    ".flac": "flac",
    ".mp3": "libmp3lame",
    ".ogg": "libopus",
    ".opus": "libopus",
}  # all others: AAC
CHUNK = 8192  # samples of silence at once
RUN_UP_SECONDS = 0.5  # decoded before a part, as audio decoders need it
USUAL_RATE = 25.0
TINY = Fraction(1, 100_000)


def encode_parts(
    container: Any, tracks: Tracks, out: Any, segments: Sequence[Segment], target: Path
) -> list[str]:
    """Write all segments one after the other; remarks about what was left out."""
    sound = None if tracks.audio is None else _Sound(out, tracks.audio, target)
    pictures = None if tracks.video is None else _Pictures(container, tracks.video, out, target)
    streams = [s for s in (tracks.video, tracks.audio) if s is not None]
    for segment in segments:
        _seek(container, segment.start)
        readers = {r.stream.index: r for r in (pictures, sound) if r is not None}
        for reader in readers.values():
            reader.begin(segment)
        for frame, index in _frames(container, streams, readers):
            readers[index].take(frame)
        for reader in readers.values():
            reader.finish_part()
    for writer in (pictures, sound):
        if writer is not None:
            writer.close()
    return left_out(container, copied=False)


def left_out(container: Any, *, copied: bool) -> list[str]:
    """A remark about tracks that are not in the new film."""
    pictures = [s for s in container.streams.video if not is_cover(s)]
    count = len(pictures[1:]) + len(container.streams.subtitles)
    count += 0 if copied else len(container.streams.audio[1:])
    if not count:
        return []
    tracks = "1 other track, such as subtitles, was" if count == 1 else f"{count} other tracks were"
    return [f"{tracks} left out"]


def _seek(container: Any, start: Fraction) -> None:
    wanted = start - Fraction(RUN_UP_SECONDS)
    try:
        container.seek(max(0, int(wanted * av.time_base)))
    except BROKEN:  # no index: decode and drop everything before the part
        container.seek(0)


def _frames(container: Any, streams: Sequence[Any], readers: dict[int, Any]) -> Any:
    """Decoded frames with the number of their track, until all readers have enough."""
    packets = container.demux(list(streams))
    while not all(reader.done for reader in readers.values()):
        try:
            packet = next(packets, None)
        except BROKEN:
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except BROKEN:
            continue
        for frame in frames:
            if frame.pts is not None:
                yield frame, packet.stream_index


class _Pictures:
    """Frames of a part, upright and at full size; each at its time, the first at the beginning."""

    def __init__(self, container: Any, stream: Any, out: Any, target: Path) -> None:
        self.stream, self.out, self.target = stream, out, target
        self.painter = Painter(stream.codec_context, None)
        self.segment = Segment(Fraction(0), Fraction(0), Fraction(0))
        self.done = False
        self.held: Any = None  # the frame that is shown when the part begins
        self.begun = False
        first = _first_frame(container, stream)
        if first is None:
            raise MediaError(target, "no picture of the film can be decoded", CHECK)
        self.writer = PictureWriter(out, self._paint(first), frame_rate(stream) or USUAL_RATE)

    def begin(self, segment: Segment) -> None:
        self.segment, self.done, self.held, self.begun = segment, False, None, False

    def take(self, frame: Any) -> None:
        time = frame.pts * self.stream.time_base
        if time >= self.segment.end - TINY:
            self.done = True
        elif time <= self.segment.start + TINY:
            self.held = frame
        elif not self.done:
            self._begin()
            self._write(frame, time)

    def finish_part(self) -> None:
        self._begin()

    def close(self) -> None:
        self.writer.finish()

    def _begin(self) -> None:
        if not self.begun and self.held is not None:
            self._write(self.held, self.segment.start)
        self.begun, self.held = True, None

    def _write(self, frame: Any, time: Fraction) -> None:
        place = self.segment.place + time - self.segment.start
        self.writer.write(self._paint(frame), float(place))

    def _paint(self, frame: Any) -> Any:
        return np.ascontiguousarray(self.painter.paint(frame))


class _Sound:
    """Samples of a part, to the sample; gaps are filled with silence."""

    def __init__(self, out: Any, stream: Any, target: Path) -> None:
        self.stream, self.out = stream, out
        codec, context = SOUND_ENCODERS.get(target.suffix.lower(), "aac"), stream.codec_context
        self.rate = _written_rate(codec, context.sample_rate)
        self.layout = "mono" if context.channels == 1 else "stereo"
        self.track = out.add_stream(codec, rate=self.rate, layout=self.layout)
        self.channels = self.track.codec_context.channels
        self.written = 0
        self.done = False
        self.segment = Segment(Fraction(0), Fraction(0), Fraction(0))
        self.resampler = av.AudioResampler("fltp", self.layout, self.rate)

    def begin(self, segment: Segment) -> None:
        self.segment, self.done = segment, False
        self.resampler = av.AudioResampler("fltp", self.layout, self.rate)
        end = segment.place + segment.end - segment.start
        self.stop = round(end * self.rate)  # in samples of the new film

    def take(self, frame: Any) -> None:
        for part in [] if self.done else self.resampler.resample(frame):
            self._place(part)

    def finish_part(self) -> None:
        """What is left in the resampler, then silence up to the end of the part."""
        if not self.done:
            for part in self.resampler.resample(None):
                self._place(part)
        while self.written < self.stop:
            length = min(CHUNK, self.stop - self.written)
            self._write(np.zeros((self.channels, length), np.float32))

    def close(self) -> None:
        self.out.mux(self.track.encode(None))

    def _place(self, frame: Any) -> None:
        time = frame.pts * frame.time_base - self.segment.start + self.segment.place
        at = round(time * self.rate)
        samples = frame.to_ndarray()
        while self.written < min(at, self.stop):
            length = min(CHUNK, min(at, self.stop) - self.written)
            self._write(np.zeros((self.channels, length), np.float32))
        wanted = samples[:, max(0, self.written - at) : max(0, self.stop - at)]
        if wanted.shape[1]:
            self._write(wanted)
        self.done = self.written >= self.stop

    def _write(self, samples: Any) -> None:
        piece = np.ascontiguousarray(samples, np.float32)
        frame = av.AudioFrame.from_ndarray(piece, "fltp", self.layout)
        frame.sample_rate, frame.pts, frame.time_base = (
            self.rate,
            self.written,
            Fraction(1, self.rate),
        )
        self.written += piece.shape[1]
        self.out.mux(self.track.encode(frame))


def _written_rate(codec: str, rate: int) -> int:
    """The rate itself where the encoder takes it, else the next one up."""
    known = av.Codec(codec, "w").audio_rates
    return rate if not known else min(known, key=lambda r: (r < rate, abs(r - rate)))


def _first_frame(container: Any, stream: Any) -> Any | None:
    try:
        for packet in container.demux(stream):
            for frame in packet.decode():
                return frame
    except BROKEN:
        return None
    return None

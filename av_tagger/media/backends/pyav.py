"""PyAV (FFmpeg): reads every format; audio and pictures in one pass over the file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from av_tagger.clip import Clip, Media, MediaInfo, TrackInfo
from av_tagger.errors import MediaError
from av_tagger.media.blocks import Blocks
from av_tagger.media.clock import Clock
from av_tagger.media.numbered import NumberedTrack
from av_tagger.media.opening import (
    BROKEN,
    MAX_CHANNELS,
    Tracks,
    codec_name,
    describe,
    duration_of,
    open_container,
    origin_of,
    pick_tracks,
)
from av_tagger.media.paths import CHECK
from av_tagger.media.picture import Turn, pixel_stretch, shown_size, turn_of
from av_tagger.media.tracks import PictureTrack, SoundTrack, frame_rate
from av_tagger.media.windows import Allocate, ContainerHints, Event, Note, Windows
from av_tagger.protocols import DecodeRequest

SEEK_MARGIN_SECONDS = 0.5  # audio decoders need a run-up
PROBE_PACKETS = 200


class PyAV:
    """Decodes with FFmpeg in one thread; `allocate` provides the memory for pictures."""

    name = "pyav"

    def __init__(self, allocate: Allocate | None = None, threads: int = 1) -> None:
        self.allocate = allocate or Blocks().allocate
        self.threads = threads

    def probe(self, path: Path) -> MediaInfo:
        with open_container(path) as container:
            tracks = pick_tracks(container)
            duration = duration_of(container)
            info = MediaInfo(
                path,
                container.format.name,
                duration,
                _audio_info(tracks.audio),
                _video_info(container, tracks.video),
            )
        if info.audio is None and info.video is None:
            raise MediaError(path, _nothing_in(tracks), CHECK)
        return info

    def windows(self, clip: Clip, request: DecodeRequest) -> Iterator[Media]:
        with open_container(clip.path) as container:
            try:
                yield from _Pass(container, clip, request, self).run()
            except MemoryError as error:
                raise MediaError(
                    clip.path,
                    "needs more memory than there is to be decoded",
                    "ask for smaller pictures",
                ) from error


def _nothing_in(tracks: Tracks) -> str:
    return "; ".join(tracks.notes) or "has neither an audio nor a video track"


def _audio_info(stream: Any | None) -> TrackInfo | None:
    if stream is None:
        return None
    codec = stream.codec_context
    return TrackInfo(
        codec_name(stream), _seconds(stream), float(codec.sample_rate or 0), codec.channels
    )


def _video_info(container: Any, stream: Any | None) -> TrackInfo | None:
    if stream is None:
        return None
    codec = stream.codec_context
    frame = first_frame(container, stream)
    turn = Turn() if frame is None else turn_of(frame)
    stretch = 1.0 if frame is None else pixel_stretch(codec)
    width, height = shown_size(codec.width, codec.height, stretch, turn)
    return TrackInfo(
        codec_name(stream),
        _seconds(stream),
        frame_rate(stream) or 0.0,
        0,
        width,
        height,
        turn.degrees,
    )


def first_frame(container: Any, stream: Any) -> Any | None:
    """The first frame, which carries the display matrix; None if the first packets are broken."""
    try:
        for packet in itertools.islice(container.demux(stream), PROBE_PACKETS):
            for frame in packet.decode():
                return frame
    except BROKEN:
        return None
    return None


def _seconds(stream: Any) -> float | None:
    return (
        None
        if not stream.duration or stream.duration < 0
        else float(stream.duration * stream.time_base)
    )


class _Pass:
    """One pass through a file: packets in, windows out."""

    def __init__(self, container: Any, clip: Clip, request: DecodeRequest, backend: PyAV) -> None:
        self.container, self.clip = container, clip
        self.tracks = _wanted(pick_tracks(container), request, clip.path)
        self.duration = duration_of(container)
        origin = origin_of(container, self.tracks)
        clock = Clock(self.duration, clip.start_seconds)
        self.readers: dict[int, SoundTrack | PictureTrack] = {}
        if self.tracks.audio is not None:
            self.readers[self.tracks.audio.index] = SoundTrack(
                self.tracks.audio, request.audio_rate or 1, clip, origin, replace(clock)
            )
        if self.tracks.video is not None:
            self.tracks.video.codec_context.thread_count = backend.threads
            rate = frame_rate(self.tracks.video) or 0.0
            if request.skip_nonref and rate >= 2 * (request.frame_rate or 0.0):  # half is enough
                self.tracks.video.codec_context.skip_frame = "NONREF"
            kind = NumberedTrack if request.numbered else PictureTrack
            track = kind(self.tracks.video, request, clip, origin, replace(clock))
            if isinstance(track, NumberedTrack):
                track.begin(first_frame(container, self.tracks.video), clip.path)
                container.seek(0)
            self.readers[self.tracks.video.index] = track
        self.out = Windows(clip, request, self._expected(origin), backend.allocate)

    def _expected(self, origin: float) -> ContainerHints:
        audio, video = self.tracks.audio, self.tracks.video
        rate = frame_rate(video) if video is not None else None
        return ContainerHints(
            audio is not None,
            video is not None,
            self.duration,
            rate or 25.0,
            _end(audio, origin),
            _end(video, origin),
        )

    def run(self) -> Iterator[Media]:
        found = False
        for event in self._events():
            for media in self.out.add(event):
                found = True
                yield media
                del media
            if self.out.complete:
                break
        for media in self.out.finish():
            found = True
            yield media
        if not found:
            raise MediaError(self.clip.path, self._why_nothing(), CHECK)

    def _events(self) -> Iterator[Event]:
        for text in self.tracks.notes:
            yield Note(text)
        self._seek()
        streams = [s for s in (self.tracks.audio, self.tracks.video) if s is not None]
        packets = self.container.demux(streams)
        while True:
            try:
                packet = next(packets, None)
            except BROKEN as error:
                yield Note(f"the file breaks off while it is read ({describe(error)})")
                break
            if packet is None:
                break
            yield from self.readers[packet.stream.index].take(packet)
        for reader in self.readers.values():
            yield from reader.finish()
        yield from self._what_is_missing()

    def _seek(self) -> None:
        wanted = self.clip.start_seconds - SEEK_MARGIN_SECONDS
        if wanted <= 0:
            return
        try:
            self.container.seek(int((wanted + origin_of(self.container, self.tracks)) * 1_000_000))
        except BROKEN:  # no index: decode and drop everything before the clip
            self.container.seek(0)

    def _what_is_missing(self) -> Iterator[Note]:
        # Matroska declares its duration from time stamp 0, others from the first time stamp.
        reached = max(self.out.heard, self.out.seen) + origin_of(self.container, self.tracks)
        declared = min(self.duration or 0.0, self.out.end)
        if (
            math.isfinite(reached)
            and reached < declared - max(1.0, 0.05 * declared)
            and not self.out.complete
        ):
            yield Note(
                f"the file breaks off at {reached:.1f} s of the {declared:.1f} s that it declares"
            )

    def _why_nothing(self) -> str:
        if self.duration is not None and self.clip.start_seconds >= self.duration:
            start = self.clip.start_seconds
            return f"ends at {self.duration:.2f} s, before the clip starts at {start:.2f} s"
        codecs = " and ".join(
            codec_name(s) for s in (self.tracks.audio, self.tracks.video) if s is not None
        )
        audio = self.tracks.audio
        if audio is not None and not audio.codec_context.channels:  # too many for FFmpeg become 0
            why = f"its header names no number of channels from 1 to {MAX_CHANNELS}"
        else:
            why = f"{sum(r.damaged for r in self.readers.values())} damaged packets"
        return f"holds nothing that can be decoded ({codecs}; {why})"


def _end(stream: Any | None, origin: float) -> float:
    """The declared end of a track, in seconds of the file."""
    length = None if stream is None else _seconds(stream)
    if stream is None or length is None:
        return math.inf
    start = (
        0.0 if stream.start_time is None else float(stream.start_time * stream.time_base) - origin
    )
    return start + length


def _wanted(tracks: Tracks, request: DecodeRequest, path: Path) -> Tracks:
    """The tracks that exist and are requested; MediaError if there is none."""
    if tracks.audio is None and tracks.video is None:
        raise MediaError(path, _nothing_in(tracks), CHECK)
    chosen = Tracks(
        tracks.audio if request.audio_rate is not None else None,
        tracks.video if request.short_side is not None else None,
        tracks.notes,
    )
    if chosen.audio is None and chosen.video is None:
        missing, other = ("audio", "eye") if request.audio_rate is not None else ("video", "ear")
        raise MediaError(path, f"has no {missing} track", f"use --only {other}")
    return chosen

"""Sources that FFmpeg reads: files, containers in a pipe, network streams, capture devices."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np

from av_tagger.clip import Clip
from av_tagger.errors import MediaError
from av_tagger.live.buffers import TimedImage
from av_tagger.live.sources.base import (
    PicturesPassed,
    SoundBlock,
    StreamItem,
    StreamNote,
    StreamOpened,
    StreamPacket,
    StreamTracks,
)
from av_tagger.live.templates import TrackTemplates
from av_tagger.media.clock import Clock
from av_tagger.media.opening import (
    BROKEN,
    LENIENT,
    Tracks,
    describe,
    duration_of,
    open_container,
    origin_of,
    pick_tracks,
)
from av_tagger.media.sound import Mixer
from av_tagger.media.tracks import PictureTrack, SoundTrack
from av_tagger.media.windows import DecodedSound, Event, Note, Picture
from av_tagger.protocols import DecodeRequest

OPEN_SECONDS, READ_SECONDS = 15.0, 10.0  # a source that sends nothing for this long is broken
GATHER_SECONDS = 0.02
JUMP_SECONDS = 1.0  # a time stamp may be ahead of the time that has passed by this much
REFUSED = ("HTTPUnauthorizedError", "HTTPForbiddenError")


@dataclass
class LiveClock(Clock):
    """Time stamps of a live track: a jump that is longer than the time that passed is repaired."""

    now: Callable[[], float] = time.monotonic
    arrived: float = math.nan

    def believes(self, seconds: float) -> bool:
        passed = 0.0 if math.isnan(self.arrived) else self.now() - self.arrived
        ahead = seconds - self.last if math.isfinite(self.last) else 0.0
        return super().believes(seconds) and ahead <= passed + JUMP_SECONDS

    def tick(self, seconds: float | None, expected: float, back: float) -> float:
        shifted = None if seconds is None else seconds + self.shift
        if shifted is not None and math.isfinite(shifted) and not self.believes(shifted):
            self.shift += expected - shifted
            self.repaired += 1
        self.arrived = self.now()
        return super().tick(seconds, expected, back)


@dataclass
class ContainerSource:
    """One stream through PyAV. `paced`: a file is read no faster than it plays."""

    name: str
    live: bool
    paced: bool = False
    file: BinaryIO | None = None
    format: str | None = None  # of FFmpeg, such as v4l2
    options: dict[str, str] = field(default_factory=dict)
    packets: bool = False  # also give the packets of all tracks, for outputs that keep them
    sleep: Callable[[float], None] = time.sleep

    def items(self, request: DecodeRequest) -> Iterator[StreamItem]:
        with self._open() as container:
            yield from self._read(container, request)

    def _open(self) -> Any:
        if self.file is None and not self.live:
            return open_container(Path(self.name))
        try:
            return av.open(
                self.name if self.file is None else self.file,
                format=self.format,
                options=self.options,
                timeout=(OPEN_SECONDS, READ_SECONDS) if self.live else None,
                **LENIENT,
            )
        except (*BROKEN, OSError) as error:
            raise MediaError(shown(self.name), *_why(error)) from error

    def _read(self, container: Any, request: DecodeRequest) -> Iterator[StreamItem]:
        found = pick_tracks(container)
        tracks = _wanted(found, request)
        for text in tracks.notes:
            yield StreamNote(text)
        if tracks.audio is None and tracks.video is None:
            raise MediaError(
                shown(self.name), "has no track that can be used", "check --only and the source"
            )
        yield StreamOpened(tracks.audio is not None, tracks.video is not None)
        kept = None
        if self.packets:
            kept = TrackTemplates([s for s in (found.audio, found.video) if s is not None])
            yield StreamTracks(kept)
        began = time.monotonic()
        for item in self._items(container, tracks, request, kept):
            if self.paced and isinstance(item, SoundBlock | TimedImage):
                self._wait(item, began)
            yield item

    def _items(
        self,
        container: Any,
        tracks: Tracks,
        request: DecodeRequest,
        kept: TrackTemplates | None,
    ) -> Iterator[StreamItem]:
        readers = self._readers(container, tracks, request)
        places = {} if kept is None else kept.places
        packets = container.demux([container.streams[n] for n in {*readers, *places}])
        while True:
            try:
                packet = next(packets, None)
            except (*BROKEN, OSError) as error:
                for reader in readers.values():
                    yield from _as_items(reader.finish(), request)
                raise MediaError(shown(self.name), f"broke off ({describe(error)})") from error
            if packet is None:
                break
            index = packet.stream.index
            if index in places:
                timed = readers.get(index) or next(iter(readers.values()))
                yield from _copied(packet, places[index], timed)
            if index not in readers:
                continue
            reader = readers[index]
            yield from _as_items(reader.take(packet), request)
            if isinstance(reader, PictureTrack) and math.isfinite(reader.clock.last):
                yield PicturesPassed(reader.clock.last)
        for reader in readers.values():
            yield from _as_items(reader.finish(), request)

    def _readers(
        self, container: Any, tracks: Tracks, request: DecodeRequest
    ) -> dict[int, SoundTrack | PictureTrack]:
        clip, origin = Clip(Path(self.name)), origin_of(container, tracks)
        readers: dict[int, SoundTrack | PictureTrack] = {}
        if tracks.audio is not None:
            clock = self._clock(container)
            sound = SoundTrack(tracks.audio, request.audio_rate or 1, clip, origin, clock)
            if self.live or self.paced:
                sound.mixer = Mixer(GATHER_SECONDS)
            readers[tracks.audio.index] = sound
        if tracks.video is not None:
            clock = self._clock(container)
            readers[tracks.video.index] = PictureTrack(tracks.video, request, clip, origin, clock)
        return readers

    def _clock(self, container: Any) -> Clock:
        return LiveClock(None, 0.0) if self.live else Clock(duration_of(container), 0.0)

    def _wait(self, item: SoundBlock | TimedImage, began: float) -> None:
        ahead = item.seconds - (time.monotonic() - began)
        if ahead > 0:
            self.sleep(ahead)


def _copied(packet: Any, track: int, reader: SoundTrack | PictureTrack) -> Iterator[StreamPacket]:
    """The packet with the times that its decoded sound or pictures get."""
    stamp = packet.dts if packet.pts is None else packet.pts
    if not packet.size or stamp is None or not packet.time_base:
        return
    base, shift = float(packet.time_base), reader.clock.shift - reader.origin
    seconds = stamp * base + shift
    decoded = seconds if packet.dts is None else packet.dts * base + shift
    duration = float((packet.duration or 0) * base)
    yield StreamPacket(
        track, bytes(packet), seconds, min(decoded, seconds), duration, packet.is_keyframe
    )


def _as_items(events: Iterator[Event], request: DecodeRequest) -> Iterator[StreamItem]:
    rate = request.audio_rate or 1
    for event in events:
        match event:
            case DecodedSound(origin, index, samples):
                yield SoundBlock(samples, origin + index / rate)
            case Picture(seconds, lazy):
                image = np.empty(lazy.shape, np.uint8)
                lazy.put(image)
                yield TimedImage(seconds, image, lazy.luma)
            case Note(text):
                yield StreamNote(text)
            case _:
                yield PicturesPassed(event.seconds)


def _wanted(tracks: Tracks, request: DecodeRequest) -> Tracks:
    return Tracks(
        tracks.audio if request.audio_rate is not None else None,
        tracks.video if request.short_side is not None else None,
        tracks.notes,
    )


def _why(error: BaseException) -> tuple[str, str]:
    if type(error).__name__ in REFUSED:
        return "refuses access", "give user and password in the URL"
    return f"cannot be opened ({describe(error)})", "check the name, and that it is reachable"


def shown(name: str) -> str:
    """A URL without its user and password."""
    return re.sub(r"(?<=://)[^/@]*@", "", name)

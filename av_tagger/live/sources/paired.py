"""A microphone and a camera as one source: the sound is the clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from av_tagger.errors import MediaError
from av_tagger.live.buffers import TimedImage
from av_tagger.live.sources.base import (
    PicturesPassed,
    SoundBlock,
    StreamItem,
    StreamNote,
    StreamOpened,
    StreamSource,
)
from av_tagger.live.sources.container import READ_SECONDS
from av_tagger.live.sources.reopen import STALL_SECONDS, ReadAhead
from av_tagger.protocols import DecodeRequest

LEAST_STEP = 1e-3  # seconds between two pictures


@dataclass
class PairedSource:
    """Sound of one source, pictures of another; if one breaks, both are opened again.

    A picture gets the time that the sound has reached when it arrives, so that the two never
    drift apart.
    """

    sound: StreamSource
    pictures: StreamSource
    live: bool = True

    @property
    def name(self) -> str:
        return f"{self.sound.name} + {self.pictures.name}"

    def items(self, request: DecodeRequest) -> Iterator[StreamItem]:
        ahead = ReadAhead(self.pictures, replace(request, audio_rate=None), STALL_SECONDS)
        rate, now, shown = request.audio_rate or 1, 0.0, 0.0
        try:
            for item in self.sound.items(replace(request, short_side=None)):
                if isinstance(item, StreamOpened):
                    yield StreamOpened(sound=True, pictures=True)
                    continue
                yield item
                if not isinstance(item, SoundBlock):
                    continue
                now = item.seconds + len(item.samples) / rate
                for other in self._arrived(ahead):
                    shown = now
                    if isinstance(other, TimedImage):
                        yield replace(other, seconds=now)
                        now += LEAST_STEP
                    elif isinstance(other, StreamNote):
                        yield other
                if now - shown > READ_SECONDS:
                    raise MediaError(self.pictures.name, "sends no pictures", "check the device")
                yield PicturesPassed(now)
        finally:
            ahead.stop()

    def _arrived(self, ahead: ReadAhead) -> Iterator[StreamItem]:
        """What the camera has sent since the last block of sound."""
        for item in ahead.ready():
            if item is None:
                raise MediaError(self.pictures.name, "has ended")
            yield item

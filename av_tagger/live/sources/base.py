"""What a source delivers, and the protocol of sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from av_tagger.clip import Samples
from av_tagger.live.buffers import TimedImage
from av_tagger.live.templates import TrackTemplates
from av_tagger.protocols import DecodeRequest


@dataclass(frozen=True)
class StreamOpened:
    """A source has been opened; its times start again at 0."""

    sound: bool
    pictures: bool


@dataclass(frozen=True)
class SoundBlock:
    """The next samples, mono, at the rate of the request; `seconds` is when they start."""

    samples: Samples
    seconds: float


@dataclass(frozen=True)
class StreamTracks:
    """The tracks of a container that was opened, for outputs that keep its packets."""

    tracks: TrackTemplates


@dataclass(frozen=True)
class StreamPacket:
    """A packet of a container as it came: `data` is still encoded."""

    track: int  # position in `StreamTracks`
    data: bytes
    seconds: float  # when it is shown
    decoded: float  # when it is decoded: rises in a track
    duration: float
    key: bool  # decoding can begin here


@dataclass(frozen=True)
class PicturesPassed:
    """Frames up to this time were not needed."""

    seconds: float


@dataclass(frozen=True)
class StreamNote:
    """Something that could not be read."""

    text: str


@dataclass(frozen=True)
class StreamLost:
    """Sound that the source did not deliver, though it is still open; later times count it."""

    seconds: float
    text: str


@dataclass(frozen=True)
class StreamBroken:
    """The source broke off; it is opened again."""

    text: str


StreamItem = (
    StreamOpened
    | SoundBlock
    | TimedImage
    | PicturesPassed
    | StreamTracks
    | StreamPacket
    | StreamNote
    | StreamLost
    | StreamBroken
)


Recorded = SoundBlock | StreamTracks | StreamPacket  # what outputs may keep


class StreamSource(Protocol):
    """A place where sound and pictures come from; `live`: it goes on by itself."""

    @property
    def name(self) -> str: ...

    @property
    def live(self) -> bool: ...

    def items(self, request: DecodeRequest) -> Iterator[StreamItem]:
        """Open the source and read it to its end; MediaError if it breaks."""
        ...

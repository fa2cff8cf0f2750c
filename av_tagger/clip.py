"""What comes in: a clip (where), and what was decoded from it (waveform, frames)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Images = NDArray[np.uint8]
Times = NDArray[np.float64]


@dataclass(frozen=True)
class Clip:
    """A media file, or the part of it between two times in seconds."""

    path: Path
    start_seconds: float = 0.0
    end_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.start_seconds < 0:
            raise ValueError(f"a clip cannot start before its file: {self.start_seconds = }")
        if self.end_seconds is not None and self.end_seconds <= self.start_seconds:
            raise ValueError(f"a clip must end after it starts: {self.start_seconds = }, {self.end_seconds = }")

    @property
    def name(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class Waveform:
    """Mono sound: float32 samples, nominally within [-1, 1]."""

    samples: Samples  # (n,)
    rate: int  # Hz
    start_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError(f"a waveform is mono float32: {self.samples.shape = }, {self.samples.dtype = }")
        if self.rate <= 0:
            raise ValueError(f"a sampling rate is positive: {self.rate = }")

    @property
    def duration_seconds(self) -> float:
        return len(self.samples) / self.rate


@dataclass(frozen=True)
class Frames:
    """A run of pictures, uint8 RGB, each with its presentation time."""

    images: Images  # (n, height, width, 3)
    times: Times  # (n,) seconds, rising
    damaged: int = 0  # frames that the decoder reported as corrupt

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[-1] != 3 or self.images.dtype != np.uint8:
            raise ValueError(f"frames are uint8 RGB: {self.images.shape = }, {self.images.dtype = }")
        if self.times.shape != (len(self.images),):
            raise ValueError(f"every frame has a time: {self.times.shape = }, {self.images.shape = }")

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class TrackInfo:
    """What the container says of one track; counts and durations are hints, never promises."""

    codec: str
    duration_seconds: float | None = None
    rate: float = 0.0  # Hz for sound, frames a second for pictures
    channels: int = 0
    width: int = 0  # as displayed, after rotation
    height: int = 0
    rotation: int = 0  # degrees clockwise that the display matrix asks for: 0, 90, 180, 270


@dataclass(frozen=True)
class MediaInfo:
    """A file as its container describes it."""

    path: Path
    container: str
    duration_seconds: float | None
    audio: TrackInfo | None
    video: TrackInfo | None


@dataclass(frozen=True)
class Media:
    """One decoded window of a clip: what the ear and the eye get to know."""

    clip: Clip
    start_seconds: float
    end_seconds: float
    waveform: Waveform | None
    frames: Frames | None
    notes: tuple[str, ...] = ()  # what could not be read, in words; the track is then degraded
    remarks: tuple[str, ...] = ()  # what people may want to know, and costs nothing: another decoder took over

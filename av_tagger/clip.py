"""What comes in: a clip, and what was decoded from it (waveform, frames)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.repeats import first_equal

Samples = NDArray[np.float32]
Images = NDArray[np.uint8]
Times = NDArray[np.float64]
Rows = NDArray[np.int64]
# Requests small JPEGs of some rows; the function it returns waits for them: None if none come.
Encode = Callable[[Rows], Callable[[], list[bytes] | None]]


ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
MANGLED = re.compile(r"^(https?):/(?!/)")  # what `Path` makes of an address


def is_address(text: str) -> bool:
    """Whether the text is `scheme://...` and no path."""
    return ADDRESS.match(text) is not None


@dataclass(frozen=True)
class Clip:
    """A media file, or the part of it between two times in seconds."""

    path: Path
    start_seconds: float = 0.0
    end_seconds: float | None = None
    source: str = ""  # where the file is a copy: the address, or "-" for standard input

    def __post_init__(self) -> None:
        if self.start_seconds < 0:
            raise ValueError(f"a clip cannot start before its file: {self.start_seconds = }")
        if self.end_seconds is not None and self.end_seconds <= self.start_seconds:
            raise ValueError(
                f"a clip must end after it starts: {self.start_seconds = }, {self.end_seconds = }"
            )

    @classmethod
    def of(cls, name: str | Path) -> Clip:
        """A whole file by its path, or by an address (`https://...`), which stays as it is."""
        text = MANGLED.sub(r"\1://", str(name), count=1)
        return cls(Path(text), source=text) if is_address(text) else cls(Path(name))

    @property
    def name(self) -> str:
        """As results name it: the address of a copy, else the path."""
        return self.source or str(self.path)


@dataclass(frozen=True)
class Waveform:
    """Mono audio: float32 samples, nominally within [-1, 1]."""

    samples: Samples  # (n,)
    rate: int  # Hz
    start_seconds: float = 0.0
    finite: bool = False  # no sample is NaN or infinite; False: not known

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError(
                f"a waveform must be mono float32: {self.samples.shape = }, {self.samples.dtype = }"
            )
        if self.rate <= 0:
            raise ValueError(f"the sampling rate must be positive: {self.rate = }")

    @property
    def duration_seconds(self) -> float:
        return len(self.samples) / self.rate


def all_finite(samples: Samples) -> bool:
    """NaN and infinity show in the energy, which costs a third of looking at every sample."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(np.dot(samples, samples)) or np.isfinite(samples).all())


@dataclass(frozen=True)
class ColourMatrix:
    """YUV to RGB: the shares of red and blue in luma, and the range of values."""

    red: float = 0.299  # ITU-R BT.601; green has the rest
    blue: float = 0.114
    full: bool = False  # 0..255, as in JPEG, instead of 16..235

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 3): (R, G, B) = matrix @ (Y - black, U - 128, V - 128)."""
        green = 1 - self.red - self.blue
        u, v = 2 * (1 - self.blue), 2 * (1 - self.red)  # for differences within [-0.5, 0.5]
        plain = np.array([[1, 0, v], [1, -u * self.blue / green, -v * self.red / green], [1, u, 0]])
        luma, chroma = (1.0, 1.0) if self.full else (255 / 219, 255 / 224)
        return plain * [luma, chroma, chroma]

    @property
    def black(self) -> int:
        return 0 if self.full else 16

    def rgb(self, y: Images, u: Images, v: Images) -> Images:
        """One (height, width, 3) picture; each U and V value is used for 2 x 2 pixels."""
        height, width = y.shape
        scale = self.matrix.astype(np.float32)
        bright = y * scale[0, 0] + (0.5 - scale[0, 0] * self.black)  # 0.5: the cast truncates
        bright = bright.reshape(height // 2, 2, width // 2, 2)
        blue, red = u - np.float32(128), v - np.float32(128)
        out = np.empty((height, width, 3), np.uint8)
        for colour, (_, of_u, of_v) in enumerate(scale):
            value = bright + (of_u * blue + of_v * red)[:, None, :, None]
            out[..., colour] = np.clip(value, 0, 255, out=value).reshape(height, width)
        return out


def planar_shape(height: int, width: int) -> tuple[int, int]:
    """Shape of one 4:2:0 picture of even sides: Y, then U and V, a quarter of it each."""
    return height * 3 // 2, width


def yuv_planes(images: Images) -> tuple[Images, Images, Images]:
    """Views of Y (..., height, width), U and V (..., height / 2, width / 2) of planar pictures."""
    *many, rows, width = images.shape
    height = rows * 2 // 3
    flat = images.reshape(*many, rows * width)
    y, u, v = np.split(flat, [height * width, height * width * 5 // 4], axis=-1)
    half = (*many, height // 2, width // 2)
    return y.reshape(*many, height, width), u.reshape(half), v.reshape(half)


@dataclass(frozen=True)
class Frames:
    """Frames with presentation times: RGB, or planar YUV 4:2:0, which is half the bytes."""

    images: Images  # (n, height, width, 3) RGB; with `luma` (n, *planar_shape(height, width))
    times: Times  # (n,) seconds, in ascending order
    damaged: int = 0  # frames that the decoder reported as corrupt
    luma: ColourMatrix | None = None
    first_equal: Rows | None = None  # (n,) per frame the first that equals it; None: unknown
    encode: Encode | None = field(default=None, repr=False, compare=False)  # where decoded

    def __post_init__(self) -> None:
        shape = self.images.shape
        known = (
            shape[1] % 3 == 0 and shape[2] % 2 == 0
            if self.luma is not None and len(shape) == 3
            else shape[3:] == (3,)
        )
        if (
            self.images.dtype != np.uint8
            or not known
            or len(shape) != (4 if self.luma is None else 3)
        ):
            raise ValueError(
                "frames must be uint8, RGB or planar with even sides: "
                f"{shape = }, {self.images.dtype = }, {self.luma = }"
            )
        if self.times.shape != (len(self.images),):
            raise ValueError(f"one time per frame: {self.times.shape = }, {shape = }")
        if self.first_equal is not None and self.first_equal.shape != self.times.shape:
            raise ValueError(f"one row per frame: {self.first_equal.shape = }, {shape = }")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        rows, width = self.images.shape[1:3]
        return (rows, width) if self.luma is None else (rows * 2 // 3, width)

    def distinct(self) -> tuple[Rows, Rows]:
        """Rows of the frames that differ from all before them, and per frame its place in these."""
        known = first_equal(self.images) if self.first_equal is None else self.first_equal
        every = np.arange(len(known))
        if np.array_equal(known, every):
            return every, every
        rows, places = np.unique(known, return_inverse=True)
        return rows, places.reshape(-1)

    def planes(self) -> tuple[Images, Images, Images]:
        """Views of Y (n, height, width), U and V (n, height / 2, width / 2); needs `luma`."""
        return yuv_planes(self.images)

    def rgb(self, rows: Rows | slice = slice(None)) -> Images:
        """(rows, height, width, 3) RGB."""
        if self.luma is None:
            return self.images[rows]
        y, u, v = (plane[rows] for plane in self.planes())
        pictures = [self.luma.rgb(*picture) for picture in zip(y, u, v, strict=True)]
        return np.stack(pictures) if pictures else np.empty((0, *self.size, 3), np.uint8)


@dataclass(frozen=True)
class TrackInfo:
    """What the container says about one track; counts and durations can be wrong."""

    codec: str
    duration_seconds: float | None = None
    rate: float = 0.0  # Hz of audio, frames per second of video
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
    """One decoded window of a clip: the input of the ear and the eye."""

    clip: Clip
    start_seconds: float
    end_seconds: float
    waveform: Waveform | None
    frames: Frames | None
    notes: tuple[str, ...] = ()  # what could not be read: the track is then degraded
    remarks: tuple[str, ...] = ()  # no loss of quality, such as another decoder
    total_seconds: float | None = None  # of the whole clip, as its container declares it
    is_last: bool = False  # no window of the clip follows; False: not known

"""Media files made by code: pictures show their time and orientation, sounds are known tones."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from av_tagger.clip import ColourMatrix, Frames
from av_tagger.systems import usual_priority

os.environ.setdefault("SVT_LOG", "0")  # keeps the AV1 encoder silent

VIDEO_ENCODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "mpeg4": "mpeg4",
}
AUDIO_ENCODERS = {
    "aac": "aac",
    "mp3": "libmp3lame",
    "opus": "libopus",
    "vorbis": "vorbis",
    "flac": "flac",
    "pcm": "pcm_s16le",
}
FAST = {
    "libx264": {"preset": "ultrafast", "crf": "12", "threads": "1"},
    "libx265": {
        "preset": "ultrafast",
        "crf": "12",
        "x265-params": "log-level=none:pools=none:frame-threads=1",
    },
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "12", "b": "0"},
    "libsvtav1": {"preset": "12", "crf": "20"},
    "mpeg4": {"qmin": "2", "qmax": "3"},
    "vorbis": {"strict": "-2"},
}
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
MATRICES = {
    0: (1, 0, 0, 1),
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}  # a b c d of the display matrix
CORNERS = {
    "top left": (220, 30, 30),
    "top right": (30, 200, 30),
    "bottom left": (30, 30, 220),
    "bottom right": (220, 220, 220),
}

Array = NDArray[Any]


@dataclass(frozen=True)
class Audio:
    """The sound of a file: a tone on every channel, or given samples (channels, n)."""

    codec: str = "aac"
    rate: int = 44_100
    channels: int = 1
    frequency: float = 440.0
    amplitude: float = 0.5
    samples: Array | None = None
    delay: float = 0.0  # seconds after the first picture


def can_encode(name: str) -> bool:
    try:
        av.Codec({**VIDEO_ENCODERS, **AUDIO_ENCODERS}[name], "w")
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def tone(
    seconds: float, rate: int, channels: int = 1, frequency: float = 440.0, amplitude: float = 0.5
) -> Array:
    t = np.arange(max(1, round(seconds * rate))) / rate
    return np.tile(
        (amplitude * np.sin(2 * np.pi * frequency * t)).astype(np.float32), (channels, 1)
    )


def level_at(seconds: float) -> int:
    """Grey level in the middle of the picture at this time: steps of 0.1 s, a period of 2.2 s."""
    return 20 + 10 * (int(seconds * 10 + 0.01) % 22)


def picture(seconds: float, size: tuple[int, int]) -> Array:
    """Red, green, blue and white corners, and the time as a grey level in the middle."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    rows, columns = (
        (slice(0, height // 2), slice(height // 2, None)),
        (slice(0, width // 2), slice(width // 2, None)),
    )
    for (row, column), colour in zip(
        [(0, 0), (0, 1), (1, 0), (1, 1)], CORNERS.values(), strict=True
    ):
        image[rows[row], columns[column]] = colour
    image[height // 3 : height - height // 3, width // 3 : width - width // 3] = level_at(seconds)
    return image


def seen_level(image: Array) -> float:
    """Grey level in the middle of a decoded picture."""
    height, width = image.shape[:2]
    return float(
        image[height * 4 // 9 : height * 5 // 9 + 1, width * 4 // 9 : width * 5 // 9 + 1].mean()
    )


def seen_corners(image: Array) -> list[str]:
    """The colours of the corners: top left, top right, bottom left, bottom right."""
    height, width = image.shape[:2]
    y, x = max(1, height // 8), max(1, width // 8)
    found = []
    for patch in (image[:y, :x], image[:y, -x:], image[-y:, :x], image[-y:, -x:]):
        colour = patch.reshape(-1, 3).mean(axis=0)
        found.append(
            min(CORNERS, key=lambda name: float(np.abs(colour - np.array(CORNERS[name])).sum()))
        )
    return found


def frame_times(seconds: float, fps: float, vfr: bool = False) -> list[float]:
    """Regular times; with `vfr` every third is missing and the second half has half the rate."""
    times = [n / fps for n in range(max(1, round(seconds * fps)))]
    if not vfr:
        return times
    return [t for n, t in enumerate(times) if n % 3 != 1 and (t < seconds / 2 or n % 2 == 0)]


def make_video(
    path: Path,
    seconds: float = 1.0,
    fps: float = 24,
    size: tuple[int, int] = (96, 64),
    codec: str = "h264",
    audio: Audio | str | None = "aac",
    rotation: int = 0,
    vfr: bool = False,
    pixels: str = "yuv420p",
    start: float = 0.0,
) -> Path:
    """A video with known pictures and sound.

    `start` shifts all time stamps; `rotation` writes the display matrix (mp4, mov).
    """
    sound = Audio(audio) if isinstance(audio, str) else audio
    with usual_priority(), av.open(str(path), "w") as out:
        encoder = VIDEO_ENCODERS[codec]
        stream: Any = out.add_stream(
            encoder, rate=Fraction(fps).limit_denominator(1001), options=dict(FAST.get(encoder, {}))
        )
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.gop_size = 12
        stream.codec_context.max_b_frames = 0
        stream.codec_context.thread_count = 1
        base = Fraction(1, 1000) if codec == "mpeg4" else Fraction(1, 12_000)
        stream.codec_context.time_base = base
        heard = _Encoder(out, sound, seconds, start) if sound is not None else None
        for t in frame_times(seconds, fps, vfr):
            frame = av.VideoFrame.from_ndarray(picture(t, size), format="rgb24").reformat(
                format=pixels
            )
            frame.pts, frame.time_base = round((t + start) / base), base
            out.mux(stream.encode(frame))
            if heard is not None:
                heard.until(t)
        out.mux(stream.encode(None))
        if heard is not None:
            heard.finish()
    if rotation:
        _write_matrix(path, MATRICES[rotation])
    return path


def make_audio(
    path: Path, seconds: float = 1.0, audio: Audio | str = "pcm", cover: bool = False
) -> Path:
    """A sound file, optionally with a cover picture."""
    sound = Audio(audio) if isinstance(audio, str) else audio
    with av.open(str(path), "w") as out:
        heard = _Encoder(out, sound, seconds, 0.0)
        if cover:
            art: Any = out.add_stream("mjpeg", rate=1)
            art.width, art.height, art.pix_fmt = 64, 64, "yuvj420p"
            art.disposition = av.stream.Disposition.attached_pic
            packets = art.encode(
                av.VideoFrame.from_ndarray(picture(0, (64, 64)), format="rgb24").reformat(
                    format="yuvj420p"
                )
            )
            out.mux([*packets, *art.encode(None)])
        heard.finish()
    return path


class _Encoder:
    """Encodes sound up to the time of the pictures, so that the two tracks are interleaved."""

    def __init__(self, out: Any, sound: Audio, seconds: float, start: float) -> None:
        self.out, self.sound, self.at = out, sound, 0
        encoder = AUDIO_ENCODERS[sound.codec]
        layout = LAYOUTS[sound.channels]
        self.stream: Any = out.add_stream(
            encoder, rate=sound.rate, layout=layout, options=dict(FAST.get(encoder, {}))
        )
        samples = sound.samples
        if samples is None:
            samples = tone(seconds, sound.rate, sound.channels, sound.frequency, sound.amplitude)
        self.samples = np.ascontiguousarray(samples, np.float32)
        self.shift = round((start + sound.delay) * sound.rate)

    def until(self, seconds: float) -> None:
        while self.at < min(seconds * self.sound.rate, self.samples.shape[1]):
            self._encode(self.samples[:, self.at : self.at + 4096])

    def _encode(self, samples: Array) -> None:
        packed = np.ascontiguousarray(samples.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "flt", LAYOUTS[self.sound.channels])
        frame.sample_rate, frame.pts, frame.time_base = (
            self.sound.rate,
            self.at + self.shift,
            Fraction(1, self.sound.rate),
        )
        self.at += samples.shape[1]
        self.out.mux(self.stream.encode(frame))

    def finish(self) -> None:
        self.until(float("inf"))
        self.out.mux(self.stream.encode(None))


def _write_matrix(path: Path, values: Sequence[int]) -> None:
    """Write a b c d into the header of the first track that has a picture size."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd")
    while at >= 0:
        matrix = at + 4 + (40 if data[at + 4] == 0 else 52)  # version 1 has 12 more bytes of times
        if struct.unpack_from(">I", data, matrix + 36)[0]:
            a, b, c, d = (v * 65536 for v in values)
            struct.pack_into(">9i", data, matrix, a, b, 0, c, d, 0, 0, 0, 1 << 30)
            break
        at = data.find(b"tkhd", at + 4)
    path.write_bytes(data)


def smooth_pictures(n: int, height: int, width: int) -> NDArray[np.uint8]:
    """Different smooth pictures, of colours that no conversion clips."""
    small = np.random.default_rng(0).integers(60, 196, (n, 9, 12, 3), dtype=np.uint8)
    return np.stack(
        [
            np.asarray(Image.fromarray(s).resize((width, height), Image.Resampling.BICUBIC))
            for s in small
        ]
    )


def as_planes(images: NDArray[np.uint8], luma: ColourMatrix) -> Frames:
    """RGB to planes by the definition of the standards; chroma averaged over 2 x 2 pixels."""
    rgb = images.astype(np.float64) / 255
    y = rgb @ [luma.red, 1 - luma.red - luma.blue, luma.blue]
    u, v = (rgb[..., 2] - y) / (2 * (1 - luma.blue)), (rgb[..., 0] - y) / (2 * (1 - luma.red))
    low, bright, colour = (0, 255, 255) if luma.full else (16, 219, 224)
    n, height, width = y.shape
    halves = [
        c.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4)) * colour + 128 for c in (u, v)
    ]
    flat = np.concatenate(
        [(y * bright + low).reshape(n, -1), *(h.reshape(n, -1) for h in halves)], axis=1
    )
    whole = flat.round().clip(0, 255).astype(np.uint8).reshape(n, height * 3 // 2, width)
    return Frames(whole, np.arange(n) / 24, luma=luma)


def in_rgb(frames: Frames) -> Frames:
    return Frames(frames.rgb(), frames.times)

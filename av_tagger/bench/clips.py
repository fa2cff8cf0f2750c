"""Made material of the benchmarks: films as arrays, short clips in several codecs, long files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from av_tagger.clip import Frames

FPS = 24
RATE = 44_100
BLOCK_SECONDS = 10
ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "mpeg4": "mpeg4"}
OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "23"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}

Packet = tuple[Any, Fraction, int, int, bool, bytes]  # stream, time base, pts, duration, key, data


def film(frames: int, height: int = 342, width: int = 608) -> Frames:
    """Four scenes with slow motion and a little noise, as the decoder delivers 360p material."""
    from PIL import Image

    random = np.random.default_rng(1)
    scenes = random.integers(0, 256, (4, 24, 44, 3), dtype=np.uint8)
    big = [
        np.asarray(Image.fromarray(s).resize((width + frames, height), Image.Resampling.BICUBIC))
        for s in scenes
    ]
    images = [big[i * 4 // frames][:, i : i + width] for i in range(frames)]
    noise = random.integers(0, 5, (frames, height, width, 1), dtype=np.uint8)
    return Frames(np.stack(images) // 2 + noise, np.arange(frames) / FPS)


def make_clip(path: Path, codec: str, size: tuple[int, int], seconds: float) -> Path:
    """A clip of `film` and white noise."""
    width, height = size
    images = film(round(seconds * FPS), height, width).images
    noise = np.random.default_rng(0).standard_normal((1, round(seconds * RATE)))
    with av.open(str(path), "w") as out:
        encoder = ENCODERS[codec]
        video: Any = out.add_stream(encoder, rate=Fraction(FPS), options=OPTIONS.get(encoder, {}))
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio: Any = out.add_stream("aac", rate=RATE, layout="mono")
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        samples = (0.2 * noise).clip(-1, 1).astype(np.float32)
        sound = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
        sound.sample_rate, sound.pts, sound.time_base = RATE, 0, Fraction(1, RATE)
        out.mux([*audio.encode(sound), *audio.encode(None)])
    return path


def make_long(path: Path, seconds: int, size: tuple[int, int]) -> None:
    """Ten encoded seconds whose packets are repeated: an hour takes as long as writing it."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=FPS, options=OPTIONS["libx264"])
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.codec_context.max_b_frames = 0
        audio: Any = out.add_stream("aac", rate=RATE, layout="stereo")
        block = _encoded(video, audio, size)
        for repeat in range(seconds // BLOCK_SECONDS):
            for stream, base, pts, duration, key, data in block:
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, base
                packet.duration, packet.is_keyframe = duration, key
                packet.pts = packet.dts = pts + round(repeat * BLOCK_SECONDS / base)
                out.mux(packet)


def _encoded(video: Any, audio: Any, size: tuple[int, int]) -> list[Packet]:
    """The packets of ten seconds, in the order of time."""
    generator = np.random.default_rng(0)
    packets = _video_packets(video, size, generator) + _audio_packets(audio, generator)
    rows = [
        (p.stream, p.time_base, p.pts, p.duration or 0, p.is_keyframe, bytes(p))
        for p in packets
        if p.pts is not None and p.pts >= 0
    ]
    return sorted(rows, key=lambda row: row[2] * row[1])


def _video_packets(video: Any, size: tuple[int, int], generator: np.random.Generator) -> list[Any]:
    """A window that moves over a smooth random picture."""
    width, height = size
    noise = generator.integers(0, 255, (height + 64, width + 64, 3), np.uint8)
    shifted = [noise[k:, k:][: height + 32, : width + 32] for k in range(16)]
    smooth = np.mean(shifted, axis=0).astype(np.uint8)
    packets: list[Any] = []
    for n in range(BLOCK_SECONDS * FPS):
        view = smooth[n % 32 : n % 32 + height, (n // 2) % 32 : (n // 2) % 32 + width]
        image = av.VideoFrame.from_ndarray(np.ascontiguousarray(view), format="rgb24")
        frame = image.reformat(format="yuv420p")
        frame.pts, frame.time_base = n, Fraction(1, FPS)
        packets += video.encode(frame)
    return packets + list(video.encode(None))


def _audio_packets(audio: Any, generator: np.random.Generator) -> list[Any]:
    """Stereo noise."""
    sound = generator.normal(0, 0.1, (2, RATE * BLOCK_SECONDS // 1024 * 1024)).astype(np.float32)
    packets: list[Any] = []
    for at in range(0, sound.shape[1], 1024):
        samples = np.ascontiguousarray(sound[:, at : at + 1024])
        piece = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
        piece.sample_rate, piece.pts, piece.time_base = RATE, at, Fraction(1, RATE)
        packets += audio.encode(piece)
    return packets + list(audio.encode(None))

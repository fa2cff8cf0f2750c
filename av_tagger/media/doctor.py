"""Which codecs the installed decoders can open, found by decoding a tiny file of each."""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from av_tagger.clip import Clip
from av_tagger.errors import AvTaggerError
from av_tagger.media.backend import BACKENDS
from av_tagger.media.decode_process import DecodeProcess
from av_tagger.media.decode_server import memory_share
from av_tagger.media.decoder_pool import CAN_ISOLATE, open_media
from av_tagger.protocols import DecodeRequest
from av_tagger.systems import usual_priority

# codec: (encoder, container); codecs without an encoder in this FFmpeg are not tested
PICTURES = {
    "h264": ("libx264", "mp4"),
    "hevc": ("libx265", "mp4"),
    "vp9": ("libvpx-vp9", "webm"),
    "av1": ("libsvtav1", "mkv"),
    "mpeg4": ("mpeg4", "avi"),
}
SOUNDS = {
    "aac": ("aac", "m4a"),
    "mp3": ("libmp3lame", "mp3"),
    "opus": ("libopus", "ogg"),
    "vorbis": ("vorbis", "ogg"),
    "flac": ("flac", "flac"),
    "pcm_s16le": ("pcm_s16le", "wav"),
}
OPTIONS = {
    "libx265": {"x265-params": "log-level=none"},
    "libsvtav1": {"preset": "12"},
    "vorbis": {"strict": "-2"},
}
DISTRIBUTION = {"pyav": "av", "decord": "decord"}


@dataclass(frozen=True)
class DecoderReport:
    """One backend: its version (None: not installed) and the codecs that it opened or refused."""

    name: str
    version: str | None
    opens: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()  # PyAV is used instead
    advice: str = ""


def decoders(limit_seconds: float = 20.0) -> list[DecoderReport]:
    """Try every backend on a tiny file of each codec."""
    with tempfile.TemporaryDirectory() as folder:
        samples = dict(_samples(Path(folder)))
        return [_report(name, samples, limit_seconds) for name in BACKENDS]


def isolation(limit_seconds: float = 20.0) -> str:
    """What decoding processes may do on this machine, asked from one of them."""
    if not CAN_ISOLATE:
        return "none: files are decoded in this process, without a time limit"
    with DecodeProcess() as process:
        given_up = process.call(
            "av_tagger.media.sandbox:entered", path=Path("-"), limit_seconds=limit_seconds
        )
    return f"{given_up}, at most {memory_share() / 2**30:.1f} GiB of memory each"


def _report(name: str, samples: dict[str, Path], limit_seconds: float) -> DecoderReport:
    package = DISTRIBUTION[name]
    try:
        report = DecoderReport(name, importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return DecoderReport(
            name, None, advice=f"pip install {package}, or use the default decoder"
        )
    opens = {codec: _opens(name, path, limit_seconds) for codec, path in samples.items()}
    refused = tuple(codec for codec, good in opens.items() if not good)
    advice = f"PyAV is used for {', '.join(refused)}" if refused and name != "pyav" else ""
    return replace(
        report,
        opens=tuple(codec for codec, good in opens.items() if good),
        refuses=refused,
        advice=advice,
    )


def _opens(name: str, path: Path, limit_seconds: float) -> bool:
    """Whether the backend reads the file itself, without falling back to PyAV."""
    try:
        media = list(
            open_media(Clip(path), DecodeRequest(), backend=name, limit_seconds=limit_seconds)
        )
    except AvTaggerError:
        return False
    return bool(media) and not any(m.remarks for m in media)


def _samples(folder: Path) -> Iterator[tuple[str, Path]]:
    os.environ.setdefault("SVT_LOG", "0")  # keeps the AV1 encoder quiet
    for codec, (encoder, container) in {**PICTURES, **SOUNDS}.items():
        path = folder / f"{codec}.{container}"
        try:
            with usual_priority(), av.open(str(path), "w") as out:
                _encode(out, encoder, pictures=codec in PICTURES)
        except (ValueError, av.error.FFmpegError):
            continue  # this FFmpeg has no such encoder
        yield codec, path


def _encode(out: Any, encoder: str, pictures: bool) -> None:
    options = dict(OPTIONS.get(encoder, {}))
    if pictures:
        stream = out.add_stream(encoder, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        frames: list[Any] = [
            av.VideoFrame.from_ndarray(np.full((64, 64, 3), 40 * n, np.uint8), format="rgb24")
            for n in range(4)
        ]
        step = Fraction(1, 10)
    else:
        stream = out.add_stream(encoder, rate=48_000, layout="stereo", options=options)
        frames = [
            av.AudioFrame.from_ndarray(np.zeros((2, 4800), np.float32), "fltp", "stereo")
            for _ in range(2)
        ]
        step = Fraction(4800, 48_000)
    for number, frame in enumerate(frames):
        if not pictures:
            frame.sample_rate = 48_000
        frame.time_base, frame.pts = Fraction(1, 48_000), round(number * step * 48_000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))

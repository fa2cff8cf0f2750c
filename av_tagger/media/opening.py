"""Opens containers safely, picks tracks, and explains in one sentence why a file is unreadable."""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error
from av.stream import Disposition

from av_tagger.errors import MediaError
from av_tagger.media.paths import CHECK, check_path, refuse_text

# What FFmpeg and PyAV raise on broken input.
BROKEN = (
    av.error.FFmpegError,
    ValueError,
    RuntimeError,
    ArithmeticError,
    LookupError,
    AssertionError,
    TypeError,
)
OPTIONS = {"protocol_whitelist": "file,crypto,data"}  # playlists may not access the network
# Undecodable metadata must not make a file unreadable; from PyAV 19 on it does not.
LENIENT: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)
MIN_RATE, MAX_RATE = 100, 1_000_000  # Hz; other sampling rates are broken headers
MAX_CHANNELS, MAX_PLANES = 512, 64  # of interleaved and of planar samples: limits of FFmpeg
MAX_PIXELS = 1 << 28  # of a picture, such as 16384 x 16384


@dataclass(frozen=True)
class Tracks:
    """The decodable tracks of a file, and notes about the others."""

    audio: Any | None
    video: Any | None
    notes: tuple[str, ...] = ()


def open_container(path: Path) -> Any:
    check_path(path)
    refuse_text(path)
    try:
        return av.open(str(path.absolute()), container_options=OPTIONS, **LENIENT)
    except MemoryError as error:
        raise MediaError(path, "needs more memory than there is to be opened", CHECK) from error
    except PermissionError as error:
        raise MediaError(path, "may not be read", "check its permissions") from error
    except (*BROKEN, OSError) as error:
        raise MediaError(path, *why_unreadable(path, error)) from error


def why_unreadable(path: Path, error: Exception) -> tuple[str, str]:
    """Reason and remedy, from the top-level boxes of an mp4 file."""
    boxes = top_boxes(path)
    if boxes & {"ftyp", "mdat"} and not boxes & {"moov", "moof"}:
        return (
            "was never finished: its index (the moov box) is missing",
            "repair it with an mp4 recovery tool, or record it again",
        )
    if boxes & {"moof", "styp", "sidx"} and "moov" not in boxes:
        return (
            "is a fragment without its header (no moov box)",
            "join it to its initialisation segment first",
        )
    return f"is not media that can be read ({describe(error)})", CHECK


def describe(error: BaseException) -> str:
    """FFmpeg's error text without error number and path."""
    if getattr(error, "errno", None) == errno.EBUSY:  # FFmpeg's word for some broken headers
        return "its headers contradict each other"
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())


def top_boxes(path: Path, most: int = 64) -> set[str]:
    """Names of the top-level boxes of an mp4 file; of other files nothing of use."""
    names: set[str] = set()
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size
        for _ in range(most):
            header = file.read(8)
            if len(header) < 8:
                break
            size, name = struct.unpack(">I4s", header)
            names.add(name.decode("latin-1"))
            if size == 1:
                size = int.from_bytes(file.read(8), "big")
            if size < 8:
                break
            here = file.tell() + size - (8 if header[:4] != b"\0\0\0\1" else 16)
            if here >= end:
                break
            file.seek(here)
    return names


def pick_tracks(container: Any) -> Tracks:
    """The default track of each kind that has a decoder; cover art is no video."""
    notes: list[str] = []
    videos = [s for s in container.streams.video if not is_cover(s)]
    return Tracks(
        _first(container.streams.audio, "audio", notes),
        _first(videos, "video", notes),
        tuple(notes),
    )


def _first(streams: Any, kind: str, notes: list[str]) -> Any | None:
    known = [s for s in streams if s.codec_context is not None]
    usable = [s for s in known if not why_implausible(s.codec_context)]
    if streams and not usable:
        why = "this decoder does not know its codec"
        why = why_implausible(known[0].codec_context) if known else why
        notes.append(f"the {kind} track was left out: {why}")
    return min(usable, key=lambda s: not s.disposition & Disposition.default, default=None)


def why_implausible(codec: Any) -> str:
    """Why a track is encrypted, or would take absurd time or memory; empty if it is plausible."""
    if _tag_of(codec) in ("enca", "encv"):
        return "it is encrypted"
    rate = getattr(codec, "sample_rate", None) or MIN_RATE  # unknown before the first frame
    if not MIN_RATE <= rate <= MAX_RATE:
        return f"its sampling rate is {rate} Hz; expected {MIN_RATE} to {MAX_RATE}"
    channels, form = getattr(codec, "channels", None) or 1, getattr(codec, "format", None)
    most = MAX_PLANES if getattr(form, "is_planar", False) else MAX_CHANNELS
    if channels > most:
        return f"it has {channels} channels; expected at most {most}"
    width, height = getattr(codec, "width", 0) or 0, getattr(codec, "height", 0) or 0
    if width * height > MAX_PIXELS:
        return f"its pictures have {width} x {height} pixels; expected at most {MAX_PIXELS}"
    return ""


def _tag_of(codec: Any) -> str:
    """The four letters of a codec in the container; empty where they are no letters."""
    try:
        return str(getattr(codec, "codec_tag", ""))
    except ValueError:  # PyAV reads them as ASCII
        return ""


def is_cover(stream: Any) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def codec_name(stream: Any) -> str:
    try:
        return str(stream.codec_context.codec.canonical_name or stream.codec_context.name)
    except (*BROKEN, AttributeError):
        return "unknown codec"


def duration_of(container: Any) -> float | None:
    duration = container.duration
    return duration / av.time_base if duration is not None and duration > 0 else None


def origin_of(container: Any, tracks: Tracks) -> float:
    """The time stamp that players show as second 0.

    Audio may start before 0 with decoder priming samples; they are dropped, so they do not count.
    """
    video = tracks.video
    if video is not None and video.start_time is not None and video.start_time < 0:
        return float(video.start_time * video.time_base)
    start = container.start_time
    return max(0.0, start / av.time_base) if start is not None else 0.0

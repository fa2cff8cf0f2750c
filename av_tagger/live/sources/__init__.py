"""Sources of a live run by name: files, pipes, network streams, microphones and cameras."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from av_tagger.errors import UsageError
from av_tagger.live.sources.base import StreamSource
from av_tagger.live.sources.container import ContainerSource
from av_tagger.live.sources.devices import camera, microphone
from av_tagger.live.sources.paired import PairedSource
from av_tagger.live.sources.pcm import FORMATS, PcmSource

URLS = ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "rtp", "srt", "tcp")
STDIN = "-"


@dataclass(frozen=True)
class SourceSettings:
    """How a source is read."""

    pace: Literal["real", "fast"] = "real"  # of files
    rate: int | None = None  # Hz of raw PCM on standard input; None: a container
    format: str = "s16le"  # of raw PCM
    channels: int = 1
    packets: bool = False  # give the packets of containers, too
    camera: str | None = None  # gives the pictures to the sound of a microphone

    def __post_init__(self) -> None:
        if self.pace not in ("real", "fast"):
            raise ValueError(f"pace is real or fast, not {self.pace!r}")
        if self.format not in FORMATS:
            raise ValueError(f"the format of raw PCM is one of {', '.join(FORMATS)}")


def make_source(
    name: str, settings: SourceSettings, stdin: Callable[[], BinaryIO] | None = None
) -> StreamSource:
    """`mic`, `mic:NAME`, `camera:NAME`, a URL, `-` (standard input) or a file."""
    kind, colon, rest = name.partition(":")
    if settings.camera is not None and kind != "mic":
        raise UsageError("--camera goes with a microphone: av-tag listen mic --camera 0")
    if name == STDIN:
        return _standard_input((stdin or _stdin)(), settings)
    if kind == "mic":
        sound = microphone(rest)
        paired = settings.camera is not None
        return PairedSource(sound, camera(settings.camera or "")) if paired else sound
    if kind == "camera":
        return replace(camera(rest), packets=settings.packets)
    if colon and rest.startswith("//"):
        if kind not in URLS:
            raise UsageError(f"{name}: cannot be listened to; known: {', '.join(URLS)}")
        options = _options(kind)
        return ContainerSource(name, live=True, options=options, packets=settings.packets)
    paced = settings.pace == "real"
    return ContainerSource(str(_file(name)), live=False, paced=paced, packets=settings.packets)


def _file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise UsageError(
            f"{name}: there is no such file; a microphone is mic:NAME, a camera camera:NAME"
        )
    return path


def _options(kind: str) -> dict[str, str]:
    """Answers soon: little is read before the first packet is handed on."""
    options = {"analyzeduration": "1000000", "fflags": "nobuffer"}
    return options | ({"rtsp_transport": "tcp"} if kind.startswith("rtsp") else {})


def _standard_input(stream: BinaryIO, settings: SourceSettings) -> StreamSource:
    if settings.rate is None:
        name, packets = "standard input", settings.packets
        return ContainerSource(name, live=False, file=stream, packets=packets)
    return PcmSource(stream, settings.rate, settings.format, settings.channels)


def _stdin() -> BinaryIO:
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal; pipe sound into it, or name a source")
    return sys.stdin.buffer


__all__ = ["SourceSettings", "make_source"]

"""Whether a file without a telling name is media: something of it must be decodable."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from av_tagger.errors import MediaError
from av_tagger.media.opening import BROKEN, open_container, pick_tracks

PACKETS = 50  # the first ones; one of them must give a frame
STILL = ("image2", "_pipe", "gif", "ico", "apng", "tty", "webp")  # formats of single pictures


def holds_media(path: Path) -> bool:
    """Whether one of the first packets of sound or video can be decoded; pictures are no video."""
    try:
        with open_container(path) as container:
            if any(name in container.format.name for name in STILL):
                return False
            tracks = pick_tracks(container)
            streams = [s for s in (tracks.audio, tracks.video) if s is not None]
            return bool(streams) and _decodes(container, streams)
    except (MediaError, MemoryError):
        return False


def _decodes(container: Any, streams: list[Any]) -> bool:
    packets = iter(container.demux(streams))
    try:
        for packet in itertools.islice(packets, PACKETS):
            if _frames(packet):
                return True
    except BROKEN:
        return False
    return False


def _frames(packet: Any) -> bool:
    try:
        return bool(packet.decode())
    except BROKEN:
        return False

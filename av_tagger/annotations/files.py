"""An annotated file: its media file, and the sounds that were marked in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

LONGEST_BYTES = 200_000_000
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")  # what Label Studio puts before names


@dataclass(frozen=True)
class AnnotatedSound:
    """A marked sound, in seconds of its file."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class AnnotatedFile:
    """All sounds of one media file; without any, the file was listened to and has none."""

    media: str  # path or name, as far as the annotation tells
    sounds: tuple[AnnotatedSound, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(sound.label for sound in self.sounds))


def labels_of(files: Iterable[AnnotatedFile]) -> tuple[str, ...]:
    """The labels that occur, in alphabetical order."""
    return tuple(sorted({label for file in files for label in file.labels}))


def media_name(address: str) -> str:
    """The path of a media file in an address: `file:///a/b.wav`, `/data/upload/1/0a1b2c3d-b.wav`.

    Also of files that Label Studio serves: `/data/local-files/?d=a/b.wav`.
    """
    if "://" not in address and not address.startswith("/data/"):
        return address
    try:
        parts = urlsplit(address)
    except ValueError:  # such as http://[x/a.wav
        return address
    local = parse_qs(parts.query).get("d")
    path = local[0] if local else unquote(parts.path)
    if "/upload/" in path:
        return _UPLOADED.sub("", Path(path).name)
    return path


def merged(files: Iterable[AnnotatedFile]) -> list[AnnotatedFile]:
    """One file per name; sounds in order of time."""
    sounds: dict[str, list[AnnotatedSound]] = {}
    for file in files:
        sounds.setdefault(file.media, []).extend(file.sounds)
    ordered = {name: sorted(found, key=_order) for name, found in sounds.items()}
    return [AnnotatedFile(name, tuple(dict.fromkeys(found))) for name, found in ordered.items()]


def _order(sound: AnnotatedSound) -> tuple[float, float, str]:
    return (sound.start, sound.end, sound.label)

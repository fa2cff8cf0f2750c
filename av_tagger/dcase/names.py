"""What a clip's name says: the YouTube id and the seconds that were cut out of the video."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Ids are 11 characters and may hold `_` and `-`: they are counted, never split. Files on disk carry a `Y` in front, lists do not.
_CUT = re.compile(r"Y?(?P<id>[\w-]{11})_(?P<start>\d+(?:\.\d+)?)_(?P<end>\d+(?:\.\d+)?)", re.ASCII)
_EXTENSION = re.compile(
    r"\.(?=\w*[A-Za-z])\w{2,5}$", re.ASCII
)  # holds a letter: the `.000` of a bare name is no extension

_BRACKETED = re.compile(r"\[([\w-]{11})\]$", re.ASCII)  # `Title [id]`, as download tools name files
_DASHED = re.compile(r"-([\w-]{11})$", re.ASCII)  # `Title-id`, as they used to


@dataclass(frozen=True)
class ClipName:
    """A part of a YouTube video, in seconds."""

    id: str
    start: float
    end: float

    def __str__(self) -> str:
        return f"{self.id}_{self.start:.3f}_{self.end:.3f}"


def stem_of(name: str) -> str:
    """The name without folders and without the extension of a media file."""
    return _EXTENSION.sub("", name.strip().replace("\\", "/").rsplit("/", 1)[-1])


def parse_name(name: str) -> ClipName | None:
    """Id, start and end of a clip's name, with or without folders, `Y` and extension; None for other names."""
    match = _CUT.fullmatch(stem_of(name))
    if match is None or float(match["end"]) <= float(match["start"]):
        return None
    return ClipName(match["id"], float(match["start"]), float(match["end"]))


def clip_key(name: str) -> str:
    """One spelling for every way of naming the same clip, so that tables and files find each other."""
    parsed = parse_name(name)
    return str(parsed) if parsed else stem_of(name)


def public_name(name: str) -> str:
    """The name as lists and submissions have it: no `Y`, ends in `.wav`."""
    return f"{clip_key(name)}.wav"


def video_ids(name: str) -> Iterator[str]:
    """The ids that the name of a whole video could mean, the likeliest first."""
    stem = stem_of(name)
    if re.fullmatch(r"[\w-]{11}", stem, re.ASCII):
        yield stem
    if re.fullmatch(r"Y[\w-]{11}", stem, re.ASCII):
        yield stem[1:]
    for pattern in (_BRACKETED, _DASHED):
        match = pattern.search(stem)
        if match:
            yield match[1]

"""What a clip's name says: the YouTube id and the seconds that were cut out of the video."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Ids are 11 characters and may hold `_` and `-`: they are counted, never split. Files on disk carry a `Y` in front, lists do not.
_CUT = re.compile(r"Y?(?P<id>[\w-]{11})_(?P<start>\d+(?:\.\d+)?)_(?P<end>\d+(?:\.\d+)?)", re.ASCII)
_EXTENSION = re.compile(r"\.(?=\w*[A-Za-z])\w{2,5}$", re.ASCII)  # holds a letter: the `.000` of a bare name is no extension


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

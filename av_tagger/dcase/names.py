"""Clip names: the YouTube id and the part of the video, in seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Ids have 11 characters, `_` and `-` included. Files on disk have a leading `Y`, lists do not.
_CUT = re.compile(r"Y?(?P<id>[\w-]{11})_(?P<start>\d+(?:\.\d+)?)_(?P<end>\d+(?:\.\d+)?)", re.ASCII)
_START = re.compile(r"Y?(?P<id>[\w-]{11})_(?P<start>\d+)", re.ASCII)  # VGGSound: `id_000030`
SAME_LENGTH = 0.5  # seconds by which a cut clip may differ from its listed length
_LEAST_MILLISECONDS = 1000  # `id_30000_40000`: integers so far apart are milliseconds
# An extension has a letter: the `.000` of a bare name is none.
_EXTENSION = re.compile(r"\.(?=\w*[A-Za-z])\w{2,5}$", re.ASCII)
# `Title [id]`, `Title [id].f137`: newer download tools
_BRACKETED = re.compile(r"\[([\w-]{11})\](?:\.\w+)?$", re.ASCII)
_DASHED = re.compile(r"-([\w-]{11})$", re.ASCII)  # `Title-id`: older ones


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
    """Id, start and end in a name, with or without folders, `Y` and extension; else None.

    `id_30000_40000` has milliseconds, as the names of some download tools for AudioSet.
    """
    match = _CUT.fullmatch(stem_of(name))
    if match is None or float(match["end"]) <= float(match["start"]):
        return None
    start, end = float(match["start"]), float(match["end"])
    if (match["start"] + match["end"]).isdigit() and end - start >= _LEAST_MILLISECONDS:
        start, end = start / 1000, end / 1000
    return ClipName(match["id"], start, end)


def parse_start(name: str) -> tuple[str, float] | None:
    """Id and start of names without an end: `id_000030`, `id_30`. Only a list tells the end."""
    match = _START.fullmatch(stem_of(name))
    return None if match is None else (match["id"], float(match["start"]))


def clip_key(name: str) -> str:
    """One spelling for all names of a clip, so that tables and files match."""
    parsed = parse_name(name)
    return str(parsed) if parsed else stem_of(name)


def public_name(name: str) -> str:
    """The name in lists and submissions: no `Y`, ends in `.wav`."""
    return f"{clip_key(name)}.wav"


def video_ids(name: str) -> Iterator[str]:
    """The ids that the name of a whole video can contain, the likeliest first."""
    stem = stem_of(name)
    if re.fullmatch(r"[\w-]{11}", stem, re.ASCII):
        yield stem
    if re.fullmatch(r"Y[\w-]{11}", stem, re.ASCII):
        yield stem[1:]
    for pattern in (_BRACKETED, _DASHED):
        match = pattern.search(stem)
        if match:
            yield match[1]

"""Media that are no file yet: addresses, standard input and open files, copied to a folder."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from av_tagger import download
from av_tagger.clip import Clip
from av_tagger.errors import AvTaggerError, MediaError

Progress = Callable[[int, int | None], None]
Source = str | Path | Clip | IO[bytes]

STDIN = "-"
FETCHED = ("http", "https")
OFFLINE = "AV_TAGGER_OFFLINE"


def named(source: Source) -> Clip:
    """The clip that stands for a source in messages and results."""
    if isinstance(source, Clip):
        return source
    if not isinstance(source, str | Path):
        return Clip(Path(_name_of(source)))
    return Clip.of(source)


@contextmanager
def at_hand(source: Source, *, offline: bool = False) -> Iterator[Clip]:
    """The source as a clip with a file, which is deleted afterwards if it is a copy."""
    clip = named(source)
    if isinstance(source, Clip) or (isinstance(source, str | Path) and not clip.source):
        yield clip
        return
    with tempfile.TemporaryDirectory(prefix="av-tagger-") as folder:
        if isinstance(source, str | Path):
            yield fetched(clip.source, Path(folder), offline=offline)
        else:
            yield _opened(source, Path(folder))


def fetched(
    address: str, folder: Path, *, offline: bool = False, progress: Progress | None = None
) -> Clip:
    """Download an address into a folder; the clip keeps the address as its source."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme.lower() == "file":
        return Clip(Path(urllib.request.url2pathname(parts.path)))
    if parts.scheme.lower() not in FETCHED:
        remedy = f"send it through a pipe: ffmpeg -i {address} -t 60 -f matroska - | av-tag -"
        raise MediaError(address, "only http and https are opened", remedy)
    if offline or os.environ.get(OFFLINE):
        reason = "--offline forbids a download"
        raise MediaError(address, reason, "download it elsewhere, and name the file")
    target = folder / (Path(urllib.parse.unquote(parts.path)).name[-80:] or "download")
    try:
        download.fetch([address], target, download.ExpectedFile(), progress)
    except AvTaggerError as error:
        reason = f"cannot be downloaded ({_why(error)})"
        remedy = "check address and network, or download it elsewhere and name the file"
        raise MediaError(address, reason, remedy) from error
    return Clip(target, source=address)


def saved(stream: IO[bytes], folder: Path, name: str = STDIN) -> Clip:
    """Copy a stream to a file: FFmpeg must be able to go back in it."""
    target = folder / "media"
    with target.open("wb") as file:
        shutil.copyfileobj(stream, file)
    if not target.stat().st_size:
        whole = "standard input" if name == STDIN else name
        raise MediaError(whole, "is empty (0 bytes)", "send a film: cat film.mp4 | av-tag -")
    return Clip(target, source=name)


def _opened(stream: IO[bytes], folder: Path) -> Clip:
    """The file itself if it is read from its start, else a copy of the rest."""
    path = Path(_name_of(stream))
    try:
        at_start = stream.tell() == 0
    except (OSError, ValueError):
        at_start = False
    return Clip(path) if at_start and path.is_file() else saved(stream, folder, path.name)


def _name_of(stream: Any) -> str:
    name = getattr(stream, "name", None)
    return name if isinstance(name, str) else "open file"


def _why(error: AvTaggerError) -> str:
    """The reason alone: `name: cannot be downloaded (host: reason)` without what is around it."""
    found = re.search(r"\((.*)\)", str(error), re.DOTALL)
    return found[1] if found else str(error)

"""Finding the media files of listed clips: cut clips or whole videos, under any usual name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.clip import Clip
from av_tagger.dcase.names import SAME_LENGTH, clip_key, parse_start, video_ids
from av_tagger.errors import UsageError

if TYPE_CHECKING:
    from av_tagger.dcase.tables import ListedClip

Length = Callable[[Path], float | None]  # seconds of a media file; None: unknown

_AUDIO = frozenset(
    "wav flac ogg oga opus mp3 m4a aac wma aif aiff ac3 amr caf mka".split()  # noqa: SIM905
)
_TEXT = frozenset(
    "csv tsv txt json jsonl xml html md toml yaml yml log vtt srt description".split()  # noqa: SIM905
)
_NO_MEDIA = _TEXT | {"part", "ytdl", "tmp", "jpg", "jpeg", "png", "webp", "npy", "npz", "h5"}


@dataclass(frozen=True)
class FoundClips:
    """The clips that were found, each with the file to open, and those that were not."""

    clips: tuple[tuple[ListedClip, Clip], ...]
    missing: tuple[ListedClip, ...]
    by_length: tuple[ListedClip, ...] = ()
    """Files named like whole videos but as long as the clip: taken for the cut clip."""
    unreadable: tuple[Path, ...] = ()
    """Folders that could not be read: what is in them counts as missing."""


@dataclass(frozen=True)
class _Candidate:
    rank: tuple[int, int, int, str]  # smaller is better
    path: Path
    whole: bool  # named like a whole video, not like a cut clip


@dataclass(frozen=True)
class _Wanted:
    """The names under which the listed clips can be found."""

    keys: frozenset[str]
    ids: Counter[str]  # listed clips per video
    starts: dict[tuple[str, float], str]  # by id and start: the key

    @classmethod
    def of(cls, rows: Sequence[ListedClip]) -> _Wanted:
        named = [(row.name, row.key) for row in rows if row.name]
        return cls(
            frozenset(row.key for row in rows),
            Counter(name.id for name, _ in named),
            {(name.id, name.start): key for name, key in named},
        )


def find_clips(
    rows: Iterable[ListedClip], folders: Sequence[Path], length: Length | None = None
) -> FoundClips:
    """The best file per clip: a cut video, then a whole video, then cut sound, then whole sound.

    A file named only by its id is the cut clip if `length` says that it is as long as the only
    clip of that id. Empty files are taken last.
    """
    listed = tuple(rows)
    wanted = _Wanted.of(listed)
    unreadable: list[Path] = []
    best = _index(wanted, folders, unreadable)
    clips: list[tuple[ListedClip, Clip]] = []
    missing: list[ListedClip] = []
    by_length: list[ListedClip] = []
    for row in listed:
        slots = [row.key, *([_whole(row.name.id)] if row.name else [])]
        choices = [best[slot] for slot in slots if slot in best]
        if not choices:
            missing.append(row)
            continue
        chosen = min(choices, key=lambda c: c.rank)
        if chosen.whole and _is_cut(row, chosen.path, wanted, length):
            by_length.append(row)
            clips.append((row, Clip(chosen.path)))
        else:
            clips.append((row, _clip(row, chosen)))
    return FoundClips(tuple(clips), tuple(missing), tuple(by_length), tuple(unreadable))


def _is_cut(row: ListedClip, path: Path, wanted: _Wanted, length: Length | None) -> bool:
    """Whether a file named by its id alone is the clip, by its length; never if several fit."""
    if length is None or row.name is None or wanted.ids[row.name.id] > 1 or not row.name.start:
        return False
    seconds = length(path)
    listed = row.name.end - row.name.start
    return seconds is not None and abs(seconds - listed) <= SAME_LENGTH


def _whole(video: str) -> str:
    """The slot of a whole video; no clip key contains a slash."""
    return f"{video}/whole"


def _clip(row: ListedClip, candidate: _Candidate) -> Clip:
    if candidate.whole and row.name:
        return Clip(candidate.path, row.name.start, row.name.end)
    return Clip(candidate.path)


def _index(
    wanted: _Wanted, folders: Sequence[Path], unreadable: list[Path]
) -> dict[str, _Candidate]:
    best: dict[str, _Candidate] = {}
    for path in _files(folders, unreadable):
        for slot, whole in _slots(path, wanted):
            sound = path.suffix[1:].casefold() in _AUDIO
            rank = (int(_is_empty(path)), int(sound), int(whole), str(path))
            candidate = _Candidate(rank, path, whole)
            if slot not in best or candidate.rank < best[slot].rank:
                best[slot] = candidate
    return best


def _is_empty(path: Path) -> bool:
    with suppress(OSError):
        return path.stat().st_size == 0
    return True


def _slots(path: Path, wanted: _Wanted) -> Iterator[tuple[str, bool]]:
    """The wanted clip or video that this file can be, and whether it is the whole video."""
    key = clip_key(path.name)
    if key not in wanted.keys:
        key = wanted.starts.get(parse_start(path.name) or ("", 0.0), key)
    if key in wanted.keys:
        yield key, False
        return
    for video in video_ids(path.name):
        if video in wanted.ids:
            yield _whole(video), True
            return


def _files(folders: Sequence[Path], unreadable: list[Path]) -> Iterator[Path]:
    """Files in the folders and below them, also behind links; each folder once, by name.

    Not recursive, as folders may be nested thousands deep.
    """
    visited: set[tuple[int, int]] = set()
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: is not a folder; name the folders of the clips")
        waiting = [folder]
        while waiting:
            place = waiting.pop()
            try:
                below, names = _listing(place, visited)
            except OSError:
                unreadable.append(place)
                continue
            yield from (place / name for name in names if _may_be_media(name))
            waiting += [place / name for name in reversed(below)]


def _listing(folder: Path, visited: set[tuple[int, int]]) -> tuple[list[str], list[str]]:
    """The names of the folders and of the files in a folder; none if it was visited."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in visited:
        return [], []
    visited.add((status.st_dev, status.st_ino))
    below: list[str] = []
    names: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            (below if entry.is_dir() else names).append(entry.name)
    return sorted(below), sorted(names)


def _may_be_media(name: str) -> bool:
    return not name.startswith(".") and name.rsplit(".", 1)[-1].casefold() not in _NO_MEDIA

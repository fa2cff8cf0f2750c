"""Finding listed clips among a user's files: cut clips or whole videos, with or without `Y`, whatever the extension."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.clip import Clip
from av_tagger.dcase.names import clip_key, video_ids
from av_tagger.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from av_tagger.dcase.tables import ListedClip

_AUDIO = frozenset(
    {
        "wav",
        "flac",
        "ogg",
        "oga",
        "opus",
        "mp3",
        "m4a",
        "aac",
        "wma",
        "aif",
        "aiff",
        "ac3",
        "amr",
        "caf",
        "mka",
    }
)
_TEXT = frozenset(
    {
        "csv",
        "tsv",
        "txt",
        "json",
        "jsonl",
        "xml",
        "html",
        "md",
        "toml",
        "yaml",
        "yml",
        "log",
        "vtt",
        "srt",
        "description",
    }
)
_NO_MEDIA = _TEXT | {"part", "ytdl", "tmp", "jpg", "jpeg", "png", "webp", "npy", "npz", "h5"}


@dataclass(frozen=True)
class FoundClips:
    """Which listed clips are here, as what to open, and which are not."""

    clips: tuple[tuple[ListedClip, Clip], ...]
    missing: tuple[ListedClip, ...]


@dataclass(frozen=True)
class _Candidate:
    rank: tuple[int, int, str]  # smaller is better
    path: Path
    whole: bool


def find_clips(rows: Iterable[ListedClip], folders: Sequence[Path]) -> FoundClips:
    """The best file for each clip: a cut video, then a whole video, then cut sound, then whole sound."""
    wanted = tuple(rows)
    ids = {row.name.id for row in wanted if row.name}
    best = _index({row.key for row in wanted}, ids, folders)
    clips: list[tuple[ListedClip, Clip]] = []
    missing: list[ListedClip] = []
    for row in wanted:
        choices = [
            c
            for c in (best.get(row.key), best.get(f"{row.name.id}/whole") if row.name else None)
            if c
        ]
        if choices:
            clips.append((row, _clip(row, min(choices, key=lambda c: c.rank))))
        else:
            missing.append(row)
    return FoundClips(tuple(clips), tuple(missing))


def _clip(row: ListedClip, candidate: _Candidate) -> Clip:
    if candidate.whole and row.name:
        return Clip(candidate.path, row.name.start, row.name.end)
    return Clip(candidate.path)


def _index(keys: set[str], ids: set[str], folders: Sequence[Path]) -> dict[str, _Candidate]:
    best: dict[str, _Candidate] = {}
    for path in _files(folders):
        for slot, whole in _slots(path, keys, ids):
            sound = path.suffix[1:].casefold() in _AUDIO
            candidate = _Candidate((int(sound), int(whole), str(path)), path, whole)
            if slot not in best or candidate.rank < best[slot].rank:
                best[slot] = candidate
    return best


def _slots(path: Path, keys: set[str], ids: set[str]) -> Iterator[tuple[str, bool]]:
    """What this file could be: a wanted cut clip, or the whole of a wanted video."""
    key = clip_key(path.name)
    if key in keys:
        yield key, False
        return
    for wanted in video_ids(path.name):
        if wanted in ids:
            yield f"{wanted}/whole", True
            return


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: is not a folder; name the folders that hold the clips")
        for where, below, names in os.walk(folder, followlinks=False):
            below.sort()
            yield from (Path(where, name) for name in sorted(names) if _may_be_media(name))


def _may_be_media(name: str) -> bool:
    return not name.startswith(".") and name.rsplit(".", 1)[-1].casefold() not in _NO_MEDIA

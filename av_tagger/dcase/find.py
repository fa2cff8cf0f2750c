"""Finding the media files of listed clips: cut clips or whole videos, under any usual name."""

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


@dataclass(frozen=True)
class _Candidate:
    rank: tuple[int, int, str]  # smaller is better
    path: Path
    whole: bool  # a whole video, not a cut clip


def find_clips(rows: Iterable[ListedClip], folders: Sequence[Path]) -> FoundClips:
    """The best file per clip: a cut video, then a whole video, then cut sound, then whole sound."""
    wanted = tuple(rows)
    ids = {row.name.id for row in wanted if row.name}
    best = _index({row.key for row in wanted}, ids, folders)
    clips: list[tuple[ListedClip, Clip]] = []
    missing: list[ListedClip] = []
    for row in wanted:
        slots = [row.key, *([_whole(row.name.id)] if row.name else [])]
        choices = [best[slot] for slot in slots if slot in best]
        if choices:
            clips.append((row, _clip(row, min(choices, key=lambda c: c.rank))))
        else:
            missing.append(row)
    return FoundClips(tuple(clips), tuple(missing))


def _whole(video: str) -> str:
    """The slot of a whole video; no clip key contains a slash."""
    return f"{video}/whole"


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
    """The wanted clip or video that this file can be, and whether it is the whole video."""
    key = clip_key(path.name)
    if key in keys:
        yield key, False
        return
    for wanted in video_ids(path.name):
        if wanted in ids:
            yield _whole(wanted), True
            return


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: is not a folder; name the folders of the clips")
        for where, below, names in os.walk(folder, followlinks=False):
            below.sort()
            yield from (Path(where, name) for name in sorted(names) if _may_be_media(name))


def _may_be_media(name: str) -> bool:
    return not name.startswith(".") and name.rsplit(".", 1)[-1].casefold() not in _NO_MEDIA

"""Folders, glob patterns, lists of paths and DCASE lists to items, one at a time."""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from av_tagger.clip import Clip, is_address
from av_tagger.dcase import find_clips, public_name, read_list
from av_tagger.errors import AvTaggerError, StorageError, UsageError
from av_tagger.media import probe
from av_tagger.media.find import MAGIC, find_media
from av_tagger.media.paths import exists, is_file
from av_tagger.media.suffixes import MEDIA
from av_tagger.runner.job import Item

Say = Callable[[str], None]
LISTS = frozenset({".txt", ".lst", ".list", ".csv", ".tsv", ".m3u", ".m3u8"})


def items(
    inputs: Sequence[str],
    media: Sequence[Path] = (),
    skipped: list[Path] | None = None,
    say: Say | None = None,
) -> Iterator[Item]:
    """Items in the order of the inputs; a DCASE list needs `media`, the folders of its clips.

    Files of folders that are not media are appended to `skipped`; `say` is called with a remark on
    the files that were taken for clips of a list.
    """
    if not inputs:
        raise UsageError(
            "name a folder, files, a pattern or a list of files, as in: av-tag batch FOLDER -o RUN"
        )
    for word in inputs:
        path = Path(word)
        if word == "-":
            yield from _plain(sys.stdin, Path())
        elif is_file(path) and path.suffix.lower() in LISTS:
            yield from _listed(path, media, say)
        else:
            yield from (Item(Clip(found)) for found in find_media([word], skipped))


def check_inputs(inputs: Sequence[str], media: Sequence[Path]) -> None:
    """UsageError for missing inputs; a missing media file becomes a failed clip instead."""
    for word in inputs:
        path = Path(word)
        if is_address(word):
            raise UsageError(f"{word}: a batch takes files; download it first, or: av-tag {word}")
        if word == "-" or exists(path) or MAGIC & set(word) or path.suffix.lower() in MEDIA:
            continue
        remedy = "check the name, or name a folder, a pattern or a list of files"
        raise UsageError(f"{word}: there is no such file or folder; {remedy}")
    for folder in media:
        if not folder.is_dir():
            remedy = "name the folder of the list's clips with --media"
            raise UsageError(f"{folder}: there is no such folder; {remedy}")


def at_least_one(found: Iterator[Item]) -> Iterator[Item]:
    """The same items; UsageError if there are none."""
    first = next(found, None)
    if first is None:
        raise UsageError("there is nothing to do: the inputs have no clips")
    return itertools.chain([first], found)


def _listed(path: Path, media: Sequence[Path], say: Say | None) -> Iterator[Item]:
    if media:
        yield from _official(path, media, say)
        return
    try:
        if _looks_official(path):
            raise UsageError(f"{path}: is a DCASE list; name the folder of its clips with --media")
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
            yield from _plain(lines, path.parent)
    except OSError as error:
        raise StorageError(
            f"{path}: the list cannot be read ({error.strerror}); check its permissions"
        ) from error


def _plain(lines: Iterable[str], folder: Path) -> Iterator[Item]:
    """One path per line, relative to here or the list; blank lines and # comments are skipped."""
    for line in lines:
        name = line.strip("\r\n")
        if not name.strip() or name.startswith("#"):
            continue
        if is_address(name):
            raise UsageError(f"{name}: a batch takes files; download it first, and list the file")
        path = Path(name)
        beside = folder / path  # the path itself if it is absolute
        is_beside = exists(beside) and not exists(path)  # False if too long
        yield Item(Clip(beside if is_beside else path))


def _looks_official(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        first = next((line.strip() for line in lines if line.strip()), "")
    if Path(first).suffix.lower() in MEDIA and "\t" not in first:
        return False
    cells = (
        first.split("\t") if "\t" in first else next(csv.reader([first], skipinitialspace=True), [])
    )
    return len(cells) >= 3 and all(_is_number(cell) for cell in cells[1:3])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _official(path: Path, media: Sequence[Path], say: Say | None) -> Iterator[Item]:
    """Every clip of a DCASE list in its order; clips without a file are items, too."""
    rows = read_list(path)
    result = find_clips(rows, media, _seconds)
    if say is not None and result.by_length:
        say(_taken(path, [row.key for row in result.by_length]))
    if say is not None and result.unreadable:
        say(_unreadable(result.unreadable))
    found = {row.key: clip for row, clip in result.clips}
    for row in rows:
        name = public_name(row.key)
        clip = found.get(row.key)
        yield Item(Clip(Path(name)), name, "missing") if clip is None else Item(clip, name)


def _seconds(path: Path) -> float | None:
    """The length that the container states; None if it cannot be read."""
    try:
        return probe(path).duration_seconds
    except AvTaggerError:
        return None


def _unreadable(folders: Sequence[Path]) -> str:
    more = f" and {len(folders) - 1} more" if len(folders) > 1 else ""
    return f"{folders[0]}{more}: cannot be read; clips in there count as missing"


def _taken(path: Path, keys: Sequence[str]) -> str:
    files = "file is" if len(keys) == 1 else "files are"
    return (
        f"{path}: {len(keys)} {files} named by the id alone, but as long as the listed clip;"
        f" taken for the cut clip, such as {keys[0]}"
    )

"""Media files from names, folders and glob patterns."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from av_tagger.errors import MediaError
from av_tagger.media.paths import check_path, exists, is_file, is_folder
from av_tagger.media.suffixes import MEDIA, OTHER

MAGIC = frozenset("*?[")
KINDS_SHOWN = 4


def find_media(names: Iterable[Path | str], skipped: list[Path] | None = None) -> list[Path]:
    """Files as named, folders searched recursively, patterns expanded; each once, sorted by name.

    A named file is taken whatever its suffix is; a missing one is left for the decoder to report,
    so that the others are still tagged. So is a folder within another that cannot be read. Of a
    folder's files those with an unknown suffix, or none, are opened to see whether they are media;
    files that are not are appended to `skipped`. Two names of one file (links, `..`) are one: the
    first in order.
    """
    left_out: list[Path] = [] if skipped is None else skipped
    found: dict[Path, None] = {}
    for name in names:
        found.update(dict.fromkeys(_expand(Path(name), left_out)))
    once: dict[str, Path] = {}
    for path in sorted(found):
        once.setdefault(os.path.realpath(path), path)
    return list(once.values())


def in_words(skipped: Sequence[Path]) -> str:
    """One line about files that are not media: how many there are of each suffix."""
    counts = Counter(path.suffix.lower() or "no suffix" for path in skipped)
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kinds = [f"{count} {kind}" for kind, count in common[:KINDS_SHOWN]]
    more = len(counts) - KINDS_SHOWN
    rest = [f"{more} other kinds"] if more > 0 else []
    files = f"{len(skipped)} file{'s are' if len(skipped) > 1 else ' is'}"
    return f"skipped: {files} not media ({', '.join(kinds + rest)})"


def _expand(path: Path, skipped: list[Path]) -> list[Path]:
    if is_folder(path):
        return _inside(path, skipped)
    if exists(path) or not MAGIC & set(str(path)):
        return [path]
    try:
        matches = [Path(match) for match in glob.glob(str(path.expanduser()), recursive=True)]  # noqa: PTH207 - Path.glob takes no absolute pattern
    except RecursionError as error:
        reason = "folders are nested too deeply for this pattern"
        raise MediaError(path, reason, "name the folder itself") from error
    files = [match for match in matches if match.is_file()]
    for folder in (match for match in matches if match.is_dir()):
        files += _walk(folder, skipped)
    if not files:
        raise MediaError(
            path,
            "no file matches this pattern",
            "check it, and quote it to keep the shell from expanding it",
        )
    return files


def _inside(folder: Path, skipped: list[Path]) -> list[Path]:
    others: list[Path] = []
    files = _walk(folder, others)
    if folder in files:
        check_path(folder)
    if not files:
        what = f" ({len(others)} other file{'s' * (len(others) > 1)})" if others else ""
        raise MediaError(
            folder,
            f"this folder holds no media files{what}",
            "name a folder with video or audio files",
        )
    skipped += others
    return files


def _walk(folder: Path, skipped: list[Path]) -> list[Path]:
    """Media files, and folders that cannot be read, whose errors `check_path` explains."""
    found: list[Path] = []
    waiting = [folder]
    while waiting:  # not recursive, as os.walk is: folders may be nested thousands deep
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    path = Path(entry.path)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
                    elif not path.name.startswith(".") and is_file(path):
                        (found if _is_media(path) else skipped).append(path)
        except OSError:
            found.append(place)
    return found


def _is_media(path: Path) -> bool:
    """By its suffix; without a known one by what is inside."""
    suffix = path.suffix.lower()
    if suffix in MEDIA or suffix in OTHER:
        return suffix in MEDIA
    from av_tagger.media.decoder_pool import decoder_pool

    return decoder_pool().holds_media(path)

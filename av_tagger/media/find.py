"""Media files from names, folders and glob patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from av_tagger.errors import MediaError
from av_tagger.media.paths import check_path, exists, is_file, is_folder

VIDEO = frozenset(
    {
        ".3g2",
        ".3gp",
        ".asf",
        ".avi",
        ".f4v",
        ".flv",
        ".h264",
        ".h265",
        ".hevc",
        ".ivf",
        ".m1v",
        ".m2ts",
        ".m2v",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".ogv",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
    }
)
SOUND = frozenset(
    {
        ".aac",
        ".ac3",
        ".aif",
        ".aifc",
        ".aiff",
        ".alac",
        ".amr",
        ".ape",
        ".au",
        ".caf",
        ".eac3",
        ".flac",
        ".m4a",
        ".m4b",
        ".mka",
        ".mp2",
        ".mp3",
        ".oga",
        ".ogg",
        ".opus",
        ".wav",
        ".wma",
        ".wv",
    }
)
MEDIA = VIDEO | SOUND
MAGIC = frozenset("*?[")


def find_media(names: Iterable[Path | str]) -> list[Path]:
    """Files as named, folders searched recursively, patterns expanded; each once, sorted by name.

    A named file is taken whatever its suffix is; a missing one is left for the decoder to report,
    so that the others are still tagged. So is a folder within another that cannot be read. Two
    names of one file (links, `..`) are one: the first in order.
    """
    found: dict[Path, None] = {}
    for name in names:
        found.update(dict.fromkeys(_expand(Path(name))))
    once: dict[str, Path] = {}
    for path in sorted(found):
        once.setdefault(os.path.realpath(path), path)
    return list(once.values())


def _expand(path: Path) -> list[Path]:
    if is_folder(path):
        return _inside(path)
    if exists(path) or not MAGIC & set(str(path)):
        return [path]
    try:
        matches = [Path(match) for match in glob.glob(str(path.expanduser()), recursive=True)]  # noqa: PTH207 - Path.glob takes no absolute pattern
    except RecursionError as error:
        reason = "folders are nested too deeply for this pattern"
        raise MediaError(path, reason, "name the folder itself") from error
    files = [match for match in matches if match.is_file()]
    for folder in (match for match in matches if match.is_dir()):
        files += _walk(folder)
    if not files:
        raise MediaError(
            path,
            "no file matches this pattern",
            "check it, and quote it to keep the shell from expanding it",
        )
    return files


def _inside(folder: Path) -> list[Path]:
    files = _walk(folder)
    if folder in files:
        check_path(folder)
    if not files:
        raise MediaError(
            folder,
            "this folder holds no media files",
            "name a folder with video or audio files",
        )
    return files


def _walk(folder: Path) -> list[Path]:
    """Media files, and folders that cannot be read, whose errors `check_path` explains."""
    found: list[Path] = []
    waiting = [folder]
    while waiting:  # not recursive, as os.walk is: folders may be nested thousands deep
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    elif _is_media(Path(entry.path)):
                        found.append(Path(entry.path))
        except OSError:
            found.append(place)
    return found


def _is_media(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return not hidden and path.suffix.lower() in MEDIA and is_file(path)

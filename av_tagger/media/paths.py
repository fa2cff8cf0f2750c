"""What a path is, and mistakes that are visible without decoding."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from av_tagger.errors import MediaError

SNIFF_BYTES = 512  # that say whether a file is text
CHECK = "check that it plays in another player, or download it again"


def exists(path: Path) -> bool:
    """False also for paths that are too long; `Path.exists` raises for them."""
    return _mode(path) is not None


def is_file(path: Path) -> bool:
    return (mode := _mode(path)) is not None and stat.S_ISREG(mode)


def is_folder(path: Path) -> bool:
    return (mode := _mode(path)) is not None and stat.S_ISDIR(mode)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return None


def check_path(path: Path) -> None:
    """Raise MediaError for mistakes that are visible without decoding."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise MediaError(path, *_why_unreachable(error)) from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(path, *_why_no_file(path))
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(path, "is not a regular file", "copy its contents into a file first")
    if status.st_size == 0:
        raise MediaError(path, "is empty (0 bytes)", "download or record it again")


def _why_unreachable(error: OSError | ValueError) -> tuple[str, str]:
    if isinstance(error, FileNotFoundError):
        return "there is no such file", "check the name"
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return "it cannot be reached: its path is too long for this system", "rename or move it"
    text = error.strerror if isinstance(error, OSError) else error
    return f"it cannot be reached ({text})", "check the name"


def _why_no_file(folder: Path) -> tuple[str, str]:
    try:
        with os.scandir(folder):
            return "is a folder, not a media file", "name a file in it"
    except OSError as error:
        return f"this folder cannot be read ({error.strerror})", "check its permissions"


def refuse_text(path: Path) -> None:
    """FFmpeg would take some texts for CD graphics, and playlists for the files they name."""
    try:
        with path.open("rb") as file:
            head = file.read(SNIFF_BYTES)
    except OSError as problem:
        raise MediaError(path, f"cannot be read ({problem})", "check its permissions") from problem
    if looks_like_text(head):
        raise MediaError(
            path, "is text, not media, whatever its name says", "name a video or sound file"
        )


def looks_like_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    printable = sum(byte >= 32 or byte in b"\t\n\r\f" for byte in head)
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # the last character may be cut
            return False
    return printable >= 0.95 * len(head)

"""File formats of films that can be written, by suffix."""

from __future__ import annotations

from pathlib import Path

from av_tagger.errors import UsageError

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mkv": "matroska", ".mov": "mov"}


def check_film(path: Path) -> None:
    """UsageError for a suffix whose format is not written: its name would be wrong."""
    if path.suffix.lower() not in CONTAINERS:
        known = ", ".join(CONTAINERS)
        raise UsageError(f"{path}: films are written as {known}; give it one of these suffixes")


def container_of(path: Path) -> str:
    """FFmpeg's name of the format; mp4 for a name without a known suffix."""
    return CONTAINERS.get(path.suffix.lower(), "mp4")

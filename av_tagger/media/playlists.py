"""Playlists (M3U, PLS): the files and addresses that they name."""

from __future__ import annotations

from pathlib import Path

from av_tagger.clip import is_address
from av_tagger.errors import MediaError

PLAYLISTS = frozenset({".m3u", ".m3u8", ".pls"})
MOST_BYTES = 10_000_000
STREAM = "#EXT-X-"  # tags of HLS: the lines are pieces of one film, not films


def is_playlist(path: Path) -> bool:
    return path.suffix.lower() in PLAYLISTS and path.is_file()


def read_playlist(path: Path) -> list[str]:
    """Entries in their order; relative paths are relative to the playlist's folder."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = f"the playlist cannot be read ({error.strerror})"
        raise MediaError(path, reason, "check its permissions") from error
    if len(data) > MOST_BYTES or b"\0" in data:
        raise MediaError(path, "is not a playlist", "name a text file with one file per line")
    text = _text(data)
    if STREAM in text:
        remedy = f"join it into one file first: ffmpeg -i {path.name} -c copy film.mkv"
        raise MediaError(path, "lists the pieces of one stream (HLS)", remedy)
    lines = [line.strip() for line in text.splitlines()]
    found = _of_pls(lines) if path.suffix.lower() == ".pls" else _of_m3u(lines)
    if not found:
        raise MediaError(path, "is a playlist without entries", "name a playlist with files")
    return [line if is_address(line) else str(path.parent / line) for line in found]


def _text(data: bytes) -> str:
    """UTF-8, or Latin-1 as in old M3U files."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _of_m3u(lines: list[str]) -> list[str]:
    return [line for line in lines if line and not line.startswith("#")]


def _of_pls(lines: list[str]) -> list[str]:
    """`File1=...`, in the order of the lines."""
    pairs = [line.partition("=") for line in lines]
    return [value.strip() for key, sign, value in pairs if sign and key.lower().startswith("file")]

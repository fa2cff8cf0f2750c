"""Checksums of large files, remembered in the cache."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from av_tagger import cache, download
from av_tagger.errors import StorageError, sentence


def sha256_of(path: Path) -> str:
    """The checksum; remembered in the cache by path, size and time of change."""
    state = path.stat()
    key = f"{path.resolve()}|{state.st_size}|{state.st_mtime_ns}"
    memo = cache.folder("checksums") / hashlib.sha256(key.encode()).hexdigest()[:32]
    with suppress(OSError, ValueError):
        known = memo.read_text(encoding="ascii")
        if download.SHA256.fullmatch(known):
            return known
    digest = _read_all(path)
    part = memo.with_suffix(f".{os.getpid()}")
    with suppress(OSError):  # a cache that cannot be written costs time only
        memo.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(digest, encoding="ascii")
        part.replace(memo)
    return digest


def _read_all(path: Path) -> str:
    try:
        return download.sha256_of(path)
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise StorageError(sentence(path, reason, "check its permissions")) from error

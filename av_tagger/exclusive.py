"""A file that one process at a time makes, with errors of the disk in one sentence."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from av_tagger.errors import StorageError, sentence


@contextlib.contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Hold a lock beside the target, whose folder is made first; OSError becomes StorageError."""
    with _disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.with_name(target.name + ".lock").open("ab") as file:
            _hold(file)  # until the file is closed or the process ends
            yield


@contextlib.contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space" if full else "check the folder's permissions"
        where = f"{remedy}, or set $AV_TAGGER_CACHE to another folder"
        reason = f"cannot be written ({error.strerror or error})"
        raise StorageError(sentence(target.parent, reason, where)) from error


try:
    import fcntl

    def _hold(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)

except ImportError:  # Windows
    import msvcrt

    def _hold(file: IO[bytes]) -> None:
        while True:
            try:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined,unused-ignore]
            except OSError:
                continue  # it waits ten seconds, then gives up
            else:
                return

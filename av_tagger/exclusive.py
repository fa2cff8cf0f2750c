"""A file that one process at a time makes, with errors of the disk in one sentence."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from av_tagger.errors import StorageError, sentence
from av_tagger.systems import lock_when_free


@contextlib.contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Hold a lock beside the target, whose folder is made first; OSError becomes StorageError."""
    with _disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.with_name(target.name + ".lock").open("ab") as file:
            lock_when_free(file)  # until the file is closed or the process ends
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

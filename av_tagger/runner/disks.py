"""A file that cannot be read: whether it alone is gone, or the disk that holds all of them."""

from __future__ import annotations

from pathlib import Path

from av_tagger.errors import StorageError
from av_tagger.runner.job import Job


def check_disk(job: Job) -> None:
    """A missing file fails alone; if its folder is gone or empty, the disk is: StorageError."""
    path = job.clip.path
    if not job.was_there or _exists(path) or _has_entries(path.parent):
        return
    raise StorageError(
        f"{path.parent}: was there when the run began and is gone; "
        "bring it back and run the same command again"
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a stale handle, a broken disk
        return False


def _has_entries(folder: Path) -> bool:
    try:
        return any(True for _ in folder.iterdir())
    except OSError:
        return False

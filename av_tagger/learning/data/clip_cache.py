"""A cache of arrays computed from clips: one file per clip, shared by all runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip
from av_tagger.errors import StorageError, sentence

Rows = NDArray[np.float32]  # (rows, width)


@dataclass(frozen=True)
class ClipCache:
    """Arrays in `folder`; `key` names what made them, such as an ear and a version."""

    folder: Path
    key: tuple[str | int, ...]

    def get(self, clip: Clip, make: Callable[[Clip], Rows]) -> Rows:
        """The stored array, or a new one; a damaged file is replaced."""
        file = self.folder / f"{self._name(clip)}.npy"
        try:
            rows: Rows = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError):  # missing or incomplete
            rows = make(clip)
            _write(file, rows)
        return rows

    def _name(self, clip: Clip) -> str:
        stat = clip.path.stat()
        span = (str(clip.path.absolute()), clip.start_seconds, clip.end_seconds)
        facts = (*self.key, *span, stat.st_size, stat.st_mtime_ns)
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _write(file: Path, rows: Rows) -> None:
    part = file.with_suffix(f".{os.getpid()}.npy")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(part, rows)
        part.replace(file)
    except OSError as error:
        reason = f"cannot be written to ({error.strerror})"
        raise StorageError(sentence(file.parent, reason, "free some space")) from error


def offline() -> bool:
    """Whether AV_TAGGER_OFFLINE forbids downloads."""
    return bool(os.environ.get("AV_TAGGER_OFFLINE"))

"""What can go wrong that the user can mend; anything else is a defect and keeps its traceback.

AvTaggerError
├── UsageError      a flag, a setting or a class list that cannot be meant
├── MediaError      a file that is missing, is not media, or breaks while it is read
│   └── TimedOut    a file that took longer than its wall-clock limit
├── WeightsError    weights that are missing, cut short, foreign or of another shape
├── TableError      a line of a table (list, ground truth, manifest) that cannot be read
├── DeviceError     a device that is not there
├── MissingExtra    an optional library that is not installed or cannot be loaded
└── StorageError    a folder that cannot be written, a full disk, a store that is damaged
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class AvTaggerError(Exception):
    """What happened, to which file, and what to do next: one sentence for stderr."""

    kind = "error"


class UsageError(AvTaggerError):
    kind = "usage"


class MediaError(AvTaggerError):
    kind = "media"

    def __init__(self, path: Path | str, reason: str, remedy: str = "") -> None:
        self.path = Path(path)
        self.reason = reason
        self.remedy = remedy
        super().__init__(sentence(path, reason, remedy))

    def __reduce__(self) -> tuple[type[MediaError], tuple[Path, str, str]]:
        """Travels between processes whole."""
        return type(self), (self.path, self.reason, self.remedy)


class TimedOut(MediaError):
    kind = "timeout"


class WeightsError(AvTaggerError):
    kind = "weights"


class TableError(AvTaggerError):
    kind = "table"

    def __init__(self, path: Path | str, line: int, reason: str, expected: str = "") -> None:
        self.path = Path(path)
        self.line = line
        self._parts = (path, line, reason, expected)
        wanted = f"; expected {expected}" if expected else ""
        super().__init__(f"{path}, line {line}: {reason}{wanted}")

    def __reduce__(self) -> tuple[type[TableError], tuple[Path | str, int, str, str]]:
        return type(self), self._parts


class DeviceError(AvTaggerError):
    kind = "device"


class MissingExtra(AvTaggerError):
    kind = "missing library"


class StorageError(AvTaggerError):
    kind = "storage"


def sentence(path: Path | str, reason: str, remedy: str = "") -> str:
    """`clip.mp4: has no audio track; try --only eye`, the one shape of every message about a file."""
    return f"{path}: {reason}" + (f"; {remedy}" if remedy else "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest known word as a half-sentence, or the list of them when nothing is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(names)

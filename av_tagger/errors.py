"""Errors that the user can fix; any other exception is a bug and keeps its traceback.

AvTaggerError
├── UsageError      a wrong flag, setting or class list
├── MediaError      a file that is missing, is not media, or cannot be decoded
│   └── TimedOut    a file that took longer than its time limit
├── WeightsError    weights that are missing, truncated, or do not fit
├── TableError      a line of a table (list, ground truth, manifest) that cannot be read
├── DeviceError     a device that does not exist
├── MissingExtra    an optional library that is not installed or cannot be loaded
└── StorageError    a folder that cannot be written, a full disk, a store that is damaged
"""

from __future__ import annotations

import difflib
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # all but the end of a line
LONG_WORD = re.compile(r"[^\s/]{300,}")  # longer than any name of a file
LONG_QUOTE = re.compile(r"'[^'/]{300,}'")  # a name with spaces, not a path


class AvTaggerError(Exception):
    """What happened, to which file, and what to do next: one sentence for stderr."""

    kind = "error"

    def __init__(self, text: str = "") -> None:
        short = LONG_WORD.sub(lambda word: f"{word[0][:60]}...", text)
        short = LONG_QUOTE.sub(lambda quote: f"{quote[0][:60]}...'", short)
        super().__init__(CONTROL.sub(lambda c: f"\\x{ord(c[0]):02x}", short))


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
        """Pickled with all its parts."""
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
        reason = in_line(reason, LONGEST_REASON)
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


ZIP_ERRORS = (  # what zipfile raises on archives that are damaged, encrypted or made to deceive
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
)
MOST_NAMES = 40  # that are listed as known
LONGEST_TEXT = 1000  # characters of the reason of a sentence
LONGEST_REASON = 300  # characters of what a table or a library is quoted with


def in_line(text: str, most: int) -> str:
    """Words of others for a message: one line, without control characters, not too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else line[:most] + "..."


def sentence(path: Path | str, reason: str, remedy: str = "") -> str:
    """Every message about a file: `clip.mp4: has no audio track; try --only eye`."""
    return f"{path}: {in_line(reason, LONGEST_TEXT)}" + (f"; {remedy}" if remedy else "")


def missing_library(need: str, library: str, error: ImportError, extra: str = "") -> MissingExtra:
    """`Parquet files need pyarrow, which cannot be imported (...); run: pip install pyarrow`.

    `need` is the start of the sentence; the library is named as pip knows it, so that the advice
    also works in a checkout. `extra` is the extra of av-tagger that brings it.
    """
    part = f" (extra {extra!r} of av-tagger)" if extra else ""
    return MissingExtra(
        f"{need} {library}, which cannot be imported ({error}); run: pip install {library}{part}"
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or the known words (some of them) if none is close."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return "known: " + ", ".join(names[:MOST_NAMES]) + more

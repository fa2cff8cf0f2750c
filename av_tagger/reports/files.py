"""Writing report files: completely or not at all, under names that every file system takes."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from av_tagger.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from av_tagger.clip import Clip

_LONGEST = 80  # characters; three bytes each still fit the 255 bytes of common file systems
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins so
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")  # names of devices on Windows


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it if the block succeeds, else is deleted."""
    temporary = path.with_name(f".{path.name[:_LONGEST]}.{os.getpid()}.part")
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a file would replace it
            raise StorageError(f"{path}: is a device or a pipe; name a file to write")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror or error});"
            " choose another folder or free some space"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: Path, pieces: Iterable[str]) -> None:
    """UTF-8 with \\n line ends, piece by piece; characters that are not valid become `?`."""
    with (
        whole(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="replace", newline="") as file,
    ):
        file.writelines(pieces)


def one_line(text: str) -> str:
    """Text for one field: runs of white space and control characters become one space."""
    return " ".join("".join(c if unicodedata.category(c) != "Cc" else " " for c in text).split())


def xml_text(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold; the XML library escapes the others."""
    return _NO_XML.sub("?", text)


def utf8(text: str) -> str:
    """Text without lone surrogates, which have no form in UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def no_formula(cell: str) -> str:
    """A cell of a table that no spreadsheet takes for a formula: with a `'` in front."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def safe_names(clips: Iterable[Clip]) -> list[str]:
    """A file name without suffix per clip, unique also on case-insensitive file systems.

    Names do not depend on the order: equal ones get a few digits of the hash of their path.
    """
    named = [(_safe_name(clip), _digits(clip)) for clip in clips]
    count = Counter(name.casefold() for name, _ in named)
    return _numbered(
        [name if count[name.casefold()] == 1 else f"{name}-{digits}" for name, digits in named]
    )


def _safe_name(clip: Clip) -> str:
    stem = unicodedata.normalize("NFC", clip.path.stem)
    kept = re.sub(r"[^\w.()+-]+", "_", stem, flags=re.UNICODE).strip("._ ") or "clip"
    kept = re.sub(r"[\ud800-\udfff]", "_", kept)[:_LONGEST]
    return ("_" + kept if _RESERVED.fullmatch(kept) else kept) + _part(clip)


def _part(clip: Clip) -> str:
    if clip.start_seconds == 0 and clip.end_seconds is None:
        return ""
    return f"_{clip.start_seconds:g}-" + (
        "end" if clip.end_seconds is None else f"{clip.end_seconds:g}"
    )


def _digits(clip: Clip) -> str:
    try:
        name = clip.name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # no name of a file, but a text that a result may hold
        name = clip.name.encode("utf-8", "surrogatepass")
    return hashlib.sha256(name).hexdigest()[:8]


def _numbered(names: list[str]) -> list[str]:
    """The same clip given twice: the second name ends in -2."""
    taken: Counter[str] = Counter()
    result = []
    for name in names:
        taken[name.casefold()] += 1
        again = taken[name.casefold()]
        result.append(name if again == 1 else f"{name}-{again}")
    return result

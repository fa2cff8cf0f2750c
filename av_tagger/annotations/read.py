"""Which program wrote an annotation file, and reading it."""

from __future__ import annotations

from pathlib import Path

from av_tagger.annotations.files import LONGEST_BYTES, AnnotatedFile, merged
from av_tagger.annotations.formats import (
    AUDACITY,
    FORMATS,
    is_audacity,
    is_event_table,
    is_label_studio,
)
from av_tagger.errors import TableError, UsageError

ELAN_SUFFIX = ".eaf"
_HEAD = 4096  # bytes that tell the format


def is_annotation(path: Path) -> bool:
    """Whether this is a label file of a known format, or a folder of such of Audacity or ELAN."""
    if path.is_dir():
        return bool(_members(path))
    return path.is_file() and _format_of(path) is not None


def read_annotations(path: Path) -> list[AnnotatedFile]:
    """The annotated files in a file or a folder, each once."""
    if not path.is_dir():
        return merged(_read(path))
    files = merged(file for member in _members(path) for file in _read(member))
    if not files:
        raise UsageError(f"{path}: has no label files; expected names such as film{AUDACITY}")
    return files


def _members(folder: Path) -> list[Path]:
    """The label files of a folder; other text files in it are no labels."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name.lower().endswith((AUDACITY, ELAN_SUFFIX))
    )


def _format_of(path: Path) -> str | None:
    """`elan`, `label-studio`, `csv`, `audacity`, or None."""
    if path.suffix.lower() == ELAN_SUFFIX:
        return "elan"
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD).decode("utf-8-sig", "replace")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the name") from error
    if path.suffix.lower() == ".json" and is_label_studio(head):
        return "label-studio"
    if is_event_table(head):
        return "csv"
    named = path.name.lower().endswith(AUDACITY)
    return "audacity" if named or (path.suffix.lower() == ".txt" and is_audacity(head)) else None


def _read(path: Path) -> list[AnnotatedFile]:
    format_ = _format_of(path)
    if format_ is None:
        raise UsageError(
            f"{path}: is no label file of Audacity, Label Studio or ELAN, and no table of events"
        )
    try:
        if path.stat().st_size > LONGEST_BYTES:
            raise UsageError(f"{path}: is larger than any label file; check the name")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the name") from error
    except UnicodeDecodeError as error:
        raise TableError(path, 1, f"is not UTF-8 text ({error.reason})") from error
    return FORMATS[format_](path, text)

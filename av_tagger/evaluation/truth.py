"""Reading ground truth: a list of DCASE, a manifest as for training, or corrected labels."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from av_tagger.annotations import AnnotatedFile, is_annotation, labels_of, read_annotations
from av_tagger.clip import Clip
from av_tagger.dcase import SoundEvent, read_strong, read_weak
from av_tagger.errors import TableError, UsageError
from av_tagger.evaluation.keys import keys_of
from av_tagger.labels import ClassList, SoundClass, dcase2017

_COLUMNS = "file, labels[, start, end][, unknown][, audible][, visible]"
NONE = "-"  # in `audible` or `visible`: no class; an empty cell says nothing
_UNKNOWN = ("unknown", "ambiguous")  # a clip with either is left out


Labels = Mapping[str, tuple[str, ...]]  # by clip key


@dataclass(frozen=True)
class WeakTruth:
    """Labels by clip key, and the classes that are scored."""

    tags: Mapping[str, tuple[str, ...]]
    classes: ClassList
    left_out: int = 0  # clips with labels of which nothing is known
    manifest: bool = False
    recordings: Mapping[str, str] = field(default_factory=dict)  # by clip key, where known
    unknown: Mapping[str, frozenset[str]] = field(default_factory=dict)  # labels, by clip key
    audible: Labels = field(default_factory=dict)  # what can be heard, where a column says it
    visible: Labels = field(default_factory=dict)  # what is in view, where a column says it

    @property
    def remarks(self) -> tuple[str, ...]:
        lines = []
        if self.left_out:
            lines.append(f"clips with unknown labels, left out: {self.left_out}")
        if pairs := sum(map(len, self.unknown.values())):
            lines.append(f"unknown labels of single classes, not scored: {pairs}")
        return tuple(lines)


def read_truth(path: Path, classes: ClassList | None = None, *, partly: bool = False) -> WeakTruth:
    """The truth of a table, or of corrected labels.

    Without classes, those of a manifest or of corrected labels are its own labels, and those of a
    DCASE list are the 17 of DCASE 2017. Clips with unknown labels are left out; with `partly` only
    if none is known.
    """
    if is_annotation(path):
        return _corrected(path, classes)
    if not is_manifest(path):
        classes = classes or dcase2017()
        return WeakTruth(read_weak(path, classes), classes)
    rows = list(_rows(path))
    classes = classes or _classes_of(path, rows)
    keys = keys_of([row.clip for row in rows])
    tags: dict[str, tuple[str, ...]] = {}
    recordings = {key: row.recording for key, row in zip(keys, rows, strict=True) if row.recording}
    unknown: dict[str, frozenset[str]] = {}
    for key, row in zip(keys, rows, strict=True):
        if row.unknown:
            unknown[key] = unknown.get(key, frozenset()).union(_known(row.unknown, classes))
        labels = [_label(path, row, name, classes) for name in row.labels]
        tags[key] = tuple(dict.fromkeys((*tags.get(key, ()), *labels)))
    unknown = {key: names.difference(tags[key]) for key, names in unknown.items()}
    everything = len(classes.labels) if partly else 0
    out = {key for key, names in unknown.items() if len(names) >= everything}
    kept = {key: labels for key, labels in tags.items() if key not in out}
    if not kept:
        raise UsageError(f"{path}: has no clip whose labels are all known")
    partial = {key: names for key, names in unknown.items() if names and key not in out}
    told = {
        name: {
            key: tuple(_label(path, row, label, classes) for label in found)
            for key, row in zip(keys, rows, strict=True)
            if key in kept and (found := row.told[name]) is not None
        }
        for name in ("audible", "visible")
    }
    return WeakTruth(kept, classes, len(out), True, recordings, partial, **told)


def read_true_events(path: Path, classes: ClassList) -> dict[str, tuple[SoundEvent, ...]]:
    """True events by clip key, of a strong list of DCASE or of corrected labels."""
    if not is_annotation(path):
        return read_strong(path, classes)
    files = read_annotations(path)
    keys = keys_of([Clip(Path(file.media)) for file in files])
    return {
        key: tuple(
            SoundEvent(_class(path, sound.label, classes), sound.start, sound.end)
            for sound in file.sounds
        )
        for key, file in zip(keys, files, strict=True)
    }


def _corrected(path: Path, classes: ClassList | None) -> WeakTruth:
    """What was marked in a file is all that sounds in it."""
    files = read_annotations(path)
    classes = classes or _classes_marked(path, files)
    keys = keys_of([Clip(Path(file.media)) for file in files])
    tags = {
        key: tuple(dict.fromkeys(_class(path, label, classes) for label in file.labels))
        for key, file in zip(keys, files, strict=True)
    }
    return WeakTruth(tags, classes)


def _classes_marked(path: Path, files: Sequence[AnnotatedFile]) -> ClassList:
    names = labels_of(files)
    if not names:
        raise UsageError(f"{path}: has no label; name the classes with --classes")
    return ClassList(tuple(SoundClass(name) for name in names))


def _class(path: Path, name: str, classes: ClassList) -> str:
    try:
        return classes.find(name).label
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def is_manifest(path: Path) -> bool:
    """Whether the first line is a heading with the columns `file` and `labels`."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            first = lines.readline()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); name a table") from error
    cells = [cell.strip() for cell in next(csv.reader([first]), [])]
    return "\t" not in first and {"file", "labels"} <= set(cells)


@dataclass(frozen=True)
class _Row:
    line: int
    clip: Clip
    labels: tuple[str, ...]
    unknown: tuple[str, ...]
    recording: str = ""  # clips of one recording are not independent
    told: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)  # audible, visible


def _rows(path: Path) -> Iterator[_Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for line, row in enumerate(csv.DictReader(lines), start=2):
                yield _row(path, line, row)
    except UnicodeDecodeError as error:
        raise TableError(path, 1, f"is not UTF-8 text ({error.reason})") from error
    except csv.Error as error:
        raise TableError(path, 1, f"is not a table ({error})") from error


def _row(path: Path, line: int, row: Mapping[str, str | None]) -> _Row:
    cells = {key: (row.get(key) or "").strip() for key in ("file", "start", "end")}
    if not cells["file"]:
        raise TableError(path, line, "has no file name", _COLUMNS)
    try:
        start = float(cells["start"] or 0.0)
        end = float(cells["end"]) if cells["end"] else None
        clip = Clip(Path(cells["file"]), start, end)
    except ValueError as error:
        raise TableError(path, line, "has no times 0 <= start < end", _COLUMNS) from error
    recording = (row.get("recording") or row.get("source") or "").strip()
    unknown = tuple(name for key in _UNKNOWN for name in _split(row.get(key)))
    told = {name: _told(row.get(name)) for name in ("audible", "visible")}
    return _Row(line, clip, _split(row.get("labels")), unknown, recording, told)


def _told(cell: str | None) -> tuple[str, ...] | None:
    """None: nothing is known."""
    found = _split(cell)
    return () if found == (NONE,) else found or None


def _split(cell: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (cell or "").split("|") if name.strip())


def _known(names: Sequence[str], classes: ClassList) -> Iterator[str]:
    """Labels of the classes that are scored."""
    for name in names:
        with suppress(UsageError):
            yield classes.find(name).label


def _label(path: Path, row: _Row, name: str, classes: ClassList) -> str:
    try:
        return classes.find(name).label
    except UsageError as error:
        raise TableError(path, row.line, str(error)) from error


def _classes_of(path: Path, rows: Sequence[_Row]) -> ClassList:
    names = sorted({name for row in rows for name in row.labels})
    if not names:
        raise UsageError(f"{path}: has no label; name the classes with --classes")
    return ClassList(tuple(SoundClass(name) for name in names))

"""Weakly labelled examples: which clip carries which labels, read from tables, DCASE lists and folders named by class."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger import dcase
from av_tagger.clip import Clip
from av_tagger.errors import TableError, UsageError, did_you_mean
from av_tagger.labels import ClassList, SoundClass

Targets = NDArray[np.float32]  # (clips, classes): 1 heard, 0 not heard, NaN nobody knows

NO_CLASS = (
    "none",
    "negative",
    "negatives",
    "background",
)  # folders of clips without any of the classes


@dataclass(frozen=True)
class Example:
    """A clip and what is known to be heard in it, somewhere; `unknown` classes may or may not be."""

    clip: Clip
    labels: tuple[str, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """Something in the data that could not be used; it costs itself only."""

    name: str  # the file, or the table and its line
    kind: str  # missing, empty, broken, mislabelled, unreadable row
    reason: str


@dataclass(frozen=True)
class ExampleSet:
    """Clips with labels of one class list, and what was left out."""

    classes: ClassList
    examples: tuple[Example, ...]
    skipped: tuple[Skipped, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.examples)

    def targets(self) -> Targets:
        return targets_of(self.examples, self.classes.labels)


def targets_of(examples: Sequence[Example], labels: Sequence[str]) -> Targets:
    """(clips, classes) in the order of `labels`."""
    column = {label: k for k, label in enumerate(labels)}
    targets = np.zeros((len(examples), len(labels)), np.float32)
    for row, example in zip(targets, examples, strict=True):
        row[[column[label] for label in example.unknown]] = np.nan
        row[[column[label] for label in example.labels]] = 1
    return targets


def read_examples(source: Path, classes: ClassList, media: Path | None = None) -> ExampleSet:
    """Read a folder named by class, a manifest with a header, or a DCASE list; `media` is where a table's files lie."""
    from av_tagger.learning.data import scenes  # it makes the examples of this module

    if source.is_dir():
        return _read_folders(source, classes)
    if not source.is_file():
        raise UsageError(
            f"{source}: there is no such data; give a folder with a sub-folder a class, a manifest or a DCASE list"
        )
    if scenes.is_meta(source):
        return _present(
            classes, scenes.read_scenes(source, classes, media or scenes.root_of(source)), []
        )
    if _has_header(source):
        return _read_manifest(source, classes, media or source.parent)
    return _read_dcase(source, classes, media or source.parent)


def classes_in(sources: Sequence[Path]) -> ClassList:
    """The labels that occur in manifests or as folders, in alphabetical order."""
    names = {name for source in sources for name in _names_in(source)}
    if not names:
        raise UsageError(
            f"{', '.join(map(str, sources))}: no labels were found; name the classes with --classes FILE"
        )
    return ClassList(tuple(SoundClass(name) for name in sorted(names)))


def _names_in(source: Path) -> set[str]:
    from av_tagger.learning.data import scenes

    if scenes.is_meta(source):
        return {row.scene for row in scenes.read_meta(source)}
    if source.is_dir():
        return {folder.name for folder in _class_folders(source)} - set(NO_CLASS)
    return {label for row in _rows(source) for label in _split(row.get("labels"))}


def summary(skipped: Iterable[Skipped]) -> str:
    """`3 skipped: 2 broken, 1 mislabelled`, or nothing."""
    counts = Counter(s.kind for s in skipped)
    return (
        f"{counts.total()} skipped: " + ", ".join(f"{n} {kind}" for kind, n in counts.most_common())
        if counts
        else ""
    )


# Manifests: file, labels[, start, end][, unknown]; several rows of one clip are one example


def _has_header(source: Path) -> bool:
    with source.open(encoding="utf-8-sig", errors="replace") as lines:
        first = lines.readline()
    return "\t" not in first and "file" in next(csv.reader([first]), [])


def _rows(source: Path) -> Iterator[dict[str, str]]:
    try:
        with source.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            missing = {"file", "labels"} - set(reader.fieldnames or ())
            if missing:
                raise TableError(
                    source,
                    1,
                    f"the column {min(missing)!r} is missing",
                    "file, labels[, start, end]",
                )
            yield from reader
    except UnicodeDecodeError as error:
        raise TableError(source, 1, f"is not UTF-8 text ({error.reason})") from error
    except csv.Error as error:
        raise TableError(source, 1, f"is not a table ({error})") from error


def _read_manifest(source: Path, classes: ClassList, media: Path) -> ExampleSet:
    rows: list[Example] = []
    skipped: list[Skipped] = []
    for line, row in enumerate(_rows(source), start=2):
        name = f"{source}, line {line}"
        try:
            clip = _clip(media / _cell(row, "file"), row)
            heard = _canonical(_split(row.get("labels")), classes)
            rows.append(Example(clip, heard, _canonical(_split(row.get("unknown")), classes)))
        except UsageError as error:
            skipped.append(Skipped(f"{name} ({row.get('file')})", "mislabelled", str(error)))
        except ValueError as error:
            skipped.append(Skipped(name, "unreadable row", str(error)))
    return _present(classes, _merged(rows), skipped)


def _cell(row: dict[str, str], key: str) -> str:
    value = (row.get(key) or "").strip()
    if not value:
        raise ValueError(f"the column {key!r} is empty")
    return value


def _clip(path: Path, row: dict[str, str]) -> Clip:
    start, end = (row.get("start") or "").strip(), (row.get("end") or "").strip()
    return Clip(path, float(start) if start else 0.0, float(end) if end else None)


def _split(cell: str | None) -> list[str]:
    return [label.strip() for label in (cell or "").split("|") if label.strip()]


def _canonical(names: Iterable[str], classes: ClassList) -> tuple[str, ...]:
    return tuple(dict.fromkeys(classes.find(name).label for name in names))


def _merged(examples: Iterable[Example]) -> list[Example]:
    """One example a clip: the labels of all its rows."""
    found: dict[Clip, Example] = {}
    for new in examples:
        old = found.get(new.clip, Example(new.clip, ()))
        labels = tuple(dict.fromkeys(old.labels + new.labels))
        found[new.clip] = Example(new.clip, labels, tuple(dict.fromkeys(old.unknown + new.unknown)))
    return list(found.values())


def _present(classes: ClassList, examples: Iterable[Example], skipped: list[Skipped]) -> ExampleSet:
    """Take out the files that are not there or hold nothing."""
    kept = []
    for example in examples:
        path = example.clip.path
        if not path.is_file():
            skipped.append(Skipped(str(path), "missing", "there is no such file"))
        elif path.stat().st_size == 0:
            skipped.append(Skipped(str(path), "empty", "the file holds nothing (0 bytes)"))
        else:
            kept.append(example)
    return ExampleSet(classes, tuple(kept), tuple(skipped))


# Folders named by class


def _class_folders(root: Path) -> list[Path]:
    return sorted(
        folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith(".")
    )


def _slug(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name.casefold()).strip()


def _read_folders(root: Path, classes: ClassList) -> ExampleSet:
    known: dict[str, tuple[str, ...]] = {
        _slug(label): (label,) for label in classes.labels
    } | dict.fromkeys(NO_CLASS, ())
    examples: list[Example] = []
    skipped: list[Skipped] = []
    for folder in _class_folders(root):
        files = sorted(f for f in folder.rglob("*") if f.is_file() and not f.name.startswith("."))
        labels = known.get(_slug(folder.name))
        if labels is None:
            hint = did_you_mean(folder.name, classes.labels)
            skipped += [
                Skipped(str(f), "mislabelled", f"its folder {folder.name!r} is no class; {hint}")
                for f in files
            ]
        else:
            examples += [Example(Clip(file), labels) for file in files]
    return _present(classes, examples, skipped)


# DCASE lists


def _read_dcase(source: Path, classes: ClassList, media: Path) -> ExampleSet:
    listed = dcase.read_list(source, classes)
    found = dcase.find_clips(listed, [media])
    skipped = [
        Skipped(clip.key, "missing", f"{source} lists it, but no file below {media} is it")
        for clip in found.missing
    ]
    return _present(classes, (Example(clip, row.labels) for row, clip in found.clips), skipped)

"""Readers of labelled clips: manifests, DCASE lists, scene files, folders, label files."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from av_tagger import dcase
from av_tagger.annotations import AnnotatedFile, is_annotation, labels_of, read_annotations
from av_tagger.annotations.formats import MEDIA
from av_tagger.clip import Clip
from av_tagger.errors import TableError, UsageError, did_you_mean
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.data.examples import Example, ExampleSet, SkippedEntry
from av_tagger.learning.data.scenes import is_meta, read_meta, read_scenes, root_of

SHORTEST_SECONDS = 1.0  # of the clip of a marked sound
NO_CLASS = ("none", "negative", "negatives", "background")  # folders of clips without any class


def read_examples(source: Path, classes: ClassList, media: Path | None = None) -> ExampleSet:
    """Examples of a folder with a sub-folder per class, a manifest, a DCASE list or a meta file.

    `media` is the folder of the files that a table lists; default: the folder of the table.
    """
    if is_annotation(source):
        folder = source if source.is_dir() else source.parent
        return _read_corrected(source, classes, media or folder)
    if source.is_dir():
        return _read_folders(source, classes)
    refuse_missing(source)
    if is_meta(source):
        return _present(classes, read_scenes(source, classes, media or root_of(source)), [])
    if _has_header(source):
        return _read_manifest(source, classes, media or source.parent)
    return _read_dcase(source, classes, media or source.parent)


def refuse_missing(source: Path) -> None:
    """An error for a path where nothing is that could be read."""
    if not source.is_file() and not source.is_dir():
        raise UsageError(
            f"{source}: there is no such data;"
            " give a folder with a sub-folder per class, a manifest or a DCASE list"
        )


def classes_in(sources: Sequence[Path]) -> ClassList:
    """The labels that occur in manifests or as folders, in alphabetical order."""
    names = {name for source in sources for name in _names_in(source)}
    if not names:
        where = ", ".join(map(str, sources))
        raise UsageError(f"{where}: no labels were found; name the classes with --classes FILE")
    return ClassList(tuple(SoundClass(name) for name in sorted(names)))


def _names_in(source: Path) -> set[str]:
    if is_annotation(source):
        return set(labels_of(read_annotations(source)))
    if is_meta(source):
        return {row.scene for row in read_meta(source)}
    if source.is_dir():
        return {folder.name for folder in _class_folders(source)} - set(NO_CLASS)
    refuse_missing(source)
    return {label for row in _rows(source) for label in _split(row.get("labels"))}


# Manifests: file, labels[, start, end][, unknown]; rows of the same clip are merged


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
                reason = f"the column {min(missing)!r} is missing"
                raise TableError(source, 1, reason, "file, labels[, start, end]")
            yield from reader
    except UnicodeDecodeError as error:
        raise TableError(source, 1, f"is not UTF-8 text ({error.reason})") from error
    except csv.Error as error:
        raise TableError(source, 1, f"is not a table ({error})") from error


def _read_manifest(source: Path, classes: ClassList, media: Path) -> ExampleSet:
    rows: list[Example] = []
    skipped: list[SkippedEntry] = []
    for line, row in enumerate(_rows(source), start=2):
        name = f"{source}, line {line}"
        try:
            clip = _clip(media / _cell(row, "file"), row)
            labels = _canonical(_split(row.get("labels")), classes)
            rows.append(Example(clip, labels, _canonical(_split(row.get("unknown")), classes)))
        except UsageError as error:
            skipped.append(SkippedEntry(f"{name} ({row.get('file')})", "mislabelled", str(error)))
        except ValueError as error:
            skipped.append(SkippedEntry(name, "unreadable row", str(error)))
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
    """One example per clip, with the labels of all its rows."""
    found: dict[Clip, Example] = {}
    for new in examples:
        old = found.get(new.clip, Example(new.clip, ()))
        labels = tuple(dict.fromkeys(old.labels + new.labels))
        found[new.clip] = Example(new.clip, labels, tuple(dict.fromkeys(old.unknown + new.unknown)))
    return list(found.values())


def _present(
    classes: ClassList, examples: Iterable[Example], skipped: list[SkippedEntry]
) -> ExampleSet:
    """Skip files that are missing or empty."""
    kept = []
    for example in examples:
        path = example.clip.path
        try:
            size = path.stat().st_size if path.is_file() else None
        except (OSError, ValueError) as error:  # a name that is too long, or no name at all
            skipped.append(SkippedEntry(str(path)[:300], "unreadable row", str(error)[:300]))
            continue
        if size is None:
            skipped.append(SkippedEntry(str(path), "missing", "there is no such file"))
        elif size == 0:
            skipped.append(SkippedEntry(str(path), "empty", "the file is empty (0 bytes)"))
        else:
            kept.append(example)
    return ExampleSet(classes, tuple(kept), tuple(skipped))


# Corrected labels: a clip per marked sound


def _read_corrected(source: Path, classes: ClassList, media: Path) -> ExampleSet:
    """A clip per marked sound, with all labels that sound in it; a file without any is one clip."""
    examples: list[Example] = []
    skipped: list[SkippedEntry] = []
    for file in read_annotations(source):
        path = _found(file.media, media)
        try:
            examples += _sound_clips(file, path, classes)
        except UsageError as error:
            skipped.append(SkippedEntry(f"{source} ({file.media})", "mislabelled", str(error)))
    return _present(classes, _merged(examples), skipped)


def _sound_clips(file: AnnotatedFile, path: Path, classes: ClassList) -> Iterator[Example]:
    if not file.sounds:
        yield Example(Clip(path), ())
    for sound in file.sounds:
        start, end = sound.start, max(sound.end, sound.start + SHORTEST_SECONDS)
        names = [s.label for s in file.sounds if (s.start < end and s.end > start) or s == sound]
        yield Example(Clip(path, start, end), _canonical(names, classes))


def _found(name: str, media: Path) -> Path:
    """The media file where the labels say, else the one of that name, with or without suffix."""
    for path in (Path(name), media / name, media / Path(name).name):
        if path.is_file():
            return path
    stem = re.escape(Path(name).name)
    beside = sorted(media.iterdir()) if media.is_dir() else []
    same = [p for p in beside if p.suffix.lower() in MEDIA and re.fullmatch(stem, p.stem)]
    return same[0] if len(same) == 1 else media / name


# Folders named by class


def _class_folders(root: Path) -> list[Path]:
    return sorted(f for f in root.iterdir() if f.is_dir() and not f.name.startswith("."))


def _slug(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name.casefold()).strip()


def _read_folders(root: Path, classes: ClassList) -> ExampleSet:
    known: dict[str, tuple[str, ...]] = {_slug(label): (label,) for label in classes.labels}
    known |= dict.fromkeys(NO_CLASS, ())
    examples: list[Example] = []
    skipped: list[SkippedEntry] = []
    for folder in _class_folders(root):
        files = sorted(f for f in folder.rglob("*") if f.is_file() and not f.name.startswith("."))
        labels = known.get(_slug(folder.name))
        if labels is None:
            hint = did_you_mean(folder.name, classes.labels)
            reason = f"its folder {folder.name!r} is not a class; {hint}"
            skipped += [SkippedEntry(str(f), "mislabelled", reason) for f in files]
        else:
            examples += [Example(Clip(file), labels) for file in files]
    return _present(classes, examples, skipped)


# DCASE lists


def _read_dcase(source: Path, classes: ClassList, media: Path) -> ExampleSet:
    listed = dcase.read_list(source, classes)
    found = dcase.find_clips(listed, [media])
    reason = f"{source} lists it, but there is no such file below {media}"
    skipped = [SkippedEntry(clip.key, "missing", reason) for clip in found.missing]
    closed = "this folder cannot be read"
    skipped += [SkippedEntry(str(place), "unreadable folder", closed) for place in found.unreadable]
    return _present(classes, (Example(clip, row.labels) for row, clip in found.clips), skipped)

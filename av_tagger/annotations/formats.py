"""Readers of label files: text of one format in, annotated files out."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from av_tagger.annotations.files import AnnotatedFile, AnnotatedSound, media_name
from av_tagger.errors import TableError

AUDACITY = ".labels.txt"
MEDIA = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".wav", ".flac", ".mp3", ".ogg", ".m4a")
_GUARDED = ("'=", "'+", "'-", "'@")  # as the format csv writes cells that look like formulas
_SHOWN = 40  # characters of a cell in a message
_ROW = "start, end and label, separated by tabs"
_COLUMNS = "file, start, end, label"


def audacity(path: Path, text: str) -> list[AnnotatedFile]:
    """Rows `start end label`; the media file has the name of the label file."""
    sounds = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = line.split("\t")
        if not line.strip() or cells[0] == "\\":  # the second row of a label with frequencies
            continue
        if len(cells) < 2:
            raise TableError(path, number, "has no start and end", _ROW)
        label = "\t".join(cells[2:]).strip()
        start, end = (_seconds(path, number, cell) for cell in cells[:2])
        if label:
            sounds.append(_sound(path, number, start, end, label))
    return [AnnotatedFile(_media_of(path), tuple(sounds))]


def is_audacity(head: str) -> bool:
    """Whether the first line is a row of Audacity's labels."""
    cells = (head.splitlines() or [""])[0].split("\t")
    return len(cells) == 3 and all(_is_number(cell) for cell in cells[:2])


def events_csv(path: Path, text: str) -> list[AnnotatedFile]:
    """A table with the columns file, start, end and label; a row without a label: no sound."""
    files = []
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        for number, row in enumerate(rows, 2):
            files.append(_event_row(path, number, row))
    except csv.Error as error:
        raise TableError(path, 1, f"is not a table ({error})", _COLUMNS) from error
    return files


def _event_row(path: Path, number: int, row: Mapping[str, str | None]) -> AnnotatedFile:
    cells = {key: _unguarded((row.get(key) or "").strip()) for key in ("file", "label")}
    if not cells["file"]:
        raise TableError(path, number, "has no file name", _COLUMNS)
    if row.get("label") is None and row.get("start"):
        raise TableError(path, number, "ends before its label", _COLUMNS)
    if not cells["label"]:
        return AnnotatedFile(cells["file"])
    start, end = (_seconds(path, number, row.get(key) or "") for key in ("start", "end"))
    return AnnotatedFile(cells["file"], (_sound(path, number, start, end, cells["label"]),))


def is_event_table(head: str) -> bool:
    first = (head.splitlines() or [""])[0]
    cells = next(csv.reader([first], delimiter=_delimiter(head)), [])
    return {"file", "start", "end", "label"} <= {cell.strip() for cell in cells}


def elan(path: Path, text: str) -> list[AnnotatedFile]:
    """Tiers named like classes; the media file is that of the header."""
    if "<!DOCTYPE" in text[:_PROLOG] or "<!ENTITY" in text:
        raise TableError(path, 1, "has a document type, which files of ELAN do not have")
    try:
        root = ET.fromstring(text)  # noqa: S314 - entities are refused above
    except ET.ParseError as error:
        raise TableError(path, error.position[0], f"is not XML ({error})") from error
    slots = {
        slot.get("TIME_SLOT_ID", ""): _seconds(path, 1, value) / 1000
        for slot in root.iter("TIME_SLOT")
        if (value := slot.get("TIME_VALUE", "")).isdecimal()
    }
    sounds = tuple(
        _sound(path, 1, slots[first], slots[last], tier.get("TIER_ID", "").strip())
        for tier in root.iter("TIER")
        for one in tier.iter("ALIGNABLE_ANNOTATION")
        if (first := one.get("TIME_SLOT_REF1", "")) in slots
        and (last := one.get("TIME_SLOT_REF2", "")) in slots
        and tier.get("TIER_ID", "").strip()
    )
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    url = "" if media is None else media.get("MEDIA_URL") or media.get("RELATIVE_MEDIA_URL") or ""
    return [AnnotatedFile(media_name(url) if url else _media_of(path), sounds)]


_PROLOG = 10_000


def label_studio(path: Path, text: str) -> list[AnnotatedFile]:
    """An export as JSON or JSON-MIN. Tasks without an annotation are not corrected: left out."""
    try:
        tasks = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TableError(path, 1, f"is not JSON ({error})") from error
    if not isinstance(tasks, list):
        raise TableError(path, 1, "is no list of tasks; export it from Label Studio as JSON")
    return [file for n, task in enumerate(tasks, 1) if (file := _task(path, n, task)) is not None]


def is_label_studio(head: str) -> bool:
    return head.lstrip().startswith("[")


def _task(path: Path, number: int, task: Any) -> AnnotatedFile | None:
    if not isinstance(task, dict):
        raise TableError(path, number, "is no task (counted by tasks, not by lines)")
    if not all(isinstance(a.get("result") or [], list) for a in _done(task)):
        raise TableError(path, number, "has a result that is no list (counted by tasks)")
    values = list(_regions(task))
    if not values and "label" not in task and not _done(task):
        return None
    data = task.get("data")
    source = data if isinstance(data, dict) else task
    media = next((source[key] for key in ("audio", "video", "file") if key in source), None)
    if not isinstance(media, str):
        raise TableError(path, number, "names no media file (counted by tasks, not by lines)")
    sounds = tuple(sound for value in values for sound in _region_sounds(path, number, value))
    return AnnotatedFile(media_name(media), sounds)


def _done(task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The annotations that were not skipped."""
    found = task.get("annotations")
    some = found if isinstance(found, list) else []
    return [a for a in some if isinstance(a, dict) and not a.get("was_cancelled")]


def _regions(task: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Values with start, end and labels; JSON-MIN has them in the field `label`."""
    results = [r for a in _done(task) for r in a.get("result") or () if isinstance(r, dict)]
    short = task.get("label")
    values = [r.get("value") for r in results] + (short if isinstance(short, list) else [])
    return (value for value in values if isinstance(value, dict) and "start" in value)


def _region_sounds(path: Path, number: int, value: Mapping[str, Any]) -> Iterator[AnnotatedSound]:
    names = value.get("labels") or []
    if not isinstance(names, list) or not all(isinstance(n, str) and n.strip() for n in names):
        raise TableError(path, number, "has labels that are no list of names (counted by tasks)")
    start, end = (_seconds(path, number, str(value.get(key, ""))) for key in ("start", "end"))
    for name in names:
        yield _sound(path, number, start, end, name.strip())


def _sound(path: Path, number: int, start: float, end: float, label: str) -> AnnotatedSound:
    if not 0 <= start <= end:
        raise TableError(path, number, f"ends at {end:g} s and starts at {start:g} s")
    return AnnotatedSound(start, end, label)


def _seconds(path: Path, number: int, cell: str) -> float:
    if not _is_number(cell):
        reason = f"has the time {cell[:_SHOWN]!r}, which is no number of seconds"
        raise TableError(path, number, reason)
    return float(cell.strip().replace(",", "."))


def _is_number(cell: str) -> bool:
    """A finite number; some systems write a decimal comma."""
    try:
        return math.isfinite(float(cell.strip().replace(",", ".")))
    except ValueError:
        return False


def _delimiter(text: str) -> str:
    first = (text.splitlines() or [""])[0]
    return max(",;\t", key=first.count)


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith(_GUARDED) else cell


def _media_of(path: Path) -> str:
    """A media file beside the labels or one folder up whose name they have; else the bare name."""
    stem = path.name.removesuffix(AUDACITY).removesuffix(path.suffix)
    for folder in (path.parent, path.parent.parent):
        for suffix in MEDIA:
            if (folder / f"{stem}{suffix}").is_file():
                return str(folder / f"{stem}{suffix}")
    return stem


FORMATS: dict[str, Callable[[Path, str], list[AnnotatedFile]]] = {
    "audacity": audacity,
    "csv": events_csv,
    "elan": elan,
    "label-studio": label_studio,
}

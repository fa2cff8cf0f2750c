"""Reading the tables of DCASE 2017 task 4: class list, lists, ground truth, submissions."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from av_tagger.dcase.names import ClipName, clip_key, parse_name
from av_tagger.errors import TableError, UsageError, did_you_mean
from av_tagger.labels import ClassList, SoundClass, dcase2017

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COLUMNS = "tab-separated columns `file.wav, start, end, label`, or a bare file name"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_DOWNLOAD = 'comma-separated `id,start,end,"label,label","mid,mid"`'


@dataclass(frozen=True)
class ListedClip:
    """A clip of a list, with its labels there."""

    key: str
    name: ClipName | None  # None: not a name of a YouTube clip
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class SoundEvent:
    """A sound event, in seconds of its clip."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class TsvRow:
    """One line of a tab-separated table; a bare name has no label."""

    line: int
    key: str
    label: str | None = None
    start: float = 0.0
    end: float = 0.0

    @property
    def unheard(self) -> bool:
        """Onset = offset = 0: the clip is listed, but the sound is not in it."""
        return self.start == 0 and self.end == 0


def read_class_list(path: Path) -> ClassList:
    """The official class list: a header, then `id, confidence, label`, separated by tabs."""
    classes = [
        _class_of(path, line, text)
        for line, text in _lines(path)
        if not text.casefold().startswith("class_id")
    ]
    if not classes:
        raise UsageError(
            f"{path}: has no class; expected lines `id, confidence, label` separated by tabs"
        )
    return ClassList(tuple(classes))


def read_download_list(path: Path, classes: ClassList | None = None) -> list[ListedClip]:
    """Lists such as `training_set.csv`.

    Labels contain unescaped commas, so they are identified by the ids of the last column.
    """
    known = classes or dcase2017()
    clips = [_listed(path, line, text, known) for line, text in _lines(path)]
    return _some(path, clips)


def read_weak(path: Path, classes: ClassList | None = None) -> dict[str, tuple[str, ...]]:
    """Labels by clip, for every clip of the table, also those without a label."""
    labels: dict[str, list[str]] = {}
    for row in _rows(path, classes):
        mine = labels.setdefault(row.key, [])
        if row.label is not None and not row.unheard and row.label not in mine:
            mine.append(row.label)
    return {key: tuple(found) for key, found in labels.items()}


def read_strong(path: Path, classes: ClassList | None = None) -> dict[str, tuple[SoundEvent, ...]]:
    """Events by clip, for every clip of the table; a row `0 0` is no event."""
    events: dict[str, list[SoundEvent]] = {}
    for row in _rows(path, classes):
        mine = events.setdefault(row.key, [])
        if row.label is not None and not row.unheard:
            mine.append(SoundEvent(row.label, row.start, row.end))
    return {key: tuple(found) for key, found in events.items()}


def read_submission(path: Path, classes: ClassList | None = None) -> list[TsvRow]:
    """All rows of a submission to subtask A or B."""
    return list(_rows(path, classes))


def read_list(path: Path, classes: ClassList | None = None) -> list[ListedClip]:
    """The clips of any official list: a download list, a ground truth, or plain names."""
    first = next(iter(_lines(path)), (0, ""))[1]
    if "\t" not in first and "," in first:
        return read_download_list(path, classes)
    return [
        ListedClip(key, parse_name(key), labels) for key, labels in read_weak(path, classes).items()
    ]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not blank; any line ends, with or without a byte-order mark."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); name a table") from error
    plain = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for number, raw in enumerate(plain.split(b"\n"), 1):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise TableError(path, number, "is not text", "UTF-8") from error
        if text.strip():
            yield number, text


def _rows(path: Path, classes: ClassList | None) -> Iterator[TsvRow]:
    known = {c.label: c.label for c in classes or dcase2017()}
    nothing = True
    for line, text in _lines(path):
        nothing = False
        yield _row(path, line, text, known)
    if nothing:
        raise UsageError(f"{path}: is empty; expected {_COLUMNS}")


def _row(path: Path, line: int, text: str, known: dict[str, str]) -> TsvRow:
    cells = [cell.strip() for cell in text.split("\t")]
    if not cells[0]:
        raise TableError(path, line, "has no file name", _COLUMNS)
    if len(cells) == 1 and "," in text and parse_name(text) is None:
        raise TableError(path, line, "is separated by commas", _COLUMNS)
    if len(cells) not in (1, 4):
        raise TableError(path, line, f"has {len(cells)} columns", _COLUMNS)
    key = clip_key(cells[0])
    if not any(cells[1:]):
        return TsvRow(line, key)
    start, end = _seconds(path, line, cells[1]), _seconds(path, line, cells[2])
    if end < start:
        reason = f"ends ({cells[2]}) before it starts ({cells[1]})"
        raise TableError(path, line, reason, "start <= end, in seconds")
    return TsvRow(line, key, _label(path, line, cells[3], known), start, end)


def _label(path: Path, line: int, text: str, known: dict[str, str]) -> str:
    if text not in known:
        raise TableError(path, line, f"{text!r} is not a class; {did_you_mean(text, known)}")
    return known[text]


def _seconds(path: Path, line: int, text: str) -> float:
    value = float(text) if is_number(text) else math.nan
    if not math.isfinite(value) or value < 0:
        raise TableError(path, line, f"{text!r} is not a time", "seconds from 0, such as 30.000")
    return value


def is_number(text: str) -> bool:
    """Whether a decimal number, as in tables: `float` also takes `7_0` and digits of any script."""
    return _NUMBER.fullmatch(text) is not None


def _listed(path: Path, line: int, text: str, classes: ClassList) -> ListedClip:
    cells = [cell.strip() for cell in next(csv.reader([text], skipinitialspace=True))]
    if len(cells) not in (3, 5):
        raise TableError(path, line, f"has {len(cells)} columns", _DOWNLOAD)
    start, end = _seconds(path, line, cells[1]), _seconds(path, line, cells[2])
    name = parse_name(f"{cells[0]}_{start:.3f}_{end:.3f}")
    if name is None:
        reason = f"{cells[0]!r} from {cells[1]} to {cells[2]} is not a clip"
        raise TableError(path, line, reason, "an id of 11 characters, start < end")
    labels = _labels_of(path, line, cells[4], classes) if len(cells) == 5 else ()
    return ListedClip(str(name), name, labels)


def _labels_of(path: Path, line: int, cell: str, classes: ClassList) -> tuple[str, ...]:
    by_id = {c.id: c.label for c in classes}
    ids = [mid.strip() for mid in cell.split(",") if mid.strip()]
    unknown = [mid for mid in ids if mid not in by_id]
    if unknown:
        expected = f"ids of the {len(classes)} classes in the last column"
        raise TableError(path, line, f"no class has the id {unknown[0]!r}", expected)
    return tuple(dict.fromkeys(by_id[mid] for mid in ids))


def _class_of(path: Path, line: int, text: str) -> SoundClass:
    cells = [cell.strip() for cell in text.split("\t")]
    if len(cells) != 3 or not cells[0] or not cells[2]:
        raise TableError(
            path, line, f"has {len(cells)} columns", "`id, confidence, label` separated by tabs"
        )
    group = next((c.group for c in dcase2017() if c.id == cells[0]), "")
    return SoundClass(cells[2], cells[0], group)


def _some(path: Path, clips: list[ListedClip]) -> list[ListedClip]:
    if not clips:
        raise UsageError(f"{path}: is empty; expected {_DOWNLOAD}")
    return clips

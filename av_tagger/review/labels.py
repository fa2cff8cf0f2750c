"""Labels from answers, as the manifests that evaluate, tune and train own-classes read."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from av_tagger.clip import is_address
from av_tagger.reports.files import write_text
from av_tagger.review.state import ReviewState, UnitState
from av_tagger.review.units import ReviewUnit

LABELS = "labels.csv"  # one row per result: for evaluate and tune
RANDOM = "random.csv"  # the same, of the units that were drawn at random
WINDOWS = "windows.csv"  # one row per played part: for train own-classes
HEAD = ("file", "labels", "start", "end", "unknown", "recording")
FORMULAS = ("=", "+", "-", "@")
Locate = Callable[[ReviewUnit], Path | None]
Span = tuple[str, float, float | None]  # file, start, end
Cell = tuple[Span, str, str, bool]  # with recording, label and whether it is there


@dataclass
class _Row:
    recording: str
    present: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)


def write_labels(state: ReviewState, folder: Path, locate: Locate) -> None:
    """All three files, each whole or not at all."""
    known = [(unit, found) for unit, found in state.known if not unit.live]
    drawn = [(unit, found) for unit, found in known if found.sample == "random"]
    told = list(_told(state))
    write_text(folder / LABELS, [_table([*_of_results(known, locate), *told])])
    write_text(folder / RANDOM, [_table(_of_results(drawn, locate))])
    write_text(folder / WINDOWS, [_table(_of_parts(state, locate))])


def _of_results(known: Iterable[tuple[ReviewUnit, UnitState]], locate: Locate) -> Iterator[Cell]:
    for unit, found in known:
        span = (_place(unit, locate), *unit.clip)
        yield span, unit.recording, unit.label, bool(found.present)


def _told(state: ReviewState) -> Iterator[Cell]:
    """Classes that were named instead and are no candidates of their clip."""
    for answer in state.answers:
        unit = state.units[answer.key]
        clip = (unit.file, unit.clip, answer.other)
        if answer.other and not unit.live and clip not in state.by_clip:
            yield (_place(unit, lambda _: None), *unit.clip), unit.recording, answer.other, True


def _of_parts(state: ReviewState, locate: Locate) -> Iterator[Cell]:
    """The last answer about each part."""
    last = {(a.key, a.part): a for a in state.answers}
    for answer in last.values():
        if answer.answer == "skip":
            continue
        unit = state.units[answer.key]
        part = unit.parts[answer.part]
        span = (_place(unit, locate), part.start, part.end)
        if answer.other:
            yield span, unit.recording, answer.other, True
        if answer.other != unit.label:
            yield span, unit.recording, unit.label, answer.answer == "yes"


def _place(unit: ReviewUnit, locate: Locate) -> str:
    """The absolute path where the file is found, else its name in the results."""
    path = locate(unit)
    if path is not None:
        return str(path.absolute())
    if is_address(unit.file) or not unit.file.startswith(FORMULAS):
        return unit.file
    return f"./{unit.file}"  # the same file, and no formula of a spreadsheet


def _table(cells: Iterable[Cell]) -> str:
    """Classes without a single yes are left out; what was not asked about a clip is unknown."""
    rows: dict[Span, _Row] = defaultdict(lambda: _Row(""))
    for span, recording, label, present in cells:
        if not _writable(label):
            continue
        row = rows[span]
        row.recording = recording
        (row.present if present else row.absent).add(label)
    classes = {label for row in rows.values() for label in row.present}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for (file, start, end), row in rows.items():
        known = row.present | (row.absent & classes)
        if known and not any(c in file for c in "\r\n\0"):
            times = (f"{start:g}" if start else "", "" if end is None else f"{end:g}")
            unknown = _cell(classes - known)
            writer.writerow((file, _cell(row.present), *times, unknown, _safe(row.recording)))
    return text.getvalue()


def _writable(label: str) -> bool:
    """A manifest separates labels by | and strips spaces around them."""
    return bool(label) and label == label.strip() and not any(c in label for c in "|\r\n\0")


def _cell(labels: Iterable[str]) -> str:
    return _safe("|".join(sorted(labels)), "|")  # readers pass over an empty label


def _safe(text: str, guard: str = "'") -> str:
    return guard + text if text.startswith(FORMULAS) else text

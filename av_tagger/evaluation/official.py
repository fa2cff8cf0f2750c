"""Subtask A as the challenge's own script scores it, with everything that is odd about it, for comparison with published figures.

It looks at predicted clips only, so a clip that is left out costs nothing; it knows names letter by letter, so one with a leading `Y`
matches nothing and is passed over; a label said twice of a clip is one wrong label more (in the micro-average, not class by class);
a row of four columns whose end is 0 is dropped, with its clip when no other row names it; labels need not be classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from av_tagger.errors import TableError, UsageError
from av_tagger.evaluation.tagging import Averages

if TYPE_CHECKING:
    from pathlib import Path

Labels = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class OfficialTable:
    """Labels by name, repetitions included, and the script's count of files."""

    labels: Labels
    files: int


@dataclass(frozen=True)
class OfficialScores:
    micro: Averages  # "instance based": used for the ranking
    macro: Averages  # "class based"
    classes: Mapping[str, Averages]
    files: int

    def as_json(self) -> dict[str, Any]:
        classes = {label: vars(average) for label, average in self.classes.items()}
        return {
            "micro": vars(self.micro),
            "macro": vars(self.macro),
            "classes": classes,
            "files": self.files,
        }


def score_officially(truth: OfficialTable, predicted: OfficialTable) -> OfficialScores:
    pairs = [
        (truth.labels[name], said)
        for name, said in predicted.labels.items()
        if name in truth.labels
    ]
    right = sum((Counter(real) & Counter(said)).total() for real, said in pairs)
    wrong = sum((Counter(said) - Counter(real)).total() for real, said in pairs)
    missed = sum((Counter(real) - Counter(said)).total() for real, said in pairs)
    classes = _classes(pairs)
    if not classes:
        raise UsageError(
            "predictions and truth have no labelled clip in common; the official script fails on that, too"
        )
    macro = (
        sum(a.precision for a in classes.values()) / len(classes),
        sum(a.recall for a in classes.values()) / len(classes),
    )
    return OfficialScores(
        _averages(right, wrong, missed), Averages.of_two(*macro), classes, predicted.files
    )


def read_official(path: Path) -> OfficialTable:
    """A table as the script reads it: bytes, split at tabs, no column ever missed."""
    labels: dict[str, list[str]] = {}
    files = 0
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); give the path of a table"
        ) from error
    for number, line in enumerate(lines if lines[-1] else lines[:-1], 1):
        cells = [cell.strip() for cell in line.split(b"\t")]
        name = cells[0].split(b".wav")[0].split(b".flac")[0].strip().decode("utf-8", "replace")
        files += name not in labels
        if len(cells) == 4 and _ends_at_zero(path, number, cells[2]):
            continue
        label = cells[3].decode("utf-8", "replace") if len(cells) > 3 else ""
        labels.setdefault(name, []).extend([label] if label else [])
    return OfficialTable(labels, files)


def table_of(tags: Labels) -> OfficialTable:
    """What the script would read from a submission with these tags."""
    return OfficialTable(tags, len(tags))


def _ends_at_zero(path: Path, line: int, cell: bytes) -> bool:
    try:
        return float(cell) == 0.0
    except ValueError as error:
        text = cell.decode("utf-8", "replace")
        raise TableError(
            path, line, f"{text!r} is not a time", "an end in seconds in the third column"
        ) from error


def _classes(pairs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> dict[str, Averages]:
    """Class by class the script counts rows: a repeated right label is no error here."""
    right, wrong, missed = Counter[str](), Counter[str](), Counter[str]()
    for real, said in pairs:
        right.update(label for label in real if label in said)
        missed.update(label for label in real if label not in said)
        wrong.update(label for label in said if label not in real)
    names = sorted(right.keys() | wrong.keys() | missed.keys())
    return {name: _averages(right[name], wrong[name], missed[name]) for name in names}


def _averages(right: int, wrong: int, missed: int) -> Averages:
    precision = right / (right + wrong) if right + wrong else 0.0
    recall = right / (right + missed) if right + missed else 0.0
    return Averages.of_two(precision, recall)

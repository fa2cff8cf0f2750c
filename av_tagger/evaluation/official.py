"""Subtask A exactly as the challenge's script scores it, to compare with published figures.

How the script differs from `av_tagger.evaluation.tagging`:

- Only predicted clips count; a clip without a row costs nothing.
- Names are compared letter by letter: one with a leading `Y` matches nothing and is ignored.
- A repeated label of a clip is one more false positive in the micro-average, but not per class.
- A row of four columns that ends at 0 is dropped, and its clip too if no other row names it.
- Labels need not be classes.
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
Pairs = Iterable[tuple[Sequence[str], Sequence[str]]]  # true and predicted labels per clip


@dataclass(frozen=True)
class OfficialTable:
    """Labels by name, repetitions included, and the number of files as the script counts it."""

    labels: Labels
    files: int

    @classmethod
    def of(cls, tags: Labels) -> OfficialTable:
        """The table that the script would read from a submission with these tags."""
        return cls(tags, len(tags))


@dataclass(frozen=True)
class OfficialScores:
    micro: Averages  # "instance based": ranks the challenge
    macro: Averages  # "class based"
    classes: Mapping[str, Averages]
    files: int

    def as_json(self) -> dict[str, Any]:
        return {
            "micro": vars(self.micro),
            "macro": vars(self.macro),
            "classes": {label: vars(average) for label, average in self.classes.items()},
            "files": self.files,
        }


def score_officially(truth: OfficialTable, predicted: OfficialTable) -> OfficialScores:
    """Scores of the predicted clips that the truth has, too."""
    pairs = [
        (truth.labels[name], labels)
        for name, labels in predicted.labels.items()
        if name in truth.labels
    ]
    classes = _classes(pairs)
    if not classes:
        raise UsageError(
            "predictions and ground truth have no labelled clip in common;"
            " the official script fails on this, too"
        )
    precision = sum(a.precision for a in classes.values()) / len(classes)
    recall = sum(a.recall for a in classes.values()) / len(classes)
    return OfficialScores(_micro(pairs), Averages.of(precision, recall), classes, predicted.files)


def read_official(path: Path) -> OfficialTable:
    """A table as the script reads it: bytes split at tabs, missing columns are empty."""
    labels: dict[str, list[str]] = {}
    files = 0
    for number, line in enumerate(_lines(path), 1):
        cells = [cell.strip() for cell in line.split(b"\t")]
        name = _name(cells[0])
        files += name not in labels
        if len(cells) == 4 and _ends_at_zero(path, number, cells[2]):
            continue
        label = cells[3].decode("utf-8", "replace") if len(cells) > 3 else ""
        labels.setdefault(name, []).extend([label] if label else [])
    return OfficialTable(labels, files)


def _lines(path: Path) -> list[bytes]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); name a table") from error
    return lines if lines[-1] else lines[:-1]


def _name(cell: bytes) -> str:
    return cell.split(b".wav")[0].split(b".flac")[0].strip().decode("utf-8", "replace")


def _ends_at_zero(path: Path, line: int, cell: bytes) -> bool:
    try:
        return float(cell) == 0.0
    except ValueError as error:
        text = cell.decode("utf-8", "replace")
        expected = "an end in seconds in the third column"
        raise TableError(path, line, f"{text!r} is not a time", expected) from error


def _micro(pairs: Pairs) -> Averages:
    counted = [(Counter(real), Counter(said)) for real, said in pairs]
    right = sum((real & said).total() for real, said in counted)
    wrong = sum((said - real).total() for real, said in counted)
    missed = sum((real - said).total() for real, said in counted)
    return _averages(right, wrong, missed)


def _classes(pairs: Pairs) -> dict[str, Averages]:
    """Per class the script counts rows, so a repeated correct label is no error."""
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
    return Averages.of(precision, recall)

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

from av_tagger.dcase import clip_key
from av_tagger.dcase.tables import is_number
from av_tagger.errors import TableError, UsageError
from av_tagger.evaluation.tagging import Averages, ClipCoverage

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
    """The scores of the script, and which names it ignored without a word."""

    micro: Averages  # "instance based": ranks the challenge
    macro: Averages  # "class based"
    classes: Mapping[str, Averages]
    files: int
    coverage: ClipCoverage
    ignored: tuple[str, ...] = ()  # predicted names that the truth does not have
    respelt: tuple[str, ...] = ()  # those of them that it has in another spelling

    def as_json(self) -> dict[str, Any]:
        return {
            "micro": vars(self.micro),
            "macro": vars(self.macro),
            "classes": {label: vars(average) for label, average in self.classes.items()},
            "files": self.files,
            "coverage": self.coverage.as_json(),
            "ignored": list(self.ignored),
            "respelt": list(self.respelt),
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
        where = f"in common{_example(truth, predicted)}"
        raise UsageError(
            f"predictions and ground truth have no labelled clip {where};"
            " the official script fails on this, too"
        )
    precision = sum(a.precision for a in classes.values()) / len(classes)
    recall = sum(a.recall for a in classes.values()) / len(classes)
    known = {clip_key(name) for name in truth.labels}
    ignored = tuple(name for name in predicted.labels if name not in truth.labels)
    return OfficialScores(
        _micro(pairs),
        Averages.of(precision, recall),
        classes,
        predicted.files,
        ClipCoverage(len(truth.labels), len(pairs), len(ignored)),
        ignored,
        tuple(name for name in ignored if clip_key(name) in known),
    )


def _example(truth: OfficialTable, predicted: OfficialTable) -> str:
    """A predicted name and the truth's spelling of it, if that is why nothing matches."""
    spelt = {clip_key(name): name for name in truth.labels}
    for name in predicted.labels:
        if clip_key(name) in spelt:
            return f" ({name!r} is {spelt[clip_key(name)]!r} there: names have no leading Y)"
    return ""


def read_official(path: Path) -> OfficialTable:
    """A table as the script reads it: bytes split at tabs, missing columns are empty.

    Bytes that are not UTF-8 become escapes such as `\\xff`, so that different labels stay so.
    """
    labels: dict[str, list[str]] = {}
    files = 0
    for number, line in enumerate(_lines(path), 1):
        cells = [cell.strip() for cell in line.split(b"\t")]
        name = _name(cells[0])
        files += name not in labels
        if len(cells) == 4 and _ends_at_zero(path, number, cells[2]):
            continue
        label = _text(cells[3]) if len(cells) > 3 else ""
        labels.setdefault(name, []).extend([label] if label else [])
    return OfficialTable(labels, files)


def _lines(path: Path) -> list[bytes]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); name a table") from error
    return lines if lines[-1] else lines[:-1]


def _name(cell: bytes) -> str:
    return _text(cell.split(b".wav")[0].split(b".flac")[0].strip())


def _text(cell: bytes) -> str:
    return cell.decode("utf-8", "backslashreplace")


def _ends_at_zero(path: Path, line: int, cell: bytes) -> bool:
    text = _text(cell)
    if not is_number(text):
        expected = "an end in seconds in the third column"
        raise TableError(path, line, f"{text!r} is not a time", expected)
    return float(text) == 0.0


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

"""What captions say: texts per class and language from tables, the project's or the user's own."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from av_tagger.errors import TableError, UsageError, did_you_mean
from av_tagger.ontology import above, below
from av_tagger.reports.files import one_line

LABEL, FAINT = "label", "faint"  # the two columns that are no languages
DISTANCE = "distance"  # value of FAINT: a faint sound of this class is far away
PATTERNS = ("@distance", "@faint", "@loud", "@off-screen", "@continues")
COLUMNS = "tab-separated columns: label, a column per language such as de[, faint]"

Table = Mapping[str, Mapping[str, str]]  # by label, then by column


@dataclass(frozen=True)
class CaptionWords:
    """The texts of one language."""

    language: str
    rows: Table

    def text(self, label: str) -> str:
        """The text of a class: its own, that of the nearest class above it, else its label."""
        own = self.rows.get(label, {}).get(self.language)
        return own or self._of_a_class_above(label) or plain(label)

    def is_far_when_faint(self, label: str) -> bool:
        return self.rows.get(label, {}).get(FAINT) == DISTANCE

    def say(self, label: str, *patterns: str) -> str:
        """`[train horn in the distance]`: the text of a class within patterns, in brackets."""
        text = self.text(label)
        for pattern in patterns:
            form = self.rows.get(pattern, {}).get(self.language) or _english(pattern)
            text = form.replace("{}", text, 1)
        return f"[{text}]"

    def _of_a_class_above(self, label: str) -> str:
        parents = sorted(above(label), key=lambda parent: (len(below(parent)), parent))
        texts = (self.rows.get(parent, {}).get(self.language, "") for parent in parents)
        return next(filter(None, texts), "")


def caption_words(language: str = "en", table: Path | None = None) -> CaptionWords:
    """The words of a language; rows and languages of the user's table come first."""
    rows = {label: dict(row) for label, row in _own_table().items()}
    for label, row in ({} if table is None else _read(table)).items():
        rows.setdefault(label, {}).update({key: text for key, text in row.items() if text})
    known = sorted({key for row in rows.values() for key in row} - {FAINT})
    if language not in known:
        raise UsageError(
            f"there are no captions in language {language!r}; {did_you_mean(language, known)}"
        )
    return CaptionWords(language, rows)


def languages() -> tuple[str, ...]:
    """The languages of the project's table."""
    return tuple(key for key in next(iter(_own_table().values())) if key != FAINT)


def plain(text: str) -> str:
    """Text of others in one line, without control, format and surrogate characters."""
    kept = (c for c in one_line(text) if unicodedata.category(c) not in ("Cf", "Cs", "Cn"))
    return " ".join("".join(kept).split()).replace("[", "(").replace("]", ")")


@cache
def _own_table() -> Table:
    resource = files("av_tagger").joinpath("resources", "sound_captions.tsv")
    return _parsed(Path("sound_captions.tsv"), resource.read_text(encoding="utf-8"))


def _read(path: Path) -> Table:
    try:
        return _parsed(path, path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); name a table of captions"
        ) from error
    except UnicodeDecodeError as error:
        raise TableError(path, 1, f"is not UTF-8 text ({error.reason})", COLUMNS) from error


def _parsed(path: Path, text: str) -> Table:
    lines = [
        (number, [cell.strip() for cell in line.split("\t")])
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    number, heads = lines[0] if lines else (1, [])
    if heads[:1] != [LABEL] or len(heads) < 2:
        raise TableError(path, number, "has no heading", COLUMNS)
    rows: dict[str, dict[str, str]] = {}
    for number, cells in lines[1:]:
        if len(cells) > len(heads):
            raise TableError(path, number, f"has {len(cells)} cells, more than the heading")
        row = dict(zip(heads[1:], map(_line, cells[1:]), strict=False))
        if cells[0] in PATTERNS and any(text and "{}" not in text for text in row.values()):
            raise TableError(path, number, "has a pattern without {}, the place of the sound")
        rows[cells[0]] = row
    return rows


def _line(cell: str) -> str:
    return plain(cell)


def _english(pattern: str) -> str:
    return _own_table()[pattern]["en"]

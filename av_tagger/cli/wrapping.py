"""Messages at a terminal's width: a line ends between words, never in a path or a command."""

from __future__ import annotations

import re
import unicodedata

LEAST_WIDTH = 20  # in columns; a narrower terminal wraps by itself
PROGRAMS = "av-tag|pip|pip3|python3? -m|uv|sphinx-build"
AFTER = "or|and|to|for|then|as|is|adds|writes|lists|shows"  # words that are not part of a command
COMMAND = rf"(?:{PROGRAMS}) \S.*?(?=[;,:.)]*(?:\s\s|\s\(|\s(?:{AFTER})\b|$)|[;,:)]\s)"
WRITTEN = r"(?<=wrote )\S[^:;,]*[/\\][^:;,]*"  # a path, which may have spaces
QUOTED = r"(?<!\w)'[^']{1,60}'(?!\w)|\"[^\"]{1,60}\""
AMOUNT = r"(?<![\w.])\d[\d.,]* (?:%|(?:[kMGT]i?B|s|ms|h|dB|Hz)\b)"
PIECE = re.compile(rf"(?:{COMMAND}|{WRITTEN}|{QUOTED}|{AMOUNT}|\S)+")


def breaks(line: str, width: int, *, indent: int = 0) -> list[int]:
    """Where a line is broken: the places of the first characters of the further lines.

    `indent` columns of the further lines are taken by spaces.
    """
    places: list[int] = []
    start, room = 0, max(LEAST_WIDTH, width)
    for piece in PIECE.finditer(line):
        if columns(line[start : piece.end()]) > room and line[start : piece.start()].strip():
            start, room = piece.start(), max(LEAST_WIDTH, width - indent)
            places.append(start)
    return places


def indent_of(line: str) -> int:
    """The spaces that a line starts with: its further lines start with as many."""
    return len(line) - len(line.lstrip(" "))


def wrapped(text: str, width: int, *, hanging: int = 0) -> list[str]:
    """Lines of a text; further lines of a line are indented as it is, and by `hanging` more."""
    lines = []
    for line in text.split("\n"):
        indent = indent_of(line) + hanging
        places = breaks(line, width, indent=indent)
        parts = zip([0, *places], [*places, len(line)], strict=True)
        lines += [" " * (indent * (i > 0)) + line[i:j].rstrip() for i, j in parts]
    return lines


def columns(text: str) -> int:
    """The width of a text on a terminal: wide characters take two columns, marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + _is_wide(c) for c in text)


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in ("W", "F")

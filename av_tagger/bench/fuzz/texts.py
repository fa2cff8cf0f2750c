"""Mutations of texts: of numbers, strings, brackets and lines in TOML, JSON and tables."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
WORD = re.compile(r"[^\s,;=\[\]{}\"]+")
NUMBERS = (
    *("0", "-1", "1", "2", "0.5", "1e-300", "1e18", "-1e18", "1e308", "1e999", "100000000"),
    *("nan", "inf", "-inf", "NaN", "Infinity", "true", "null", '"text"', "[]", "{}", "[1]", "1.5"),
    *("9" * 5000, "0x" + "f" * 5000, "1_000", "-0", "0.0", "4294967296", "9223372036854775808"),
)
STRINGS = (
    *("", "auto", "none", "../..", "/", "a" * 5000, "\\u0000", "\\ud800", "\\u001b[31m"),
    *("=1+1", "<script>", "ä", "日本", "Speech", "NaN", "1", "-", "%s%n", "{0}", "[/]", "C:\\\\x"),
)
DEEP = 5000
Mutation = Callable[[bytes, random.Random], bytes]
Step = Callable[[str, random.Random], str]


def mutated_text(data: bytes, draw: random.Random) -> bytes:
    """One to four mutations; now and then bytes that are no UTF-8."""
    text = data.decode("utf-8", "surrogateescape")
    for _ in range(draw.randint(1, 4)):
        text = draw.choice(STEPS)(text, draw)
    found = text[: 1 << 20].encode("utf-8", "surrogateescape")
    if draw.random() < 0.05:
        at = draw.randrange(len(found) + 1)
        found = found[:at] + draw.choice((b"\xff\xfe", b"\x00", b"\xed\xa0\x80")) + found[at:]
    return found if found != data else data + b"\n[["


def mutated_header(data: bytes, draw: random.Random, inside: Mutation) -> bytes:
    """A safetensors file with another header; its length fits, so that the header is read."""
    length = struct.unpack_from("<Q", data)[0] if len(data) >= 8 else 0
    head = data[8 : 8 + length]
    inner = draw.random() < 0.8  # the text within the metadata, which is ours
    try:
        table = json.loads(head)
        key = draw.choice(sorted(table["__metadata__"]))
        if inner:
            ours = table["__metadata__"][key].encode()
            table["__metadata__"][key] = inside(ours, draw).decode("utf-8", "replace")
            head = json.dumps(table).encode()
        else:
            head = mutated_text(head, draw)
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        head = mutated_text(head, draw)
    return struct.pack("<Q", len(head)) + head + data[8 + length :]


def _replaced(pattern: re.Pattern[str], values: tuple[str, ...], quoted: bool = False) -> Step:
    def step(text: str, draw: random.Random) -> str:
        found = list(pattern.finditer(text))
        if not found:
            return text + draw.choice(values)
        one, value = draw.choice(found), draw.choice(values)
        value = f'"{value}"' if quoted else value
        return text[: one.start()] + value + text[one.end() :]

    return step


def _moved_word(text: str, draw: random.Random) -> str:
    """A word of the text in the place of another."""
    found = list(WORD.finditer(text))
    if not found:
        return text
    one, other = draw.choices(found, k=2)
    return text[: one.start()] + other[0] + text[one.end() :]


def _nested(text: str, draw: random.Random) -> str:
    """A value within many brackets."""
    found = list(NUMBER.finditer(text)) + list(STRING.finditer(text))
    if not found:
        return "[" * DEEP + text
    one, depth = draw.choice(found), draw.choice((2, 40, 500, DEEP))
    opening, closing = draw.choice((("[", "]"), ('{"a":', "}"), ("[", "")))
    inside = opening * depth + one[0] + closing * depth
    return text[: one.start()] + inside + text[one.end() :]


def _of_lines(change: Callable[[list[str], random.Random], None]) -> Step:
    def step(text: str, draw: random.Random) -> str:
        lines = text.split("\n")
        change(lines, draw)
        return "\n".join(lines)

    return step


def _drop_line(lines: list[str], draw: random.Random) -> None:
    del lines[draw.randrange(len(lines))]
    lines.extend([""] if not lines else [])


def _repeat_line(lines: list[str], draw: random.Random) -> None:
    at = draw.randrange(len(lines))
    lines[at:at] = [lines[at]] * draw.choice((1, 1, 2, 100))


def _swap_lines(lines: list[str], draw: random.Random) -> None:
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def _other_separators(text: str, draw: random.Random) -> str:
    one, other = draw.sample(["\t", ",", ";", "\n", "\r\n", " ", "=", ":", '"'], 2)
    return text.replace(one, other, draw.choice((1, 2, 1000)))


def _cut(text: str, draw: random.Random) -> str:
    return text[: draw.randrange(len(text) + 1)]


STEPS: tuple[Step, ...] = (
    _replaced(NUMBER, NUMBERS),
    _replaced(NUMBER, NUMBERS),
    _replaced(STRING, STRINGS, quoted=True),
    _replaced(STRING, NUMBERS),
    _replaced(WORD, NUMBERS + STRINGS),
    _moved_word,
    _nested,
    _of_lines(_drop_line),
    _of_lines(_repeat_line),
    _of_lines(_swap_lines),
    _other_separators,
    _cut,
)

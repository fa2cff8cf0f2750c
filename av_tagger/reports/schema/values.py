"""Checked access to the values of a parsed JSON object; every error names the path to the value.

`where` is the path to the object that holds the key, such as `"tags[0]."`.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Mapping
from typing import Any

from av_tagger.errors import UsageError

Object = Mapping[str, Any]

NUMBER_TYPES = {int, float, type(None)}  # exact types: a bool is no number
LONGEST_SECONDS = 366 * 86_400.0  # a year; a longer time is a mistake, and costs memory
# Half of a character pair. Bytes of file names that are not UTF-8 are U+DC80 to U+DCFF.
_NO_TEXT = re.compile(r"[\ud800-\udc7f\udd00-\udfff\x00]")


def wrong(name: str, value: object, expected: str) -> UsageError:
    """`reprlib` bounds the depth, too: `repr` of deeply nested lists ends in a RecursionError."""
    return UsageError(f"{name} is {reprlib.repr(value):.40}; expected {expected}")


def value_of(table: Object, key: str, where: str) -> Any:
    try:
        return table[key]
    except KeyError:
        raise UsageError(f"has no field {where + key!r}; tag the file again") from None


def text(table: Object, key: str, where: str) -> str:
    return text_of(value_of(table, key, where), where + key)


def text_of(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise wrong(name, value, "text")
    if _NO_TEXT.search(value):
        raise wrong(name, ascii(value[:30]), "text without NUL and half characters")
    return value


def object_of(table: Object, key: str, where: str) -> Object:
    """An object; a missing key is an empty one."""
    value = table.get(key, {})
    if not isinstance(value, Mapping):
        raise wrong(where + key, value, "an object")
    return value


def list_of(table: Object, key: str, where: str) -> list[Any]:
    """A list; a missing key is an empty one."""
    value = table.get(key, [])
    if not isinstance(value, list):
        raise wrong(where + key, value, "a list")
    return value


def objects(table: Object, key: str, where: str) -> list[tuple[Object, str]]:
    """The objects of a list, each with the path to it."""
    found = []
    for n, value in enumerate(list_of(table, key, where)):
        if not isinstance(value, Mapping):
            raise wrong(f"{where}{key}[{n}]", value, "an object")
        found.append((value, f"{where}{key}[{n}]."))
    return found


def objects_by_name(table: Object, key: str) -> list[tuple[str, Object]]:
    rows = object_of(table, key, "")
    for name, row in rows.items():
        text_of(name, f"a name in {key}")
        if not isinstance(row, Mapping):
            raise wrong(f"{key}[{name!r}]", row, "an object")
    return list(rows.items())


def maybe_number(
    table: Object, key: str, where: str, *, low: float = -math.inf, high: float = math.inf
) -> float | None:
    """A finite number within bounds; None for null and for a missing key."""
    value = table.get(key)
    if value is None:
        return None
    if type(value) not in NUMBER_TYPES or not low <= value <= high or not abs(value) < math.inf:
        raise wrong(where + key, value, _expected(low, high))
    try:
        return float(value)
    except OverflowError:
        raise wrong(where + key, value, _expected(low, high)) from None


def _expected(low: float, high: float) -> str:
    if math.isinf(low):
        return "a number, or null"
    return f"a number from {low:g}" + ("" if math.isinf(high) else f" to {high:.10g}") + ", or null"


def number(
    table: Object,
    key: str,
    where: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    missing: float = math.nan,
) -> float:
    value = maybe_number(table, key, where, low=low, high=high)
    return missing if value is None else value


def seconds(table: Object, key: str, where: str) -> float:
    """A time that a recording can have; NaN if missing."""
    return number(table, key, where, low=0, high=LONGEST_SECONDS)


def probability(table: Object, key: str, where: str) -> float:
    return number(table, key, where, low=0, high=1)


def maybe_probability(table: Object, key: str, where: str) -> float | None:
    return maybe_number(table, key, where, low=0, high=1)

"""Mutations of values in tables that stay valid TOML or JSON: of numbers, texts, lists and keys."""

from __future__ import annotations

import copy
import json
import math
import random
import tomllib
from collections.abc import Callable
from typing import Any

from av_tagger.bench.fuzz.texts import STRINGS, mutated_text

Load = Callable[[str], Any]
Dump = Callable[[Any], str]
DEEP = 40
NUMBERS = (
    *(0, 1, -1, 2, 7, 0.5, -0.0, 1e-300, 1e18, -1e18, 1e308, math.inf, -math.inf, math.nan),
    *(2**31, 2**63, 10**30, 100_000_000, True, False),
)


def mutated_toml(data: bytes, draw: random.Random) -> bytes:
    """Other values in a table; a quarter of the mutants are changed as text."""
    return _mutated(data, draw, tomllib.loads, toml)


def mutated_json(data: bytes, draw: random.Random) -> bytes:
    """Other values in one of the lines of JSON, or as text."""
    lines = data.split(b"\n")
    at = draw.randrange(len(lines))
    lines[at] = _mutated(lines[at], draw, json.loads, json.dumps)
    return b"\n".join(lines)


def toml(table: Any) -> str:
    """A table as TOML, with its own tables in one line each."""
    return "".join(f"{_key(key)} = {_toml_value(value)}\n" for key, value in table.items())


def _mutated(data: bytes, draw: random.Random, load: Load, dump: Dump) -> bytes:
    if draw.random() < 0.25:
        return mutated_text(data, draw)
    try:
        table = load(data.decode())
        for _ in range(draw.randint(1, 3)):
            table = _changed(table, draw)
        found = dump(table).encode("utf-8", "surrogatepass")
        return found if found != data else mutated_text(data, draw)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return mutated_text(data, draw)


def _changed(table: Any, draw: random.Random) -> Any:
    """A copy with one change somewhere in it."""
    found = copy.deepcopy(table)
    places = list(_places(found))
    if not places:
        return _extreme(found, draw)
    parent, key = draw.choice(places)
    change = draw.choice((_replace, _replace, _replace, _drop, _repeat, _rename, _swap))
    change(parent, key, draw)
    return found


def _places(value: Any) -> list[tuple[Any, Any]]:
    """All places in nested tables and lists: the container and the key or index in it."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found: list[tuple[Any, Any]] = []
    for key in keys if isinstance(value, dict | list) else ():
        found.append((value, key))
        if isinstance(value[key], dict | list):
            found += _places(value[key])
    return found


def _replace(parent: Any, key: Any, draw: random.Random) -> None:
    parent[key] = _extreme(parent[key], draw)


def _drop(parent: Any, key: Any, draw: random.Random) -> None:
    del draw, parent[key]


def _repeat(parent: Any, key: Any, draw: random.Random) -> None:
    if isinstance(parent, list):
        parent[key:key] = [parent[key]] * draw.choice((1, 2, 500))


def _rename(parent: Any, key: Any, draw: random.Random) -> None:
    if isinstance(parent, dict):
        parent[draw.choice((*parent, *STRINGS))] = parent.pop(key)


def _swap(parent: Any, key: Any, draw: random.Random) -> None:
    other = draw.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
    parent[key], parent[other] = parent[other], parent[key]


def _extreme(value: Any, draw: random.Random) -> Any:
    """Something else of the same type, now and then of another."""
    if isinstance(value, int | float) and draw.random() < 0.8:
        near = (value * 1000, -value, value + 1, value / 2, value * 1e6)
        return draw.choice((*near, *NUMBERS))
    if isinstance(value, str) and draw.random() < 0.7:
        return draw.choice((*STRINGS, value + "x", value.upper(), value * 300))
    deep: Any = value
    for _ in range(DEEP):
        deep = draw.choice(([deep], {"a": deep}))
    return draw.choice((*NUMBERS, *STRINGS, None, [], {}, [1], {"a": 1}, [value] * 3, deep))


def _key(key: str) -> str:
    return json.dumps(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_toml_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return '""' if value is None else json.dumps(value)

"""Tables of TOML or JSON to frozen dataclasses; unknown keys and wrong types are errors."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import reprlib
import tomllib
import types
import typing
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from av_tagger.errors import LONGEST_REASON, UsageError, did_you_mean, in_line

T = TypeVar("T")

DEEPEST = 32  # levels of lists and tables in a file
LARGEST = 1e15  # of a number; every setting has its own bounds far below
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 2


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); name an existing TOML file"
        ) from error
    except ValueError as error:
        raise UsageError(f"{path}: is not valid TOML ({error})") from error


def parse_toml(text: str) -> dict[str, Any]:
    """ValueError, in one line, for all that is no TOML or nested without end."""
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    except ValueError as error:
        raise ValueError(_in_short(error)) from error
    _check_depth(table)
    return table


def parse_json(text: str | bytes) -> Any:
    """ValueError, in one line, for all that is no JSON or nested without end."""
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    except ValueError as error:
        raise ValueError(_in_short(error)) from error
    _check_depth(value)
    return value


def shown(value: object) -> str:
    """A value for a message: short, whatever it is."""
    try:
        return _SHORT.repr(value)
    except (ValueError, RecursionError):  # thousands of digits or levels
        return f"a {type(value).__name__} that is too long to show"


def check_range(settings: object, low: float, high: float, *names: str) -> None:
    """ValueError that names the first of these numbers outside the range; None is skipped."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not low <= value <= high:
            raise ValueError(f"{name} must lie between {low:g} and {high:g}, not {shown(value)}")


def from_table(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """Build a settings dataclass from a table; `where` is its file and section, for messages."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{where}: expected a table of settings, got {shown(table)}")
    table = _renamed(kind, table, where)
    hints = typing.get_type_hints(kind)
    fields = {f.name for f in dataclasses.fields(kind) if f.init}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            hint = did_you_mean(str(key)[:100], fields)
            raise UsageError(f"{where}: there is no setting {shown(key)}; {hint}")
    _check_complete(kind, table, where)
    values = {key: _convert(hints[key], value, f"{where}.{key}") for key, value in table.items()}
    try:
        return kind(**values)
    except (TypeError, ValueError, ArithmeticError, UsageError) as error:
        raise UsageError(f"{where}: {in_line(str(error), LONGEST_REASON)}") from error


def to_table(settings: Any) -> dict[str, Any]:
    """The reverse of `from_table`: plain values for JSON and TOML."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings), default=str))
    return plain


def fingerprint(*parts: Any) -> str:
    """Twelve hexadecimal digits of a hash of `parts` (plain values)."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _check_complete(kind: type[T], table: Mapping[str, Any], where: str) -> None:
    for f in dataclasses.fields(kind):  # type: ignore[arg-type]
        optional = f.default is not dataclasses.MISSING
        optional = optional or f.default_factory is not dataclasses.MISSING
        if f.init and not optional and f.name not in table:
            raise UsageError(f"{where}: has no {f.name!r}")


def _in_short(error: ValueError) -> str:
    """A parser's own words, but for Python's advice to programmers."""
    text = " ".join(str(error).split())
    return "a number has thousands of digits" if text.startswith("Exceeds the limit") else text


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
            elif isinstance(item, list):
                below += item
        level = below
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def _renamed(kind: type[T], table: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Old names of settings still work, with a warning."""
    new_names: Mapping[str, str] = getattr(kind, "RENAMED", {})
    for old in table.keys() & new_names.keys():
        message = f"{where}: the setting {old!r} is now called {new_names[old]!r}"
        warnings.warn(message, FutureWarning, stacklevel=2)
    return {new_names.get(key, key): value for key, value in table.items()}


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(arguments, value, where)
    if origin is typing.Literal:
        if value not in arguments or isinstance(value, bool):
            hint = did_you_mean(shown(value).strip("'"), map(str, arguments))
            raise UsageError(f"{where}: {shown(value)} is not a choice; {hint}")
        return value
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise UsageError(f"{where}: expected a table, got {shown(value)}")
        return {key: _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return from_table(typing.cast("type[Any]", hint), value, where)
    return _convert_plain(hint, value, where)


def _convert_union(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in choices:
        return None
    reasons = []
    for choice in (c for c in choices if c is not type(None)):
        try:
            return _convert(choice, value, where)
        except UsageError as error:
            reasons.append(str(error))
    raise UsageError(reasons[0])


def _convert_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise UsageError(f"{where}: expected a list, got {shown(value)}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if len(arguments) != len(value):
        raise UsageError(f"{where}: expected {len(arguments)} values, got {len(value)}")
    return tuple(
        _convert(a, item, f"{where}[{i}]")
        for i, (a, item) in enumerate(zip(arguments, value, strict=True))
    )


def _convert_plain(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if hint is Path and isinstance(value, str) and "\0" not in value:
        return Path(value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint in (int, float) and number and not abs(value) <= LARGEST:  # NaN, too
        raise UsageError(f"{where}: expected a finite, plausible number, got {shown(value)}")
    if hint is float and number:
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise UsageError(f"{where}: expected {_NAMES.get(hint, hint.__name__)}, got {shown(value)}")
    if isinstance(value, str) and "\0" in value:
        raise UsageError(f"{where}: expected text without null characters, got {shown(value)}")
    return value


_TOO_DEEP = f"it is nested more than {DEEPEST} levels deep"
_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
}

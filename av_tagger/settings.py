"""Tables of TOML or JSON to frozen dataclasses; unknown keys and wrong types are errors."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
import types
import typing
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from av_tagger.errors import UsageError, did_you_mean

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); name an existing TOML file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is not valid TOML ({error})") from error


def from_table(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """Build a settings dataclass from a table; `where` is its file and section, for messages."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{where}: expected a table of settings, got {table!r}")
    table = _renamed(kind, table, where)
    hints = typing.get_type_hints(kind)
    fields = {f.name for f in dataclasses.fields(kind) if f.init}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            raise UsageError(f"{where}: there is no setting {key!r}; {did_you_mean(key, fields)}")
    values = {key: _convert(hints[key], value, f"{where}.{key}") for key, value in table.items()}
    try:
        return kind(**values)
    except (TypeError, ValueError, UsageError) as error:
        raise UsageError(f"{where}: {error}") from error


def to_table(settings: Any) -> dict[str, Any]:
    """The reverse of `from_table`: plain values for JSON and TOML."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings), default=str))
    return plain


def fingerprint(*parts: Any) -> str:
    """Twelve hexadecimal digits of a hash of `parts` (plain values)."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


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
        if value not in arguments:
            hint = did_you_mean(str(value), map(str, arguments))
            raise UsageError(f"{where}: {value!r} is not a choice; {hint}")
        return value
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if origin is dict:
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
        raise UsageError(f"{where}: expected a list, got {value!r}")
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
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise UsageError(f"{where}: expected {_NAMES.get(hint, hint.__name__)}, got {value!r}")
    return value


_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
}

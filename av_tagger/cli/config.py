"""av-tag config: every setting, its value and where it comes from; a commented settings file."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from av_tagger.cli.options import ModelOptions, command
from av_tagger.flags import FLAG, option

WIDTH = 79
NAME_WIDTH, VALUE_WIDTH = 27, 30
PLACEHOLDERS = {"threshold": "0.5", "floor": "0.5", "frame_rate": "8.0"}  # of settings without one


@dataclass(frozen=True, kw_only=True)
class ConfigOptions(ModelOptions):
    example: bool = option(False, "Print a settings file with every setting, commented.")


@dataclass(frozen=True)
class Setting:
    """One setting as the command prints it."""

    name: str  # with its table: `media.window_seconds`
    value: Any
    origin: str
    about: str


def _config(options: ConfigOptions) -> None:
    """Show all settings, their values, and where each comes from."""
    from av_tagger.cli.console import stdout_console

    if options.example:
        print("\n".join(_example()))
        return
    console = stdout_console()
    for one in settings(options):
        value = "not set" if one.value is None else _toml(one.value)
        console.say(f"{one.name:{NAME_WIDTH}s} {value:{VALUE_WIDTH}s} {one.origin}".rstrip())
    console.say("to change them: flags, or --config FILE; av-tag config --example writes one")


def settings(options: ModelOptions) -> Iterator[Setting]:
    """All settings of a run with these flags, in the order of the settings file."""
    from av_tagger.cli.session import settings_of
    from av_tagger.settings import read_toml, to_table

    in_file = dict(_flat(read_toml(options.config))) if options.config is not None else {}
    for name, value in _flat(to_table(settings_of(options))):
        if name in options.given:
            origin = "flag"
        elif name in in_file:
            origin = str(options.config)
        else:
            origin = "AV_TAGGER_OFFLINE" if name == "offline" and value else "default"
        yield Setting(name, value, origin, _about().get(name, ""))


def _example() -> Iterator[str]:
    """A settings file in which every line is a comment, with the defaults."""
    from av_tagger.config import Config
    from av_tagger.settings import to_table

    yield "# Settings of av-tag: use it with --config FILE. Take the # away to set one."
    yield "# Flags come before this file. All settings are listed with their defaults."
    table = ""
    for name, value in _flat(to_table(Config())):
        head, _, key = name.rpartition(".")
        if head != table:
            table = head
            yield f"\n[{head}]"
        yield ""
        yield from (f"# {line}" for line in textwrap.wrap(_about().get(name, ""), WIDTH - 2))
        shown = _toml(value) if value is not None else PLACEHOLDERS.get(key, '"..."')
        yield f"# {key} = {shown}" + ("  # not set" if value is None else "")


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Plain values first, then those of each table: `("media.window_seconds", 10.0)`."""
    tables = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    for key, value in table.items():
        if key not in tables:
            yield f"{prefix}{key}", value
    for key, inner in tables.items():
        yield from _flat(inner, f"{prefix}{key}.")


def _about() -> dict[str, str]:
    """What each setting means: the help text of its flag, or the comment beside its field."""
    from av_tagger.config import Config

    found: dict[str, str] = {}
    for field in dataclasses.fields(Config):
        flag = field.metadata.get(FLAG)
        if flag is not None:
            found[field.name] = flag.help
        elif inspect.isclass(made := field.default_factory):
            comments = _comments(made)
            found |= {f"{field.name}.{key}": text for key, text in comments.items()}
    return found


def _comments(kind: type) -> dict[str, str]:
    """The comments at the ends of the lines that declare a dataclass's fields."""
    found = {}
    for line in inspect.getsource(kind).splitlines():
        declared, sign, comment = line.partition("  # ")
        key, colon, _ = declared.strip().partition(":")
        if sign and colon and key.isidentifier():
            found[key] = comment[0].upper() + comment[1:] + "."
    return found


def _toml(value: Any) -> str:
    import json

    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


config = command(ConfigOptions, _config)

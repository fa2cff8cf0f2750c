"""From declared flags to commands: names, types, defaults, and which flags were given."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import typer

from av_tagger.cli.help import Command
from av_tagger.cli.main import COMMANDS
from av_tagger.cli.options import ModelOptions, command
from av_tagger.config import Config
from av_tagger.flags import (
    FLAG,
    RunFlags,
    argument,
    given,
    option,
    optional_argument,
    required,
    same,
)


@dataclass(frozen=True)
class Common:
    speed: float = option(1.5, "How fast.", low=0, high=9)
    mode: Literal["a", "b"] | None = option(None, "Which one.", metavar="a|b")
    dry_run: bool = option(False, "Change nothing.")


@dataclass(frozen=True, kw_only=True)
class Options:
    common: Mapping[str, Any] = given(Common)
    files: list[str] = argument("FILE...", "Input.")
    target: Path = required("Output.", "-o", "--target")
    count: int = option(3, "How many.", low=1)
    tags: list[Path] | None = option(None, "Repeatable.")
    speed_limit: float = same(Common, "speed", help="The highest.")


def run(*words: str, body: Any = None) -> Any:
    """The options that a command with these words gets, or its exit code."""
    seen: list[Options] = []
    app = typer.Typer(rich_markup_mode=None)
    app.command(cls=Command)(command(Options, body or seen.append))
    code = app(list(words), standalone_mode=False)
    return seen[0] if seen else code


def test_types_and_defaults() -> None:
    options = run("a", "b", "-o", "out")
    assert options == Options(files=["a", "b"], target=Path("out"))
    assert (options.count, options.tags, options.speed_limit) == (3, None, 1.5)


def test_values_are_converted() -> None:
    words = ("a", "--target", "x", "--count", "7", "--tags", "p", "--tags", "q")
    options = run(*words, "--speed-limit", "4")
    assert (options.count, options.tags) == (7, [Path("p"), Path("q")])
    assert options.speed_limit == 4.0


def test_only_given_flags_are_in_the_mapping() -> None:
    assert run("a", "-o", "x").common == {}
    assert run("a", "-o", "x", "--dry-run", "--mode", "b").common == {"mode": "b", "dry_run": True}
    assert run("a", "-o", "x", "--speed", "0").common == {"speed": 0.0}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("a",), "target"),
        (("-o", "x"), "files"),
        (("a", "-o", "x", "--count", "0"), "greater than or equal to 1|0 is not in the range"),
        (("a", "-o", "x", "--count", "many"), "valid integer"),
        (("a", "-o", "x", "--speed", "10"), "less than or equal to 9|10.0 is not in the range"),
        (("a", "-o", "x", "--nothing"), "nothing"),
    ],
)
def test_wrong_words_are_usage_errors(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(Exception, match=sentence) as caught:
        run(*words)
    assert hasattr(caught.value, "format_message")


def test_the_result_of_the_body_is_the_exit_code() -> None:
    assert run("a", "-o", "x", body=lambda options: 3) == 3
    assert run("a", "-o", "x", body=lambda options: 0) in (0, None)


def test_an_argument_may_be_optional() -> None:
    @dataclass(frozen=True)
    class Few:
        names: list[str] | None = optional_argument(None, "[NAME]...", "Names.")

    seen: list[Any] = []
    app = typer.Typer(rich_markup_mode=None)
    app.command(cls=Command)(command(Few, lambda options: seen.append(options.names)))
    app([], standalone_mode=False)
    app(["a", "b"], standalone_mode=False)
    assert [list(names or []) for names in seen] == [[], ["a", "b"]]


def test_a_flag_used_again_keeps_its_declaration() -> None:
    again = next(f for f in dataclasses.fields(Options) if f.name == "speed_limit")
    assert again.metadata[FLAG].help == "The highest."
    assert again.metadata[FLAG].high == 9


def test_every_flag_of_a_run_is_a_setting_with_the_same_default() -> None:
    settings = {f.name: f for f in dataclasses.fields(Config)}
    for flag in dataclasses.fields(RunFlags):
        assert settings[flag.name].default == flag.default
        assert settings[flag.name].type == flag.type
    assert ModelOptions().given == {}


def test_every_command_is_documented() -> None:
    for name, members in COMMANDS.items():
        for function in members.values() if isinstance(members, dict) else [members]:
            assert (function.__doc__ or "").strip().endswith("."), name

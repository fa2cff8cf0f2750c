"""av-tag: the list of commands, the default command, and errors as exit codes."""

from __future__ import annotations

import difflib
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer

from av_tagger.cli.commands import GROUPS, Commands
from av_tagger.cli.completion import COMPLETING, name_the_default
from av_tagger.cli.help import Command, Group
from av_tagger.cli.output import (
    CANNOT_WRITE,
    CLOSED_PIPE,
    OutputError,
    guarded_output,
    print_error,
)
from av_tagger.errors import AvTaggerError

USAGE = 2
INTERRUPTED = 130
NEAR = 0.75  # likeness of a mistyped command, 1 is the same
VERSION = "--version"
FLAGS = ("-h", "--help", VERSION, "--install-completion", "--show-completion")
SWITCHES = ("-q", "--quiet", "-v", "--verbose", "--json", "--offline")  # that many commands have
HELP_FLAGS = {"help_option_names": ["-h", "--help"]}

COMMANDS = Commands()


def _print_version(wanted: bool) -> None:
    if wanted:
        from av_tagger import __version__

        print(f"av-tag {__version__}")
        raise typer.Exit


def about(
    version: Annotated[
        bool, typer.Option(VERSION, callback=_print_version, help="Show the version.")
    ] = False,
) -> None:
    """Tell which sounds happen in a video, when, and why: from its sound and its pictures."""


def make_app(names: Iterable[str]) -> typer.Typer:
    """The command line with these commands."""
    made = typer.Typer(
        name="av-tag",
        cls=Group,
        context_settings=HELP_FLAGS,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        epilog="av-tag video.mp4 is short for av-tag tag video.mp4. Flags: av-tag tag --help",
    )
    made.callback()(about)
    for name in names:
        found = COMMANDS[name]
        if isinstance(found, dict):
            group = typer.Typer(cls=Group, help=GROUPS[name], rich_markup_mode=None)
            for member, function in found.items():
                group.command(member, cls=Command)(function)
            made.add_typer(group, name=name)
        else:
            made.command(name, cls=Command)(found)
    return made


def app(words: Sequence[str], **settings: Any) -> Any:
    """Run the words; all commands are imported only where they are listed or completed."""
    first = words[0] if words else ""
    names: Iterable[str] = COMMANDS
    if COMPLETING not in os.environ and first in (*COMMANDS, VERSION):
        names = [first] if first != VERSION else []
    return make_app(names)(words, **settings)


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script. A first word that names a command runs it; all else is for `tag`."""
    name_the_default(os.environ, {*COMMANDS, *FLAGS})
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    words = _command_first(words)
    if len(words) == 1 and words[0] in GROUPS:
        words.append("--help")
    if words[0] not in {*COMMANDS, *FLAGS}:
        if near := _mistyped(words[0]):
            print_error(f"there is no command or file {words[0]!r}; {near}")
            sys.exit(USAGE)
        words.insert(0, "tag")
    sys.exit(_run_guarded(words))


def _command_first(words: list[str]) -> list[str]:
    """`--quiet batch FOLDER` means `batch FOLDER --quiet`; a file called `batch` stays a file."""
    at = next((i for i, word in enumerate(words) if word not in SWITCHES), 0)
    name = words[at]
    if at == 0 or "--" in words or name not in COMMANDS or os.path.lexists(name):
        return words
    return [*words[at:], *words[:at]]


def _run_guarded(words: list[str]) -> int:
    """Run one command; a full or closed stdout is one sentence, a closed pipe is silent."""
    try:
        with guarded_output():
            return run(words)
    except OutputError as error:
        if error.closed_pipe:
            return CLOSED_PIPE
        with suppress(OSError):
            print_error(f"standard output cannot be written ({error})")
        return CANNOT_WRITE


def _mistyped(word: str) -> str:
    """`did you mean 'doctor'?` for a word that is nearly a command and no file; else empty."""
    near = difflib.get_close_matches(word, COMMANDS, n=1, cutoff=NEAR)
    is_name = not word.startswith("-") and word.replace("-", "").isalpha()
    if not near or not is_name or os.path.lexists(word):
        return ""
    return f"did you mean 'av-tag {near[0]}'? see av-tag --help"


def run(words: list[str]) -> int:
    """Run one command. An AvTaggerError is one sentence on stderr and exit code 2."""
    try:
        result = app(words, standalone_mode=False, prog_name="av-tag")
    except AvTaggerError as error:
        print_error(str(error))
        return USAGE
    except KeyboardInterrupt:
        print_error("interrupted")
        return INTERRUPTED
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _usage_error(error)
    return result if isinstance(result, int) else 0


def _usage_error(error: Any) -> int:
    """A usage error of the command line itself, such as an unknown flag: also one sentence."""
    path, near = getattr(getattr(error, "ctx", None), "command_path", "av-tag"), ""
    if message := error.format_message().strip():
        if message.startswith("No such command"):
            message, near = message.partition(" Did you mean")[0], _near_member(message, error)
        print_error(f"{message.rstrip('.')}; {near}see {path} --help")
    return int(error.exit_code)


def _near_member(message: str, error: Any) -> str:
    """`did you mean 'list'? ` for `No such command 'lst'`."""
    members = getattr(getattr(getattr(error, "ctx", None), "command", None), "commands", {})
    word = message.partition("'")[2].partition("'")[0]
    near = difflib.get_close_matches(word, members, n=1)
    return f"did you mean {near[0]!r}? " if near else ""


logging.getLogger("av_tagger").addHandler(logging.NullHandler())

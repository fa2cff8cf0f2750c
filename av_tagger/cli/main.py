"""av-tag: the list of commands, the default command, and errors as exit codes."""

from __future__ import annotations

import difflib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer

from av_tagger.cli import (
    analyse,
    arena,
    batch,
    bench,
    caption,
    classes,
    config,
    cut,
    demo,
    doctor,
    embed,
    evaluate,
    export,
    find,
    handover,
    listen,
    recipes,
    report,
    review,
    tag,
    train,
    tune,
    vote,
    weights,
)
from av_tagger.cli.completion import name_the_default
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
FLAGS = ("-h", "--help", "--version", "--install-completion", "--show-completion")
HELP_FLAGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="av-tag",
    cls=Group,
    context_settings=HELP_FLAGS,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="av-tag video.mp4 is short for av-tag tag video.mp4. Flags: av-tag tag --help",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from av_tagger import __version__

        print(f"av-tag {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, help="Show the version.")
    ] = False,
) -> None:
    """Tell which sounds happen in a video, when, and why: from its sound and its pictures."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script. A first word that names a command runs it; all else is for `tag`."""
    name_the_default(os.environ, {*COMMANDS, *FLAGS})
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if len(words) == 1 and isinstance(COMMANDS.get(words[0]), dict):
        words.append("--help")
    if words[0] not in {*COMMANDS, *FLAGS}:
        if near := _mistyped(words[0]):
            print_error(f"there is no command or file {words[0]!r}; {near}")
            sys.exit(USAGE)
        words.insert(0, "tag")
    sys.exit(_run_guarded(words))


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


def _group(name: str, members: dict[str, Callable[..., Any]], text: str) -> None:
    group = typer.Typer(cls=Group, help=text, rich_markup_mode=None)
    for member, function in members.items():
        group.command(member, cls=Command)(function)
    app.add_typer(group, name=name)


logging.getLogger("av_tagger").addHandler(logging.NullHandler())

COMMANDS: dict[str, Callable[..., Any] | dict[str, Callable[..., Any]]] = {
    "tag": tag.tag,
    "batch": batch.batch,
    "listen": listen.listen,
    "demo": demo.demo,
    "report": report.report,
    "find": find.find,
    "index": find.index,
    "review": review.review,
    "cut": cut.cut,
    "caption": caption.caption,
    "handover": handover.handover,
    "evaluate": evaluate.evaluate,
    "tune": tune.tune,
    "arena": arena.arena,
    "train": train.train,
    "vote": vote.vote,
    "recipes": recipes.recipes,
    "analyse": analyse.analyse,
    "embed": embed.embed,
    "export": export.export,
    "bench": bench.bench,
    "classes": classes.classes,
    "config": config.config,
    "doctor": doctor.doctor,
    "weights": weights.MEMBERS,
}

for _name, _command in COMMANDS.items():
    if isinstance(_command, dict):
        _group(_name, _command, "List, download, check and convert weights files.")
    else:
        app.command(_name, cls=Command)(_command)

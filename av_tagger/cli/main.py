"""av-tag: the list of commands, the default command, and errors as exit codes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from av_tagger.cli import (
    analyse,
    batch,
    bench,
    demo,
    doctor,
    embed,
    evaluate,
    export,
    listen,
    recipes,
    report,
    tag,
    train,
    tune,
    vote,
    weights,
)
from av_tagger.cli.help import Command, Group
from av_tagger.errors import AvTaggerError

USAGE = 2
INTERRUPTED = 130
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
    """The console script. `av-tag FILE ...` tags; a first word that names a command runs it."""
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if len(words) == 1 and isinstance(COMMANDS.get(words[0]), dict):
        words.append("--help")
    if words[0] not in {*COMMANDS, *FLAGS}:
        words.insert(0, "tag")
    sys.exit(run(words))


def run(words: list[str]) -> int:
    """Run one command. An AvTaggerError is one sentence on stderr and exit code 2."""
    try:
        result = app(words, standalone_mode=False, prog_name="av-tag")
    except AvTaggerError as error:
        print(f"av-tag: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("av-tag: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _usage_error(error)
    return result if isinstance(result, int) else 0


def _usage_error(error: Any) -> int:
    """A usage error of the command line itself, such as an unknown flag: also one sentence."""
    path = getattr(getattr(error, "ctx", None), "command_path", "av-tag")
    if message := error.format_message().strip():
        print(f"av-tag: {message.rstrip('.')}; see {path} --help", file=sys.stderr)
    return int(error.exit_code)


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
    "evaluate": evaluate.evaluate,
    "tune": tune.tune,
    "train": train.train,
    "vote": vote.vote,
    "recipes": recipes.recipes,
    "analyse": analyse.analyse,
    "embed": embed.embed,
    "export": export.export,
    "bench": bench.bench,
    "doctor": doctor.doctor,
    "weights": weights.MEMBERS,
}

for _name, _command in COMMANDS.items():
    if isinstance(_command, dict):
        _group(_name, _command, "List, download, check and convert weights files.")
    else:
        app.command(_name, cls=Command)(_command)

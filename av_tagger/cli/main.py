"""av-tag: the list of commands, the default one, and the only place where errors become exit codes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer

from av_tagger.cli import (
    analyse,
    batch,
    bench,
    demo,
    doctor,
    embed,
    evaluate,
    recipes,
    report,
    tag,
    train,
    tune,
    weights,
)
from av_tagger.errors import AvTaggerError

USAGE = 2
INTERRUPTED = 130

app = typer.Typer(
    name="av-tag",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="[bold]av-tag video.mp4[/bold] is short for [bold]av-tag tag video.mp4[/bold]; its flags: av-tag tag --help",
)


@app.callback()
def about() -> None:
    """Tells which sounds happen in a video, when, and why it thinks so."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: `av-tag FILE ...` tags; a first word that is a command's name is that command."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        from av_tagger import __version__

        print(f"av-tag {__version__}")
        sys.exit(0)
    if words and words[0] not in {*COMMANDS, "--help", "--install-completion", "--show-completion"}:
        words.insert(0, "tag")
    sys.exit(run(words))


def run(words: list[str]) -> int:
    """Run one command; what the user can mend becomes a sentence on stderr and exit code 2."""
    try:
        result = app(words, standalone_mode=False, prog_name="av-tag")
    except AvTaggerError as error:
        print(f"av-tag: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("av-tag: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(
            error, "show"
        ):  # a usage error of the command line itself
            error.show()
            return int(error.exit_code)
        raise
    return result if isinstance(result, int) else 0


def _group(name: str, members: dict[str, Callable[..., Any]], text: str) -> None:
    group = typer.Typer(no_args_is_help=True, help=text)
    for member, function in members.items():
        group.command(member)(function)
    app.add_typer(group, name=name)


logging.getLogger("av_tagger").addHandler(logging.NullHandler())

COMMANDS: dict[str, Callable[..., Any] | dict[str, Callable[..., Any]]] = {
    "tag": tag.tag,
    "batch": batch.batch,
    "demo": demo.demo,
    "report": report.report,
    "evaluate": evaluate.evaluate,
    "tune": tune.tune,
    "train": train.train,
    "recipes": recipes.recipes,
    "analyse": analyse.analyse,
    "embed": embed.embed,
    "weights": weights.MEMBERS,
    "bench": bench.bench,
    "doctor": doctor.doctor,
}

for _name, _command in COMMANDS.items():
    if isinstance(_command, dict):
        _group(_name, _command, "Weights: which there are, where they lie, how to get them.")
    else:
        app.command(_name)(_command)

"""av-tag FILE ...: tags files and shows, prints or writes the answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from av_tagger.cli.options import ANSWERS, ModelOptions, OutputOptions, TalkOptions, command

if TYPE_CHECKING:
    from av_tagger.scores import Outcome


@dataclass(frozen=True, kw_only=True)
class TagOptions(TalkOptions, OutputOptions, ModelOptions):
    inputs: Annotated[list[str], typer.Argument(help="Files, folders or globs.", metavar="FILE...")]
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="JSON lines on stdout, nothing else there.", rich_help_panel=ANSWERS
        ),
    ] = False
    top: Annotated[
        int | None,
        typer.Option(min=1, help="Show the N best classes, tags first.", rich_help_panel=ANSWERS),
    ] = None


def _tag(options: TagOptions) -> int:
    """Tag files: which sounds happen in them, when, and why."""
    from av_tagger.cli.session import check_outputs, gather, load_tagger, say, write_outputs

    check_outputs(options, len(options.inputs))
    jobs = gather(options.inputs)
    tagger = load_tagger(options, options)
    outcomes = list(_watched(jobs.outcomes(tagger), len(jobs), _printer(options), options))
    for path in write_outputs(outcomes, options):
        say(f"wrote {path}", options)
    return 1 if any(_failed(o) for o in outcomes) else 0


def _failed(outcome: Outcome) -> bool:
    from av_tagger.scores import Failed

    return isinstance(outcome, Failed)


def _printer(options: TagOptions) -> Callable[[Outcome], None]:
    """What to do with each outcome as it comes: a JSON line, or a table."""
    from rich.console import Console

    from av_tagger.cli.show import show
    from av_tagger.reports.schema import as_line

    console, errors = Console(), Console(stderr=True)

    def print_json(outcome: Outcome) -> None:
        if _failed(outcome) and not options.quiet:
            show(outcome, console, errors)
        sys.stdout.write(as_line(outcome).rstrip("\n") + "\n")
        sys.stdout.flush()

    return (
        print_json
        if options.json
        else lambda outcome: show(outcome, console, errors, top=options.top)
    )


def _watched(
    outcomes: Iterator[Outcome], total: int, show: Callable[[Outcome], None], options: TalkOptions
) -> Iterator[Outcome]:
    """The same outcomes, each shown as it comes, with a progress bar on stderr where a person watches."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn("tagging"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    visible = total > 1 and console.is_terminal and not options.quiet
    with Progress(*columns, console=console, transient=True, disable=not visible) as bar:
        task = bar.add_task("tagging", total=total)
        for outcome in outcomes:
            show(outcome)
            bar.advance(task)
            yield outcome


tag = command(TagOptions, _tag)

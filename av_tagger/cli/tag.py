"""av-tag FILE ...: tags files and prints or writes the results."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from av_tagger.cli.options import ModelOptions, OutputOptions, TalkOptions, command
from av_tagger.flags import OUTPUT, argument, option

if TYPE_CHECKING:
    from av_tagger.scores import Outcome


@dataclass(frozen=True, kw_only=True)
class TagOptions(OutputOptions, ModelOptions, TalkOptions):
    inputs: list[str] = argument("FILE...", "Files, folders or globs.")
    json: bool = option(False, "Print JSON lines on stdout, and nothing else there.", group=OUTPUT)
    top: int | None = option(
        None, "Show the N most probable classes, tags first.", metavar="N", low=1, group=OUTPUT
    )


def _tag(options: TagOptions) -> int:
    """Tag files: which sounds happen in them, when, and why."""
    from av_tagger.cli.progress import progress_bar
    from av_tagger.cli.session import check_outputs, gather, load_tagger, say, write_outputs
    from av_tagger.scores import Failed

    check_outputs(options, len(options.inputs))
    jobs = gather(options.inputs)
    tagger = load_tagger(options, options)
    show = _printer(options)
    outcomes: list[Outcome] = []
    with progress_bar("tagging", "files", quiet=options.quiet or len(jobs) == 1) as bar:
        for outcome in bar.track(jobs.outcomes(tagger), len(jobs)):
            show(outcome)
            outcomes.append(outcome)
    for path in write_outputs(outcomes, options):
        say(f"wrote {path}", options)
    return 1 if any(isinstance(o, Failed) for o in outcomes) else 0


def _printer(options: TagOptions) -> Callable[[Outcome], None]:
    """Prints one outcome: a JSON line with --json, otherwise a table."""
    from av_tagger.cli.console import Console
    from av_tagger.cli.show import show
    from av_tagger.reports.schema import as_line
    from av_tagger.scores import Failed

    console, errors = Console(), Console(stderr=True)

    def print_json(outcome: Outcome) -> None:
        if isinstance(outcome, Failed) and not options.quiet:
            show(outcome, console, errors)
        sys.stdout.write(as_line(outcome) + "\n")
        sys.stdout.flush()

    def print_table(outcome: Outcome) -> None:
        show(outcome, console, errors, top=options.top)

    return print_json if options.json else print_table


tag = command(TagOptions, _tag)

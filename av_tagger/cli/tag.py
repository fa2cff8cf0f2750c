"""av-tag FILE ...: tags files and prints or writes the results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from av_tagger.cli.options import ModelOptions, OutputOptions, TalkOptions, command
from av_tagger.flags import OUTPUT, argument, option

if TYPE_CHECKING:
    from av_tagger.cli.inputs import Jobs
    from av_tagger.cli.progress import ProgressBar, ProgressBars
    from av_tagger.clip import Clip, Media
    from av_tagger.fusion.windows import WindowResult
    from av_tagger.scores import Outcome
    from av_tagger.tagger import Tagger

Printer = Callable[["Outcome"], None]
INPUTS = "Files, folders, globs, playlists or web addresses; - for standard input."


@dataclass(frozen=True, kw_only=True)
class TagOptions(OutputOptions, ModelOptions, TalkOptions):
    inputs: list[str] = argument("FILE...", INPUTS)
    json: bool = option(False, "Print JSON lines on stdout, and nothing else there.", group=OUTPUT)
    partial: bool = option(
        False,
        "With --json: also print each window's tags as soon as they are known.",
        group=OUTPUT,
    )
    top: int | None = option(
        None, "Show the N most probable classes, tags first.", metavar="N", low=1, group=OUTPUT
    )


def _tag(options: TagOptions) -> int:
    """Tag files: which sounds happen in them, when, and why.

    Files that do not exist and wrong names are refused before any network is loaded.
    """
    from av_tagger.cli.inputs import at_hand, gather, say_skipped, without_unreadable
    from av_tagger.cli.outputs import check_outputs, check_targets, write_outputs
    from av_tagger.cli.session import (
        build_tagger,
        no_collection,
        one_core_each,
        plan_of,
        say,
        start_decoder,
    )
    from av_tagger.scores import Failed

    _check(options)
    check_outputs(options)
    found = gather(options.inputs)
    check_targets(options, len(found))
    say_skipped(found, partial(say, talk=options))
    show = _printer(options)
    if not found.all_failed:
        start_decoder(options)
        with no_collection():
            plan = plan_of(options, options)
        found = without_unreadable(found, plan.config.decoder)
    if found.all_failed:
        for failure in found.failures:
            show(failure)
        return 1
    with at_hand(found, offline=plan.config.offline, quiet=options.quiet) as jobs:
        tagger = one_core_each(build_tagger(plan, options, jobs.first))
        outcomes = list(_outcomes(jobs, tagger, show, options))
        for line in write_outputs(outcomes, options):
            say(line, options)
    return 1 if any(isinstance(o, Failed) for o in outcomes) else 0


def _check(options: TagOptions) -> None:
    from av_tagger.errors import UsageError

    if options.partial and not options.json:
        raise UsageError("--partial needs --json")


def _outcomes(jobs: Jobs, tagger: Tagger, show: Printer, options: TagOptions) -> Iterator[Outcome]:
    """Tag one file after another; each is shown as soon as it is done."""
    for outcome in tag_jobs(jobs, tagger, quiet=options.quiet, partial=options.partial):
        show(outcome)
        yield outcome


def tag_jobs(
    jobs: Jobs, tagger: Tagger, *, quiet: bool = False, partial: bool = False
) -> Iterator[Outcome]:
    """Tag one file after another, with a progress bar for each."""
    from av_tagger.cli.progress import SECONDS, ProgressBars

    with ProgressBars(SECONDS, quiet=quiet, log=True) as bars:
        watch = _Watch(bars, partial)
        for outcome in jobs.outcomes(tagger, watch):
            watch.close()
            with bars.hidden():
                yield outcome


@dataclass
class _Watch:
    """Called with each window: moves the bar of its file and prints partial results."""

    bars: ProgressBars
    partial: bool
    clip: Clip | None = None
    bar: ProgressBar | None = None

    def __call__(self, window: Media, result: WindowResult) -> None:
        if self.partial:
            from av_tagger.reports.schema import partial_line

            sys.stdout.write(partial_line(window.clip, result) + "\n")
            sys.stdout.flush()
        if self.bars.shown:
            self._move(window)

    def close(self) -> None:
        """Take the bar of the last file away."""
        if self.bar is not None:
            self.bar.close()
        self.clip = self.bar = None

    def _move(self, window: Media) -> None:
        total = None if window.total_seconds is None else max(1, round(window.total_seconds))
        if self.bar is None or window.clip is not self.clip:
            self.close()
            self.clip, self.bar = window.clip, self.bars.add(_shortened(window.clip.name))
            self.bar(0, total)
        done = round(window.end_seconds - window.clip.start_seconds)
        self.bar(done if total is None else min(done, total), total)


def _shortened(name: str, most: int = 28) -> str:
    """The end of a long name says more than its start."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _printer(options: TagOptions) -> Printer:
    """Prints one outcome: a JSON line with --json, otherwise a table."""
    from av_tagger.cli.console import stderr_console, stdout_console
    from av_tagger.cli.show import show
    from av_tagger.scores import Failed

    console, errors = stdout_console(), stderr_console()

    def print_json(outcome: Outcome) -> None:
        from av_tagger.reports.schema import as_line

        if isinstance(outcome, Failed) and not options.quiet:
            show(outcome, console, errors)
        sys.stdout.write(as_line(outcome) + "\n")
        sys.stdout.flush()

    def print_table(outcome: Outcome) -> None:
        show(outcome, console, errors, top=options.top)

    return print_json if options.json else print_table


tag = command(TagOptions, _tag)

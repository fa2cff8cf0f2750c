"""How a run tells what it did: the summary, the profile, how to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections import Counter

    from rich.console import Console

    from av_tagger.runner.profiler import Profile
    from av_tagger.runner.run import Order, Summary


def show_summary(console: Console, summary: Summary, *, quiet: bool) -> None:
    """Done, failed with reasons, skipped, coverage."""
    counts = summary.counts
    for kind, count, example in summary.failures:
        words = (
            f"{count} failed ({kind}), such as {example}"
            if count > 1
            else f"failed ({kind}): {example}"
        )
        console.print(Text(f"av-tag: {words}", style="red"), soft_wrap=True)
    if counts.failed > len(summary.failures):
        console.print(
            Text(f'av-tag: each failure is a line with "error" in {summary.files[0]}', style="red"),
            soft_wrap=True,
        )
    if quiet:
        return
    if summary.failed_before:
        words = f"{summary.failed_before} had failed before and {'was' if summary.failed_before == 1 else 'were'} not tried again"
        console.print(Text(f"{words}; once mended, add --retry-failed"), soft_wrap=True)
    fresh = counts.total - summary.skipped
    rate = f", {fresh / summary.seconds:.2f} clips/s" if fresh and summary.seconds > 0 else ""
    coverage = counts.done / counts.total
    lines = [
        f"{counts.done} of {counts.total} tagged ({coverage:.1%}), {counts.failed} failed, {summary.skipped} known before",
        f"heard {_able(summary, 0)}, seen {_able(summary, 1)} of {counts.done}; {summary.seconds:.1f} s{rate}",
        *(f"wrote {path}" for path in summary.files),
    ]
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def _able(summary: Summary, branch: int) -> int:
    return sum(row[2] for row in summary.branch_statuses if row[branch] in ("ok", "degraded"))


def show_profile(console: Console, summary: Summary) -> None:
    from rich.box import SIMPLE_HEAD

    from av_tagger.errors import AvTaggerError
    from av_tagger.runner.picture import draw
    from av_tagger.runner.profiler import WAITING, title

    profile = summary.profile
    grid = Table(title=f"where {profile.wall:.1f} s went", title_justify="left", box=SIMPLE_HEAD)
    grid.add_column("stage", no_wrap=True)
    for name in ("seconds", "processor", "times", "threads", "share", "busy"):
        grid.add_column(name, justify="right")
    for row in profile.rows():
        works = row.stage not in WAITING
        cells = (
            f"{row.seconds:.2f}",
            f"{row.processor:.2f}" if works else "",
            str(row.times),
            str(row.threads),
        )
        share = f"{row.share:.1%}" if works else ""
        grid.add_row(
            title(row.stage), *cells, share, f"{row.busy:.0%}", style="" if works else "dim"
        )
    console.print(grid)
    console.print(Text(_in_words(profile)), soft_wrap=True)
    try:
        draw(profile, path := summary.folder / "profile.png")
        console.print(Text(f"wrote {path}"), soft_wrap=True)
    except AvTaggerError as error:
        console.print(Text(str(error), style="yellow"), soft_wrap=True)


def _in_words(profile: Profile) -> str:
    """What the runner itself cost, by three measures: each hides something that another shows."""
    seconds = f"{profile.runner:.2f} of {profile.processor:.2f} s"
    return (
        f"all but decoding and networks took {profile.processor_overhead:.1%} of the processor's time ({seconds}) "
        f"and {profile.overhead:.1%} of all hands' time at work;\n"
        f"a decoder or a network was at work in {profile.aimed:.1%} of the run, start and end included"
    )


def show_written(console: Console, written: Counter[str], *, quiet: bool) -> None:
    """What more formats became: a line for each table, one for all files of the clips."""
    for name, count in written.items() if not quiet else ():
        words = f", {count} file{'s' if count != 1 else ''}" if "*" in name else ""
        console.print(Text(f"wrote {name}{words}"), soft_wrap=True)


def say_how_to_go_on(console: Console, order: Order) -> None:
    from av_tagger.errors import StorageError
    from av_tagger.reports.stored import StoredOutcomes
    from av_tagger.runner.run import folder_of

    results = folder_of(order) / "results.jsonl"
    try:
        count = len(StoredOutcomes(results))
    except StorageError:
        count = 0
    safe = (
        f"{count} result{'s are' if count != 1 else ' is'} safe in {results}"
        if count
        else "nothing was done yet"
    )
    console.print(
        Text(f"av-tag: stopped; {safe}; the same command again goes on from there", style="yellow"),
        soft_wrap=True,
    )

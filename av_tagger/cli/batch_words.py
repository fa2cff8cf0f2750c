"""How a run tells what it did: the summary, the profile, how to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from av_tagger.runner.run import Order, Summary


def show_summary(console: Console, summary: Summary, *, quiet: bool) -> None:
    """Done, failed with reasons, skipped, coverage."""
    counts = summary.counts
    for kind, count, example in summary.failures:
        console.print(Text(f"av-tag: {count} failed ({kind}), such as {example}", style="red"), soft_wrap=True)
    if quiet:
        return
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


def _able(summary: Summary, witness: int) -> int:
    return sum(row[2] for row in summary.witnessed if row[witness] in ("ok", "degraded"))


def show_profile(console: Console, summary: Summary) -> None:
    from av_tagger.errors import AvTaggerError
    from av_tagger.runner.clock import WAITING, WORK
    from av_tagger.runner.picture import draw

    grid = Table(title=f"{summary.profile.wall:.1f} s; all but decoding and networks: {summary.profile.overhead:.1%} of the work")
    grid.add_column("stage")
    for name in ("seconds", "times", "hands", "share of work", "busy"):
        grid.add_column(name, justify="right")
    for row in summary.profile.rows():
        share = f"{row.share:.1%}" if row.stage in WORK else ""
        style = "" if row.stage in WORK else "dim"
        cells = (f"{row.seconds:.2f}", str(row.times), str(row.hands), share, f"{row.busy:.0%}")
        grid.add_row(WAITING.get(row.stage, row.stage), *cells, style=style)
    console.print(grid)
    try:
        draw(summary.profile, path := summary.folder / "profile.png")
        console.print(Text(f"wrote {path}"), soft_wrap=True)
    except AvTaggerError as error:
        console.print(Text(str(error), style="yellow"), soft_wrap=True)


def say_how_to_go_on(console: Console, order: Order) -> None:
    import json

    from av_tagger.runner.run import folder_of

    results = folder_of(order) / "results.jsonl"
    try:
        with results.open() as lines:
            count = sum("schema" in json.loads(line) for line in lines)
    except (OSError, ValueError):
        count = 0
    words = f"av-tag: stopped; {count} results are safe in {results}; the same command again goes on from there"
    console.print(Text(words, style="yellow"), soft_wrap=True)

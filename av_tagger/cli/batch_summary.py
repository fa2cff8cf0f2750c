"""What `av-tag batch` prints at the end: summary, profile, files, how to resume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.cli.styles import ERROR, QUIET, WARNING
from av_tagger.cli.tables import plain_table

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from av_tagger.cli.console import Console
    from av_tagger.runner.profile import Profile
    from av_tagger.runner.run import RunRequest, Summary


TAGS_SHOWN = 8


def show_summary(
    console: Console, summary: Summary, *, quiet: bool, skipped: Sequence[Path] = ()
) -> None:
    """Failures by reason, what was skipped, counts, coverage, tags, files."""
    from av_tagger.media.find import in_words

    counts = summary.counts
    for kind, count, example in summary.failures:
        words = (
            f"{count} failed ({kind}), such as {example}"
            if count > 1
            else f"failed ({kind}): {example}"
        )
        console.say(f"av-tag: {words}", ERROR)
    if counts.failed > len(summary.failures):
        words = f'each failure is a line with "error" in {summary.files[0]}'
        console.say(f"av-tag: {words}", ERROR)
    for words in _repairs(summary):
        console.say(f"av-tag: {words}", WARNING)
    if quiet:
        return
    if skipped:
        console.say(in_words(skipped))
    if summary.failed_before:
        words = f"skipped {summary.failed_before} that failed in an earlier run"
        console.say(f"{words}; use --retry-failed to try again")
    fresh = counts.total - summary.skipped
    rate = f", {fresh / summary.seconds:.2f} clips/s" if fresh and summary.seconds > 0 else ""
    coverage = counts.done / counts.total
    done = f"{counts.done} of {counts.total} done ({coverage:.1%}), {counts.failed} failed"
    used = f"heard {_count(summary, 0)}, seen {_count(summary, 1)} of {counts.done}"
    lines = (
        f"{done}, {summary.skipped} from earlier runs",
        f"{used}; {summary.seconds:.1f} s{rate}",
        *summary.remarks,
        *_tags(summary),
        *(f"wrote {path}" for path in summary.files),
    )
    for line in lines:
        console.say(line)


def _repairs(summary: Summary) -> Iterator[str]:
    """What was damaged when the run was resumed."""
    repair = summary.repair
    if repair.damaged is not None:
        yield (
            f"the journal was damaged: {repair.saved} results of it were saved, the others were "
            f"made again; it is kept as {repair.damaged}"
        )
    if repair.broken:
        results = f"result{'s' if repair.broken > 1 else ''} of earlier runs"
        yield f"{repair.broken} damaged {results} left out and made again if listed"


def _tags(summary: Summary) -> Iterator[str]:
    """How many results have tags and how many have none, and the most frequent tags."""
    from av_tagger.errors import StorageError
    from av_tagger.reports.stored import count_tags

    try:
        counts = count_tags(summary.files[0])
    except StorageError:
        return
    yield f"{counts.tagged} with tags, {counts.without} without"
    shown = [f"{label} {count}" for label, count in counts.by_label.most_common(TAGS_SHOWN)]
    more = len(counts.by_label) - TAGS_SHOWN
    if shown:
        yield "tags: " + ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _count(summary: Summary, branch: int) -> int:
    """Clips that the ear (0) or the eye (1) has scored."""
    return sum(row[2] for row in summary.branch_statuses if row[branch] in ("ok", "degraded"))


def show_profile(console: Console, summary: Summary) -> None:
    from av_tagger.errors import AvTaggerError
    from av_tagger.runner.profile import title
    from av_tagger.runner.profile_plot import draw
    from av_tagger.runner.profiler import WAITING

    profile = summary.profile
    grid = plain_table(title=f"where {profile.wall:.1f} s went")
    grid.add_column("stage", no_wrap=True)
    for name in ("seconds", "CPU", "calls", "threads", "share", "busy"):
        grid.add_column(name, justify="right")
    for row in profile.rows():
        works = row.stage not in WAITING
        cells = (
            f"{row.seconds:.2f}",
            f"{row.cpu:.2f}" if works else "",
            str(row.times),
            str(row.threads),
        )
        share = f"{row.share:.1%}" if works else ""
        grid.add_row(
            title(row.stage), *cells, share, f"{row.busy:.0%}", style="" if works else QUIET
        )
    console.print(grid)
    console.say(_overhead(profile))
    try:
        draw(profile, path := summary.folder / "profile.png")
        console.say(f"wrote {path}")
    except AvTaggerError as error:
        console.say(str(error), WARNING)


def _overhead(profile: Profile) -> str:
    """The cost of the runner itself by three measures, as each misses something."""
    seconds = f"{profile.runner:.2f} of {profile.cpu:.2f} s"
    return (
        f"overhead (all but decoding and networks): {profile.cpu_overhead:.1%} of CPU time "
        f"({seconds}), {profile.overhead:.1%} of working time; "
        f"decoders or networks were working for {profile.productive:.1%} of the run, "
        "start and end included"
    )


def show_written(console: Console, written: Counter[str], *, quiet: bool) -> None:
    """One line per table, one for all files of a format that has a file per clip."""
    for name, count in written.items() if not quiet else ():
        words = f", {count} file{'s' if count != 1 else ''}" if "*" in name else ""
        console.say(f"wrote {name}{words}")


def show_interrupted(console: Console, request: RunRequest) -> None:
    from av_tagger.errors import StorageError
    from av_tagger.reports.stored import StoredOutcomes
    from av_tagger.runner.run import folder_of

    results = folder_of(request) / "results.jsonl"
    try:
        count = len(StoredOutcomes(results))
    except StorageError:
        count = 0
    safe = (
        f"{count} result{'s are' if count != 1 else ' is'} safe in {results}"
        if count
        else "there are no results yet"
    )
    console.say(f"av-tag: stopped; {safe}; run the same command again to resume", WARNING)

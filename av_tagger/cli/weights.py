"""av-tag weights: lists, downloads, checks and converts weights files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from av_tagger.cli.options import command
from av_tagger.flags import argument, option, optional_argument

if TYPE_CHECKING:
    from rich.text import Text

    from av_tagger.weights import Listed, Progress


@dataclass(frozen=True)
class ListOptions:
    pass


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    names: list[str] = argument(
        "NAME...", "Names from av-tag weights list; eye: all that the eye needs."
    )
    offline: bool = option(False, "Only say what is missing and how to install it by hand.")


@dataclass(frozen=True)
class CheckOptions:
    names: list[str] | None = optional_argument(
        None, "[NAME]...", "Names from av-tag weights list. Default: all."
    )


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    name: str = argument("NAME", "What the file is: yamnet.")
    source: Path = argument("FILE", "The published file.")
    output: Path | None = option(
        None,
        "Where to write. Default: beside downloaded weights.",
        "-o",
        "--output",
        metavar="FILE",
    )


def _list(options: ListOptions) -> None:
    """List all weights: size, licence, state, and where they are."""
    from rich.console import Console
    from rich.padding import Padding

    from av_tagger.weights import folders, listing

    del options
    console = Console(highlight=False)
    for line in listing():
        console.print(_summary(line), soft_wrap=True)
        console.print(Padding(line.file.about, (0, 0, 0, 4), expand=False), style="dim")
        if line.path is not None:
            console.print(f"    {line.path}", style="dim", soft_wrap=True, markup=False)
    console.print("searched, in this order:", *map(str, folders()), sep="\n  ", soft_wrap=True)


def _summary(line: Listed) -> Text:
    """Name, size, licence and state, aligned."""
    from rich.text import Text

    size = line.path.stat().st_size if line.path is not None else line.file.size
    megabytes = f"{size / 1e6:.1f} MB" if size else "size unknown"
    name = Text(f"{line.file.name:24s}", style="bold")
    return name.append(f" {megabytes:>12s}  {line.file.licence:14s} {line.state}", style="not bold")


def _fetch(options: FetchOptions) -> None:
    """Download weights. Files that are already there are not downloaded again."""
    from av_tagger.cli.progress import BYTES, ProgressBars

    for name in options.names:
        with ProgressBars(BYTES) as bars:
            paths = list(_fetch_one(name, bars.add, options.offline))
        _print_paths(paths)


def _fetch_one(name: str, bar: Callable[[str], Progress], offline: bool) -> Iterator[Path]:
    """Most files are used as published; AlexNet is cut, YAMNet converted, word vectors packed."""
    from av_tagger import weights
    from av_tagger.audio.known.convert import fetch_yamnet
    from av_tagger.video.fetch import STEPS, fetch_eye

    if name == "eye":
        yield from fetch_eye(offline=offline, progress=bar)
    elif name == "yamnet":
        yield fetch_yamnet(offline=offline, progress=bar(name))
    elif name in STEPS:
        yield STEPS[name](bar(name), offline=offline)
    else:
        yield weights.fetch(name, offline=offline, progress=bar(name))


def _check(options: CheckOptions) -> int:
    """Compare weights files with their checksums. Exit code 1 if one is damaged."""
    from rich.console import Console

    from av_tagger.weights import CATALOGUE, State, check, locate

    console = Console(highlight=False)
    states = {name: check(name) for name in options.names or CATALOGUE}
    for name, state in states.items():
        where = locate(name)
        console.print(f"{name}: {state}" + (f", {where}" if where else ""), soft_wrap=True)
    bad = {State.DAMAGED, State.ABSENT} if options.names else {State.DAMAGED}
    return 1 if bad & set(states.values()) else 0


def _convert(options: ConvertOptions) -> None:
    """Convert published weights of another framework."""
    from av_tagger.audio.known.convert import convert_yamnet
    from av_tagger.errors import UsageError

    if options.name != "yamnet":
        raise UsageError(f"there is no converter for {options.name!r}; known: yamnet")
    _print_paths([convert_yamnet(options.source, options.output)])


def _print_paths(paths: Sequence[Path]) -> None:
    from rich.console import Console

    for path in paths:
        Console().print(str(path), soft_wrap=True, highlight=False, markup=False)


MEMBERS: dict[str, Callable[..., Any]] = {
    "list": command(ListOptions, _list),
    "fetch": command(FetchOptions, _fetch),
    "check": command(CheckOptions, _check),
    "convert": command(ConvertOptions, _convert),
}

"""av-tag weights: lists, downloads, checks and converts weights files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from av_tagger.cli.options import command
from av_tagger.flags import argument, option, optional_argument

if TYPE_CHECKING:
    from rich.text import Text

    from av_tagger.weights import Listed


FETCH_HELP = (
    "Names of the list, or a group. day-one: all that the default needs, from the package index; "
    "words: vectors for any class names; eye: the networks of the paper."
)


EYE = "eye"  # a group of networks, each fetched in its own way


@dataclass(frozen=True)
class ListOptions:
    pass


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    names: list[str] = argument("NAME...", FETCH_HELP)
    offline: bool = option(False, "Only say what is missing and how to install it by hand.")


@dataclass(frozen=True)
class CheckOptions:
    names: list[str] | None = optional_argument(
        None, "[NAME]...", "Names from av-tag weights list. Default: all."
    )


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    name: str = argument("NAME", "What the file is: yamnet, or vggish (its PCA lies beside it).")
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
    from av_tagger.cli.console import stdout_console
    from av_tagger.cli.styles import QUIET
    from av_tagger.weights import folders, listing

    del options
    console = stdout_console()
    for line in listing():
        console.say(_summary(line))
        console.say(f"    {line.state}; {line.file.about}; from {line.source}", QUIET)
        if line.path is not None:
            console.say(f"    {line.path}", QUIET)
    console.say("searched, in this order:")
    for folder in folders():
        console.say(f"  {folder}")


def _summary(line: Listed) -> Text:
    """Name, size and licence, aligned."""
    from rich.text import Text

    from av_tagger.cli.styles import STRONG

    here = line.path
    megabytes = line.file.size_text if here is None else f"{here.stat().st_size / 1e6:.1f} MB"
    name = Text().append(f"{line.file.name:24s}", STRONG)
    return name.append(f" {megabytes:>13s}  {line.file.licence}")


def _fetch(options: FetchOptions) -> None:
    """Fetch weights. Files that are already there are not fetched again."""
    from av_tagger.errors import AvTaggerError, WeightsError
    from av_tagger.weights import members_of

    failures: list[AvTaggerError] = []
    for name in [m for group in options.names for m in _members(group, members_of)]:
        try:
            _announce(name, offline=options.offline)
            _print_paths(_fetched(name, offline=options.offline, retry=not failures))
        except AvTaggerError as error:  # the others are fetched all the same
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise WeightsError("\n".join(map(str, failures)))


def _members(name: str, members_of: Callable[[str], Sequence[str]]) -> Sequence[str]:
    return (EYE,) if name == EYE else members_of(name)


def _announce(name: str, *, offline: bool) -> None:
    """Say what is fetched, how large it is, and from where."""
    from av_tagger.cli.console import stderr_console
    from av_tagger.weights import announcement

    line = "" if offline or name == EYE else announcement(name)
    if line:
        stderr_console().say(line)


PCA_FILE = "vggish_pca_params.npz"  # beside vggish_model.ckpt


def _fetched(name: str, *, offline: bool, retry: bool) -> list[Path]:
    """Most files are used as published; AlexNet is cut, YAMNet converted, word vectors packed."""
    from av_tagger import weights
    from av_tagger.audio.known.convert import fetch_yamnet
    from av_tagger.cli.progress import BYTES, ProgressBars
    from av_tagger.video.fetch import STEPS, fetch_eye

    with ProgressBars(BYTES) as bars:
        if name == EYE:
            return fetch_eye(offline=offline, progress=bars.add)
        if name == "yamnet":
            return [fetch_yamnet(offline=offline, retry=retry, progress=bars.add(name))]
        if name == "vggish":
            from av_tagger.audio.known.vggish_files import fetch_vggish

            return [fetch_vggish(offline=offline, progress=bars.add(name))]
        if name in STEPS:
            return [STEPS[name](bars.add(name), offline=offline)]
        return [weights.fetch(name, offline=offline, retry=retry, progress=bars.add(name))]


def _check(options: CheckOptions) -> int:
    """Compare weights files with their checksums. Exit code 1 if one is damaged."""
    from av_tagger.catalogue import CATALOGUE
    from av_tagger.cli.console import stdout_console
    from av_tagger.weights import State, check, locate, members_of

    console = stdout_console()
    names = [member for name in options.names or CATALOGUE for member in members_of(name)]
    states = {name: check(name) for name in names}
    for name, state in states.items():
        where = locate(name)
        console.say(f"{name}: {state}" + (f", {where}" if where else ""))
    bad = {State.DAMAGED, State.ABSENT} if options.names else {State.DAMAGED}
    return 1 if bad & set(states.values()) else 0


def _convert(options: ConvertOptions) -> None:
    """Convert published weights of another framework."""
    from av_tagger.audio.known.convert import convert_yamnet
    from av_tagger.errors import UsageError

    if options.name == "vggish":
        from av_tagger.audio.known.vggish_files import convert_vggish

        pca = options.source.parent / PCA_FILE
        _print_paths([convert_vggish(options.source, pca, options.output)])
        return
    if options.name != "yamnet":
        raise UsageError(f"there is no converter for {options.name!r}; known: vggish, yamnet")
    _print_paths([convert_yamnet(options.source, options.output)])


def _print_paths(paths: Sequence[Path]) -> None:
    from av_tagger.cli.console import stdout_console

    for path in paths:
        stdout_console().say(str(path))


MEMBERS: dict[str, Callable[..., Any]] = {
    "list": command(ListOptions, _list),
    "fetch": command(FetchOptions, _fetch),
    "check": command(CheckOptions, _check),
    "convert": command(ConvertOptions, _convert),
}

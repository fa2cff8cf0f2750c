"""From declared flags to Typer commands, and the flags that several commands share."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from av_tagger.flags import EXPAND, FLAG, MODELS, OUTPUT, Flag, RunFlags, given, option

T = TypeVar("T")
Field = dataclasses.Field[Any]

METAVARS = {int: "N", float: "X", Path: "PATH"}


@dataclass(frozen=True)
class ModelOptions:
    """Flags of every command that runs the ear and the eye."""

    given: Mapping[str, Any] = given(RunFlags)
    config: Path | None = option(
        None, "Settings file (TOML). Flags override it.", metavar="FILE.toml"
    )


@dataclass(frozen=True)
class OutputOptions:
    """Flags that choose what is written, and where."""

    output: Path | None = option(
        None, "Write results into this folder.", "-o", "--output", metavar="FOLDER", group=OUTPUT
    )
    format: str | None = option(
        None,
        "Formats for -o, comma-separated: json, csv, srt and more. Default: json.",
        metavar="LIST",
        group=OUTPUT,
    )
    report: Path | None = option(
        None,
        "Write an HTML page with player, timeline and key frames; a folder for several files.",
        metavar="FILE.html",
        group=OUTPUT,
    )
    annotate: Path | None = option(
        None,
        "Write a copy of the video with tags and timeline drawn into it.",
        metavar="FILE.mp4",
        group=OUTPUT,
    )


@dataclass(frozen=True)
class TalkOptions:
    """Flags of every command that reports what it does."""

    verbose: bool = option(False, "Print more details.", "-v", "--verbose")
    quiet: bool = option(False, "Print only results and errors.", "-q", "--quiet")


def command(options: type[T], body: Callable[[T], int | None]) -> Callable[..., None]:
    """A function for Typer: one parameter per flag of the dataclass `options`.

    The body gets an instance of `options`; its result is the exit code.
    """
    declared = list(_flags(options))

    def run(**values: Any) -> None:
        code = body(options(**_packed(options, values)))
        if code:
            raise typer.Exit(code)

    parameters = [_parameter(field, hint, expanded) for field, hint, expanded in declared]
    parameters.sort(key=lambda p: p.default is not inspect.Parameter.empty)
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__doc__ = body.__doc__
    return run


def _flags(kind: type) -> Iterator[tuple[Field, Any, bool]]:
    """Every flag with its type, and whether it belongs to an expanded group (see `given`)."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        if EXPAND in field.metadata:
            yield from ((f, hint, True) for f, hint, _ in _flags(field.metadata[EXPAND]))
        else:
            yield field, hints[field.name], False


def _packed(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of an expanded group that were given, as one mapping; all others as they are."""
    packed = dict(values)
    for field in dataclasses.fields(kind):
        if EXPAND in field.metadata:
            names = [f.name for f in dataclasses.fields(field.metadata[EXPAND])]
            group = {name: packed.pop(name) for name in names}
            packed[field.name] = {k: value for k, value in group.items() if value is not None}
    return packed


def _parameter(field: Field, hint: Any, expanded: bool) -> inspect.Parameter:
    flag: Flag | None = field.metadata.get(FLAG)
    default: Any = inspect.Parameter.empty
    if field.default is not dataclasses.MISSING:
        default = None if expanded else field.default
    annotation = hint
    if flag is not None:
        kind = _plain(hint, optional=expanded)
        annotation = Annotated[kind, _typer_info(field, flag, kind)]
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _plain(hint: Any, *, optional: bool) -> Any:
    """The type in a form that every version of Typer reads.

    Literal becomes text (choices are checked later), `X | None` becomes Optional.
    """
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    parts = typing.get_args(hint) if union else (hint,)
    (kind,) = (part for part in parts if part is not type(None))
    if typing.get_origin(kind) is Literal:
        kind = str
    return typing.Optional[kind] if optional or len(parts) > 1 else kind  # noqa: UP045


def _typer_info(field: Field, flag: Flag, hint: Any) -> Any:
    if flag.positional:
        return typer.Argument(help=flag.help, metavar=flag.metavar)
    name = "--" + field.name.replace("_", "-")
    return typer.Option(
        *(flag.names or (name,)),
        help=_with_default(field, flag.help),
        metavar=flag.metavar or _metavar(hint),
        rich_help_panel=flag.group,
        min=flag.low,
        max=flag.high,
    )


def _metavar(hint: Any) -> str | None:
    """A placeholder by type: N, X, PATH or TEXT; none for a switch."""
    if bool in _kinds(hint):
        return None
    return next((name for kind, name in METAVARS.items() if kind in _kinds(hint)), "TEXT")


def _kinds(hint: Any) -> set[Any]:
    """The type itself and all types inside: int and None of `int | None`."""
    return {hint}.union(*(_kinds(a) for a in typing.get_args(hint)))


def _with_default(field: Field, text: str) -> str:
    switch = isinstance(field.default, bool)
    silent = switch or field.default in (None, 0, "", dataclasses.MISSING)
    return text if silent or "Default:" in text else f"{text} Default: {field.default}."


__all__ = ["MODELS", "ModelOptions", "OutputOptions", "TalkOptions", "command"]

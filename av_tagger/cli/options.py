"""Flags as frozen dataclasses, and the bridge that makes a Typer command of a function of one of them."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

T = TypeVar("T")

LOOKS = "How it listens and looks"
ANSWERS = "What comes out"


@dataclass(frozen=True)
class ModelOptions:
    """Flags of every command that runs the ear and the eye."""

    only: Annotated[
        str | None, typer.Option(help="Use one witness: ear or eye.", rich_help_panel=LOOKS)
    ] = None
    ear: Annotated[
        str | None,
        typer.Option(
            help="auto, starter, efficientat:mn10, yamnet, a weights file or a trained run.",
            rich_help_panel=LOOKS,
        ),
    ] = None
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=LOOKS)
    ] = None
    classes: Annotated[
        str | None,
        typer.Option(
            help="A file with one class a line, names or ids, or all.", rich_help_panel=LOOKS
        ),
    ] = None
    fusion: Annotated[
        str | None,
        typer.Option(
            help="Weights and thresholds: a file made by av-tag tune.", rich_help_panel=LOOKS
        ),
    ] = None
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="One threshold for all classes.", rich_help_panel=LOOKS
        ),
    ] = None
    fast: Annotated[
        bool,
        typer.Option(
            "--fast", help="Look at 8 frames a second, in whole numbers.", rich_help_panel=LOOKS
        ),
    ] = False
    backend: Annotated[
        str | None, typer.Option(help="Decoder: pyav or decord.", rich_help_panel=LOOKS)
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(help="Settings as a TOML file; flags win over it.", rich_help_panel=LOOKS),
    ] = None
    offline: Annotated[
        bool, typer.Option("--offline", help="Never touch the network.", rich_help_panel=LOOKS)
    ] = False


@dataclass(frozen=True)
class OutputOptions:
    """Flags that say what is written, and where to."""

    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write into this folder.", rich_help_panel=ANSWERS),
    ] = None
    format: Annotated[
        str | None,
        typer.Option(help="With -o: json, csv, srt ..., comma-separated.", rich_help_panel=ANSWERS),
    ] = None
    report: Annotated[
        Path | None,
        typer.Option(help="Write a page with timeline and key frames.", rich_help_panel=ANSWERS),
    ] = None
    annotate: Annotated[
        Path | None,
        typer.Option(
            help="Write a copy of the video with the tags burnt in.", rich_help_panel=ANSWERS
        ),
    ] = None


@dataclass(frozen=True)
class TalkOptions:
    """Flags of every command that talks while it works."""

    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")
    ] = False


def command(options: type[T], body: Callable[[T], int | None]) -> Callable[..., None]:
    """A function that Typer can register: one parameter a field of `options`, the body's result as exit code."""
    hints = typing.get_type_hints(options, include_extras=True)

    def run(**values: Any) -> None:
        code = body(options(**values))
        if code:
            raise typer.Exit(code)

    declared = sorted(dataclasses.fields(options), key=_has_default)  # type: ignore[arg-type]
    parameters = [_parameter(field, hints[field.name]) for field in declared]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = dict(hints)
    run.__doc__ = body.__doc__
    return run


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING


def _parameter(field: dataclasses.Field[Any], hint: Any) -> inspect.Parameter:
    default = field.default if _has_default(field) else inspect.Parameter.empty
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint
    )

"""Help pages: plain text, one group of flags after another, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typer.core import TyperCommand, TyperGroup

from av_tagger.cli.wrapping import wrapped

ARGUMENTS, OPTIONS, COMMANDS = "Arguments", "Options", "Commands"
WIDTH, LEFT_WIDTH = 80, 24

Rows = list[tuple[str, str]]


class Command(TyperCommand):
    """A command whose help page shows flags by group, without types of switches."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _write_head(self, ctx, formatter)
        for title, rows in _groups(self.get_params(ctx)).items():
            _write_rows(formatter, title, rows)


class Group(TyperGroup):
    """A group of commands whose help page lists them with their first sentence."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _write_head(self, ctx, formatter)
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, _first_sentence(c.help)) for name, c in commands if c is not None]
        _write_rows(formatter, COMMANDS, rows)
        for title, flags in _groups(self.get_params(ctx)).items():
            _write_rows(formatter, title, flags)
        if self.epilog:
            formatter.write(f"\n{self.epilog}\n")


def _write_head(command: Any, ctx: Any, formatter: Any) -> None:
    formatter.width = min(formatter.width, WIDTH - 2)
    arguments = [_argument(p) for p in command.get_params(ctx) if p.param_type_name == "argument"]
    pieces = ["COMMAND ..."] if isinstance(command, TyperGroup) else arguments
    formatter.write_usage(ctx.command_path, " ".join(["[OPTIONS]", *pieces]))
    for paragraph in (command.help or "").split("\n\n"):
        lines = wrapped(" ".join(paragraph.split()), formatter.width - 2)
        formatter.write("\n" + "".join(f"  {line}\n" for line in lines))


def _groups(parameters: Iterable[Any]) -> dict[str, Rows]:
    """Rows of the page by title: arguments, named groups, and last the general options."""
    groups: dict[str, Rows] = {ARGUMENTS: []}
    general: Rows = []
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            groups[ARGUMENTS].append((_argument(parameter), parameter.help or ""))
        elif not parameter.hidden:
            title = getattr(parameter, "rich_help_panel", None)
            rows = general if title is None else groups.setdefault(title, [])
            rows.append((_names(parameter), _text(parameter)))
    return {title: rows for title, rows in {**groups, OPTIONS: general}.items() if rows}


def _write_rows(formatter: Any, title: str, rows: Rows) -> None:
    """A title and two columns; words are broken at spaces only, so that names stay whole."""
    left = min(max(len(name) for name, _ in rows), LEFT_WIDTH)
    formatter.write(f"\n{title}:\n")
    for name, text in rows:
        lines = wrapped(text, formatter.width - left - 4) or [""]
        if len(name) > left:
            formatter.write(f"  {name}\n")
        heads = [name if len(name) <= left else "", *[""] * (len(lines) - 1)]
        for head, line in zip(heads, lines, strict=True):
            formatter.write(f"  {head:{left}s}  {line}".rstrip() + "\n")


def counted(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _argument(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _names(parameter: Any) -> str:
    names = ", ".join(sorted(parameter.opts, key=len))
    if parameter.secondary_opts:
        names += " / " + ", ".join(parameter.secondary_opts)
    return names if parameter.is_flag else f"{names} {parameter.metavar or 'VALUE'}"


def _text(parameter: Any) -> str:
    return (parameter.help or "") + (" (required)" if parameter.required else "")


def _first_sentence(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())

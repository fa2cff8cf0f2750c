"""Tables and lines of figures on stdout: nothing is cut, and nothing wraps in a file or pipe."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from av_tagger.cli.console import Console
from av_tagger.cli.output import visible

PIPED_WIDTH = 200  # columns where there is no terminal; a table is as wide as its cells


def figures_console() -> Console:
    """The console of stdout. Without a terminal lines are long, so that they can be searched."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        return Console(highlight=False, markup=False, width=PIPED_WIDTH)
    return console


def print_table(
    console: Console, title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """The first column is text, the others are numbers; labels are no markup."""
    table = Table(title=Text(title), box=SIMPLE_HEAD, padding=0, show_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(str(cell))) for cell in row))
    console.print(table)


def print_line(console: Console, text: str) -> None:
    """A sentence: one line in a file or pipe, broken between words on a terminal."""
    console.print(Text(visible(text)), soft_wrap=console.width >= PIPED_WIDTH)

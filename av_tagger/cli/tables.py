"""Tables of all commands: one look, at most as wide as the terminal; nothing in them is cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from av_tagger.cli.output import visible
from av_tagger.cli.styles import QUIET

if TYPE_CHECKING:
    from av_tagger.cli.console import Console


GAP = 2  # columns between two columns of a plain table


def plain_table(**options: Any) -> Table:
    """Columns with a line under their heads, and two spaces between them."""
    look = {"box": SIMPLE_HEAD, "show_edge": False, "pad_edge": False, "border_style": QUIET}
    return Table(**{**look, "padding": (0, 1, 0, 0), "title_justify": "left", **options})


def print_table(
    console: Console, title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """The first column is text, the others are numbers; labels are no markup."""
    table = plain_table(title=Text(title), padding=0)
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(str(cell))) for cell in row))
    console.print(table)

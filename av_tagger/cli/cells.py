"""Cells of tables whose lines end between items only: between two times, or two reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.measure import Measurement
from rich.text import Text

from av_tagger.cli.wrapping import columns, wrapped

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions


@dataclass(frozen=True)
class Items:
    """Texts one after another; a line ends after one of them, within one only if it is too long."""

    items: Sequence[str]
    style: str = ""

    @property
    def width(self) -> int:
        """Of all items in one line."""
        return columns(" ".join(self.items))

    def lines(self, width: int) -> Iterator[str]:
        line = ""
        for item in self.items:
            if line and columns(f"{line} {item}") > width:
                yield from wrapped(line, width)
                line = ""
            line = f"{line} {item}".strip()
        yield from wrapped(line, width) if line else ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for line in self.lines(options.max_width):
            yield Text(line, style=self.style, overflow="fold")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        widest = max(map(columns, self.items), default=0)
        return Measurement(widest, self.width).with_maximum(options.max_width)


def with_commas(items: Sequence[str]) -> list[str]:
    """The items as they stand in a sentence."""
    return [*(f"{item}," for item in items[:-1]), *items[-1:]]

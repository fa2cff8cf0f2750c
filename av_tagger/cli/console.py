"""The two consoles of all commands, stdout and stderr: here messages are printed and wrapped."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import rich.console
from rich.segment import Segment
from rich.text import Text
from rich.theme import Theme

from av_tagger.cli.output import visible
from av_tagger.cli.styles import OF_RICH
from av_tagger.cli.wrapping import breaks, indent_of

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType

PIPED_WIDTH = 200  # columns where there is no terminal; a table is as wide as its cells


class Console(rich.console.Console):
    """A console of rich whose text has no control characters, wherever it came from.

    Text is no markup, and numbers in it are not coloured.
    """

    def __init__(self, **options: Any) -> None:
        defaults = {"highlight": False, "markup": False, "emoji": False, "theme": Theme(OF_RICH)}
        super().__init__(**{**defaults, **options})

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible(segment.text, keep="\n"), segment.style)

    def say(self, message: str | Text, style: str = "") -> None:
        """Print a message: one line in a file or a pipe, broken between words on a terminal."""
        text = message if isinstance(message, Text) else Text(visible(message))
        text.stylize_before(style)
        indent = indent_of(text.plain)
        places = breaks(text.plain, self.width, indent=indent) if self.is_terminal else []
        for number, part in enumerate(text.divide(places)):
            part.rstrip()
            part.pad_left(indent if number else 0)
            self.print(part, soft_wrap=True)


def stdout_console() -> Console:
    """For results. Without a terminal rows are long, so that they can be searched."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        return Console(width=PIPED_WIDTH)
    return console


def stderr_console() -> Console:
    """For messages about the work."""
    return Console(stderr=True)

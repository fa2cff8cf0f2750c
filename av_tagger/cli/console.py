"""The console of all commands: rich's, with control characters shown as escapes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import rich.console
from rich.segment import Segment

from av_tagger.cli.output import visible

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType


class Console(rich.console.Console):
    """A console of rich whose text has no control characters, wherever it came from."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible(segment.text, keep="\n"), segment.style)

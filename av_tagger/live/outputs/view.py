"""The live view in a terminal: level, the best classes, the last events, how far behind."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from av_tagger.live.lines import LineKind, LiveLine
from av_tagger.live.outputs.text import as_text
from av_tagger.live.run import PlainOutput

WIDTH, BAR, EVENTS = 80, 30, 8
QUIETEST = -60.0  # dBFS: the empty bar
SHOWN = (LineKind.OPEN, LineKind.CLOSE, LineKind.GAP, LineKind.NOTE, LineKind.KEPT)


class LiveView(PlainOutput):
    """Redrawn with every second of the stream; its last state stays on the screen."""

    def __init__(self, console: Console, title: str, now: Callable[[], float] = time.time) -> None:
        self.title, self.now = title, now
        self.second: LiveLine | None = None
        self.events: deque[str] = deque(maxlen=EVENTS)
        self.behind: float | None = None
        self._live = Live(self.picture(), console=console, auto_refresh=False)
        self._live.start()

    def take(self, line: LiveLine) -> None:
        if line.kind is LineKind.SECOND:
            self.second = line
            if line.wall is not None and line.end is not None:
                self.behind = self.now() - (line.wall + line.end - line.start)
        elif line.kind in SHOWN:
            self.events.append(as_text(line))
        self._live.update(self.picture(), refresh=True)

    def close(self) -> None:
        self._live.stop()

    def picture(self) -> Group:
        rows: list[RenderableType] = [
            Text(self._head(), style="bold", no_wrap=True, overflow="ellipsis"),
            self._bars(),
        ]
        lines = [Text(text, no_wrap=True, overflow="ellipsis") for text in self.events]
        return Group(*rows, *(lines or [Text("no events yet")]))

    def _head(self) -> str:
        level = QUIETEST if self.second is None or self.second.level is None else self.second.level
        parts = [
            self.title[:30],
            f"level {bar((level - QUIETEST) / -QUIETEST, 10)} {level:4.0f} dB",
        ]
        if self.behind is not None:
            parts.append(f"behind {max(0.0, self.behind):.1f} s")
        return "  ".join(parts)[:WIDTH]

    def _bars(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for label, score in () if self.second is None else self.second.scores:
            table.add_row(Text(f"{label:<30.30}"), Text(bar(score, BAR)), Text(f"{score:.2f}"))
        return table


def bar(share: float, width: int) -> str:
    filled = round(min(1.0, max(0.0, share)) * width)
    return "█" * filled + "░" * (width - filled)

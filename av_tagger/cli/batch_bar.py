"""How far a run is, while it goes on: a bar where a person watches, a line a minute in a log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from av_tagger.runner.journal import RunCounts
    from av_tagger.runner.run import Watch

LOG_SECONDS = 60.0


class Bar:
    """Rate, time left and live failures."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        columns = (
            TextColumn("tagging"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        failed = TextColumn("{task.fields[failed]}", style="red")
        self.console, self.logs = console, not quiet and not console.is_terminal
        self.bar = Progress(
            *columns,
            failed,
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self.task = self.bar.add_task(
            "tagging", total=None, rate="getting ready", failed="", start=False
        )
        self.known: int | None = None
        self.began: float | None = None
        self.said = time.monotonic()

    def __enter__(self) -> Watch:
        self.bar.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def _show(self, counts: RunCounts) -> None:
        now, reached = time.monotonic(), counts.done + counts.failed
        rate, failed = self._rate(reached, now), f"{counts.failed} failed" if counts.failed else ""
        self.bar.update(self.task, total=counts.total, completed=reached, rate=rate, failed=failed)
        if self.logs and now - self.said >= LOG_SECONDS:
            self.said = now
            words = ", ".join(filter(None, (f"{reached} of {counts.total}", failed, rate)))
            self.console.print(Text(words), soft_wrap=True)

    def _rate(self, reached: int, now: float) -> str:
        """Since the first clips came: what was known before, and the start, are no part of it."""
        if self.known is None:
            self.known = reached
        if self.began is None and reached > self.known:
            self.known, self.began = reached, now
            self.bar.start_task(self.task)
        if self.began is None:
            return "getting ready"
        if reached == self.known:
            return ""
        rate = (reached - self.known) / max(now - self.began, 1e-3)
        return f"{rate:.1f} clips/s" if rate >= 1 else f"{60 * rate:.1f} clips/min"

"""The one progress bar of all commands: rich's bar on a terminal, a line per minute in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Self, TypeVar

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from av_tagger.cli.console import Console, stderr_console
from av_tagger.cli.styles import ERROR

T = TypeVar("T")

BYTES = "bytes"  # the unit of downloads: shown as MB and MB/s
SECONDS = "seconds"  # of a film: its speed is a multiple of real time
LOG_SECONDS = 60.0


class ProgressBar:
    """The `(done, total)` callback that all other packages report their progress to."""

    def __init__(self, bars: ProgressBars, name: str) -> None:
        self._bars, self._name = bars, name
        self._task = bars.progress.add_task(name, total=None, rate="", failed="", start=False)
        self._base: int | None = None  # how many were done before this run
        self._began: float | None = None  # when the first new one was done
        self._logged = bars.clock()

    def __call__(self, done: int, total: int | None = None, failed: int = 0) -> None:
        now = self._bars.clock()
        rate, failures = self._rate(done, now), f"{failed} failed" if failed else ""
        self._bars.progress.update(
            self._task, completed=done, total=total, rate=rate, failed=failures
        )
        if self._bars.logs and now - self._logged >= LOG_SECONDS:
            self._logged = now
            count = f"{done} of {total}" if total is not None else str(done)
            if self._bars.unit == SECONDS:
                count = f"{self._name}: {count} s"
            self._bars.console.say(", ".join(filter(None, (count, failures, rate))))

    def track(self, items: Iterable[T], total: int | None = None) -> Iterator[T]:
        """The same items; the bar moves on when the next one is asked for."""
        self(0, total)
        for number, item in enumerate(items, 1):
            yield item
            self(number, total)

    def close(self) -> None:
        """Take the bar away: its work is done."""
        self._bars.progress.remove_task(self._task)

    def hidden(self) -> AbstractContextManager[None]:
        """See `ProgressBars.hidden`."""
        return self._bars.hidden()

    def _rate(self, done: int, now: float) -> str:
        """Measured from the first new item on: neither earlier results nor loading count."""
        if self._base is None:
            self._base = done
        if self._began is None and done > self._base:
            self._base, self._began = done, now
            self._bars.progress.start_task(self._task)
        if self._began is None:
            return "starting"
        if done == self._base or self._bars.unit == BYTES:
            return ""
        rate = (done - self._base) / max(now - self._began, 1e-3)
        unit = self._bars.unit
        if unit == SECONDS:
            return f"{rate:.1f} × real time"
        return f"{rate:.1f} {unit}/s" if rate >= 1 else f"{60 * rate:.1f} {unit}/min"


class ProgressBars:
    """Bars under each other on stderr, gone when the work is done.

    They are hidden with `quiet` and where stderr is no terminal; with `log` a line per minute
    takes their place there.
    """

    def __init__(
        self,
        unit: str,
        *,
        console: Console | None = None,
        quiet: bool = False,
        log: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.unit, self.clock = unit, clock
        self.console = console or stderr_console()
        self.logs = log and not quiet and not self.console.is_terminal
        self.progress = Progress(
            *_columns(unit),
            console=self.console,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # results in a pipe stay there
            disable=quiet or not self.console.is_terminal,
        )

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Nothing is drawn meanwhile: results can be printed on another console."""
        self.progress.stop()
        try:
            yield
        finally:
            self.progress.start()

    @property
    def shown(self) -> bool:
        """Whether anything is displayed."""
        return self.logs or not self.progress.disable

    def add(self, name: str) -> ProgressBar:
        return ProgressBar(self, name)


@contextmanager
def progress_bar(
    name: str,
    unit: str,
    *,
    console: Console | None = None,
    quiet: bool = False,
    log: bool = False,
) -> Iterator[ProgressBar]:
    """A single bar: `with progress_bar("training", "steps") as bar: bar(done, total)`."""
    with ProgressBars(unit, console=console, quiet=quiet, log=log) as bars:
        yield bars.add(name)


def _columns(unit: str) -> tuple[ProgressColumn, ...]:
    counts: tuple[ProgressColumn, ...] = (MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    if unit == BYTES:
        counts = (DownloadColumn(), TransferSpeedColumn())
    failed = TextColumn("{task.fields[failed]}", style=ERROR)
    return (
        TextColumn("{task.description}"),
        BarColumn(),
        *counts,
        TimeRemainingColumn(),
        failed,
    )

"""The progress bar: counts and rate on a terminal, a line per minute in a log, nothing if quiet."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from av_tagger.cli.console import Console
from av_tagger.cli.progress import BYTES, ProgressBars, progress_bar


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def bars_on(
    out: io.StringIO, terminal: bool, unit: str, clock: Callable[[], float]
) -> ProgressBars:
    console = Console(file=out, force_terminal=terminal, width=100)
    return ProgressBars(unit, console=console, log=True, clock=clock)


def show(terminal: bool, calls: list[tuple[float, int, int]], total: int | None = 400) -> str:
    """What is written for (time, done, failed) calls."""
    out, clock = io.StringIO(), Clock()
    with bars_on(out, terminal, "clips", clock) as bars:
        bar = bars.add("tagging")
        for clock.now, done, failed in calls:
            bar(done, total, failed)
    return out.getvalue()


RESUMED = [(1.0, 100, 0), (10.0, 101, 0), (70.0, 133, 2), (71.0, 134, 2)]


def test_a_terminal_shows_counts_rate_and_failures() -> None:
    shown = show(True, RESUMED)
    assert "134/400" in shown
    assert "2 failed" in shown
    assert "tagging" in shown


def test_a_log_gets_a_line_per_minute() -> None:
    assert show(False, RESUMED) == "133 of 400, 2 failed, 32.0 clips/min\n"


def test_the_rate_leaves_out_earlier_results_and_the_start() -> None:
    """100 were known before; from 5 s to 65 s come 120 new ones."""
    assert show(False, [(0.0, 100, 0), (5.0, 101, 0), (65.0, 221, 0)]) == (
        "221 of 400, 2.0 clips/s\n"
    )


def test_without_news_there_is_no_rate() -> None:
    assert show(False, [(0.0, 7, 0), (61.0, 7, 0)]) == "7 of 400, starting\n"
    assert show(False, [(0.0, 7, 0), (61.0, 8, 0)], total=None) == "8\n"


def test_downloads_are_shown_in_megabytes() -> None:
    out, clock = io.StringIO(), Clock()
    with bars_on(out, True, BYTES, clock) as bars:
        first, second = bars.add("words"), bars.add("objects")
        first(0, 5_000_000)
        first(2_500_000, 5_000_000)
        second(1_000_000, None)
    shown = out.getvalue()
    assert "2.5/5.0 MB" in shown
    assert "words" in shown
    assert "objects" in shown


def test_quiet_shows_nothing() -> None:
    for terminal in (True, False):
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, width=100)
        with progress_bar("tagging", "clips", console=console, quiet=True, log=True) as bar:
            bar(3, 4)
        assert out.getvalue() == ""


def test_track_yields_the_same_items_and_counts_them() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    with progress_bar("writing pages", "pages", console=console) as bar:
        assert list(bar.track(iter("abc"), total=3)) == ["a", "b", "c"]
    assert "3/3" in out.getvalue()


def test_stderr_is_the_default(capfd: pytest.CaptureFixture[str]) -> None:
    """stdout belongs to results."""
    with progress_bar("tagging", "clips") as bar:
        bar(1, 2)
    assert capfd.readouterr().out == ""

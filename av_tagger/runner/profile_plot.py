"""The chart of a profile: what every thread did and when, and the share of each stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from av_tagger.errors import MissingExtra
from av_tagger.reports.files import whole
from av_tagger.runner.profile import Profile, title
from av_tagger.runner.profiler import WAITING, WORK

COLOURS = {
    "decode": "#3b6fb6",
    "hear": "#e08a1e",
    "see": "#3c9d5b",
    "weigh": "#8d5fb0",
    "merge": "#b0476b",
    "features": "#4fb673",
    "key frames": "#1f6b3a",
    "recognise": "#8ccf6e",
    "words": "#c4dc8a",
}
DARK, PALE = "#555555", "#e6e6e6"  # other work of the runner, and waiting
MOST_THREADS = 24


def draw(profile: Profile, path: Path) -> None:
    """Threads over time above, shares of the whole run below."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(
            f"matplotlib cannot be loaded ({error}); install it for the chart, the table needs none"
        ) from error
    heights = [
        1 + min(MOST_THREADS, len({span.thread for span in profile.spans})),
        1 + len(profile.rows()),
    ]
    figure = Figure(figsize=(11, 1.5 + 0.27 * sum(heights)), layout="constrained")
    threads, shares = figure.subplots(2, 1, height_ratios=heights)
    _threads(threads, profile)
    _shares(shares, profile)
    with whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _threads(axes: Any, profile: Profile) -> None:
    known = sorted({span.thread for span in profile.spans})
    names = known[:MOST_THREADS]
    for row, name in enumerate(names):
        spans = (span for span in profile.spans if span.thread == name)
        mine = sorted(spans, key=lambda s: s.begin - s.end)  # parts are drawn over their whole
        axes.broken_barh(
            [(s.begin, s.end - s.begin) for s in mine],
            (row - 0.4, 0.8),
            facecolors=[_colour(s.stage) for s in mine],
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("seconds of the run")
    shown = (
        f"first {MOST_THREADS} of {len(known)} threads" if len(known) > len(names) else "threads"
    )
    axes.set_title(f"{shown} over time (grey: other work of the runner, pale: waiting)", loc="left")


def _shares(axes: Any, profile: Profile) -> None:
    rows = profile.rows()[::-1]
    axes.barh(
        [title(r.stage) for r in rows],
        [100 * r.busy for r in rows],
        color=[_colour(r.stage) for r in rows],
    )
    for y, row in enumerate(rows):
        note = f" {row.seconds:.1f} s" + (
            f", {row.share:.0%} of the work" if row.stage not in WAITING else ""
        )
        axes.text(100 * row.busy, y, note, va="center", fontsize=8)
    axes.set_xlabel("% of the run in which its threads were in this stage")
    axes.set_xlim(0, 125)


def _colour(stage: str) -> str:
    return COLOURS.get(stage, DARK if stage in WORK else PALE)

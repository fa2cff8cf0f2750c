"""The picture of a profile: what every pair of hands did, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from av_tagger.errors import MissingExtra
from av_tagger.reports.files import whole
from av_tagger.runner.clock import WAITING, WORK, Profile

COLOURS = {"decode": "#3b6fb6", "hear": "#e08a1e", "see": "#3c9d5b", "weigh": "#8d5fb0", "conclude": "#b0476b", "record": "#555555"}
PALE = "#e6e6e6"


def draw(profile: Profile, path: Path) -> None:
    """Lanes of the last part of the run above, shares of the whole run below."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(f"matplotlib cannot be loaded ({error}); the table needs none, only the picture does") from error
    figure = Figure(figsize=(11, 6), layout="constrained")
    lanes, shares = figure.subplots(2, 1, height_ratios=[3, 2])
    _lanes(lanes, profile)
    _shares(shares, profile)
    with whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _lanes(axes: Any, profile: Profile) -> None:
    names = sorted({span.lane for span in profile.spans})
    for row, lane in enumerate(names):
        mine = [span for span in profile.spans if span.lane == lane]
        axes.broken_barh(
            [(s.begin, s.end - s.begin) for s in mine], (row - 0.4, 0.8), facecolors=[COLOURS.get(s.stage, PALE) for s in mine]
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("seconds of the run")
    axes.set_title("what every pair of hands did (pale: waiting)", loc="left")


def _shares(axes: Any, profile: Profile) -> None:
    rows = profile.rows()[::-1]
    axes.barh([WAITING.get(r.stage, r.stage) for r in rows], [100 * r.busy for r in rows], color=[COLOURS.get(r.stage, PALE) for r in rows])
    for y, row in enumerate(rows):
        note = f" {row.seconds:.1f} s" + (f", {row.share:.0%} of the work" if row.stage in WORK else "")
        axes.text(100 * row.busy, y, note, va="center", fontsize=8)
    axes.set_xlabel("% of the run in which its hands were at it")
    axes.set_xlim(0, 125)

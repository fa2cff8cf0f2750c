"""Thresholds from a recorded day: so many alarms per hour and class, and no more."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from av_tagger.errors import StorageError, UsageError

CLOSED = "SELECT label, peak FROM lines WHERE kind = 'close' AND peak IS NOT NULL"
SPAN = "SELECT max(coalesce(end, start)) FROM lines"
WALL = "SELECT max(wall) - min(wall) FROM lines WHERE wall IS NOT NULL"
DIGITS = 4


@dataclass(frozen=True)
class AlarmChoice:
    """What was chosen for one class; `threshold` None: all its events may be reported."""

    label: str
    events: int  # of the recording
    kept: int  # that reach the threshold
    threshold: float | None


@dataclass(frozen=True)
class AlarmTuning:
    """Choices for every class that was heard, over a recording of `hours`."""

    hours: float
    choices: tuple[AlarmChoice, ...]


def tune_alarms(journal: Path, per_hour: float) -> AlarmTuning:
    """The lowest threshold of each class with at most `per_hour` events per hour."""
    if per_hour <= 0:
        raise UsageError(f"--alarms-per-hour is above 0, not {per_hour:g}")
    peaks, hours = _read(journal)
    choices = [_choice(label, found, per_hour * hours) for label, found in sorted(peaks.items())]
    return AlarmTuning(hours, tuple(choices))


def as_rules(tuning: AlarmTuning) -> str:
    """The text of a file for `av-tag listen --alarms`."""
    blocks = [f"# from {tuning.hours:.2f} h of recording"]
    blocks += [
        f'[classes."{c.label}"]  # {c.kept} of {c.events} events\nthreshold = {c.threshold}'
        for c in tuning.choices
        if c.threshold is not None
    ]
    return "\n\n".join(blocks) + "\n"


def _choice(label: str, peaks: Sequence[float], budget: float) -> AlarmChoice:
    ordered, most = sorted(peaks, reverse=True), int(budget + 1e-9)
    if len(ordered) <= most:
        return AlarmChoice(label, len(ordered), len(ordered), None)
    threshold = min(1.0, round(ordered[most] + 10**-DIGITS, DIGITS))
    return AlarmChoice(label, len(ordered), sum(p >= threshold for p in ordered), threshold)


def _read(journal: Path) -> tuple[dict[str, list[float]], float]:
    """Peaks by class, and the hours of the recording."""
    if not journal.is_file():
        raise UsageError(f"{journal}: no such file; name a journal of av-tag listen --journal")
    peaks: dict[str, list[float]] = defaultdict(list)
    try:
        with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as database:
            for label, peak in database.execute(CLOSED):
                peaks[label].append(peak)
            spans = [database.execute(query).fetchone()[0] or 0.0 for query in (SPAN, WALL)]
    except sqlite3.Error as error:
        reason = f"cannot be read as a journal of av-tag listen ({error})"
        raise StorageError(f"{journal}: {reason}") from error
    hours = max(spans) / 3600
    if not hours:
        raise UsageError(f"{journal}: is empty; listen for a day first")
    return peaks, hours

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
    common: float | None = None  # threshold of all classes together

    @property
    def kept(self) -> int:
        return sum(choice.kept for choice in self.choices)


def tune_alarms(journal: Path, per_hour: float | None, in_all: float | None = None) -> AlarmTuning:
    """The lowest thresholds with at most `per_hour` events per hour of each class.

    `in_all`: and at most so many of all classes together, by a threshold that all of them share.
    """
    for name, value in (("--alarms-per-hour", per_hour), ("--all-alarms-per-hour", in_all)):
        if value is not None and value <= 0:
            raise UsageError(f"{name} is above 0, not {value:g}")
    peaks, hours = _read(journal)
    own = {
        label: None if per_hour is None else _threshold(found, per_hour * hours)
        for label, found in peaks.items()
    }
    passed = [p for label, found in peaks.items() for p in found if p >= (own[label] or 0.0)]
    common = None if in_all is None else _threshold(passed, in_all * hours)
    choices = []
    for label, found in sorted(peaks.items()):
        limits = [t for t in (own[label], common) if t is not None]
        threshold = max(limits, default=None)
        kept = sum(p >= (threshold or 0.0) for p in found)
        choices.append(AlarmChoice(label, len(found), kept, threshold))
    return AlarmTuning(hours, tuple(choices), common)


def as_rules(tuning: AlarmTuning) -> str:
    """The text of a file for `av-tag listen --alarms`."""
    blocks = [f"# from {tuning.hours:.2f} h of recording, {tuning.kept} events are left"]
    if tuning.common is not None:
        blocks.append(f"[usual]  # classes that were not heard\nthreshold = {tuning.common}")
    blocks += [
        f'[classes."{c.label}"]  # {c.kept} of {c.events} events\nthreshold = {c.threshold}'
        for c in tuning.choices
        if c.threshold is not None
    ]
    return "\n\n".join(blocks) + "\n"


def _threshold(peaks: Sequence[float], budget: float) -> float | None:
    """The lowest threshold that at most `budget` peaks reach; None: all of them may."""
    ordered, most = sorted(peaks, reverse=True), int(budget + 1e-9)
    if len(ordered) <= most:
        return None
    step: float = 10.0**-DIGITS
    return min(1.0, round(ordered[most] + step, DIGITS))


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

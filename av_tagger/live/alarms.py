"""Rules against false alarms: minimum durations, hold-off, quiet hours, thresholds (plain data)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from av_tagger.errors import UsageError, did_you_mean
from av_tagger.live.lines import LineKind, LiveLine
from av_tagger.settings import from_table, read_toml

EVENT_LINES = (LineKind.OPEN, LineKind.UPDATE, LineKind.CLOSE)


@dataclass(frozen=True)
class ClassRule:
    """For one class; a threshold adds to that of the fusion: it can only be stricter."""

    minimum_seconds: float = 0.0  # shorter events are not reported
    hold_off_seconds: float = 0.0  # after an event ended, others of its class are not reported
    threshold: float | None = None  # of the peak of an event

    def __post_init__(self) -> None:
        if self.minimum_seconds < 0 or self.hold_off_seconds < 0:
            raise ValueError("minimum_seconds and hold_off_seconds are not negative")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must lie between 0 and 1: {self.threshold}")


@dataclass(frozen=True)
class AlarmRules:
    """Rules by class, a rule for all others, and hours without alarms, such as 22:00-06:00."""

    usual: ClassRule = field(default_factory=ClassRule)
    classes: Mapping[str, ClassRule] = field(default_factory=dict)
    quiet: tuple[str, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether an opening may have to wait, for which it needs updates."""
        rules = (self.usual, *self.classes.values())
        return any(r.minimum_seconds > 0 or r.threshold is not None for r in rules)

    def of(self, label: str) -> ClassRule:
        return self.classes.get(label, self.usual)

    def is_quiet(self, wall: float | None) -> bool:
        """Whether a Unix time lies in the quiet hours of this machine's time zone."""
        if wall is None:
            return False
        now = dt.datetime.fromtimestamp(wall).astimezone().time()
        return any(_within(now, *hours(text)) for text in self.quiet)


def read_rules(path: Path, labels: tuple[str, ...]) -> AlarmRules:
    """A TOML file: tables `usual` and `classes.LABEL`, and a list `quiet`."""
    table: dict[str, Any] = read_toml(path)
    unknown = set(table) - {"usual", "classes", "quiet"}
    if unknown:
        word = min(unknown)
        hint = did_you_mean(word, ["usual", "classes", "quiet"])
        raise UsageError(f"{path}: there is no setting {word!r}; {hint}")
    classes = table.get("classes", {})
    strange = next((label for label in classes if label not in labels), None)
    if strange is not None:
        raise UsageError(f"{path}: there is no class {strange!r}; {did_you_mean(strange, labels)}")
    quiet = tuple(str(text) for text in table.get("quiet", ()))
    for text in quiet:
        hours(text, str(path))
    return AlarmRules(
        from_table(ClassRule, table.get("usual", {}), f"{path}, usual"),
        {k: from_table(ClassRule, v, f"{path}, classes.{k}") for k, v in classes.items()},
        quiet,
    )


def hours(text: str, where: str = "quiet hours") -> tuple[dt.time, dt.time]:
    """`22:00-06:00`"""
    try:
        begin, end = (dt.time.fromisoformat(part.strip()) for part in text.split("-"))
    except ValueError as error:
        raise UsageError(
            f"{where}: {text!r} is not a time span; write it as 22:00-06:00"
        ) from error
    return begin, end


def _within(now: dt.time, begin: dt.time, end: dt.time) -> bool:
    return begin <= now < end if begin <= end else now >= begin or now < end


@dataclass
class AlarmFilter:
    """Lines that obey the rules. An opening waits until its event is long and sure enough."""

    rules: AlarmRules = field(default_factory=AlarmRules)
    update_seconds: float = 0.0  # between `update` lines of an event; 0: none
    held: int = 0  # events that were not reported
    _waiting: dict[int, LiveLine] = field(default_factory=dict)
    _updated: dict[int, float] = field(default_factory=dict)
    _dropped: set[int] = field(default_factory=set)
    _free_at: dict[str, float] = field(default_factory=dict)

    def filter(self, lines: Iterable[LiveLine]) -> Iterator[LiveLine]:
        for line in lines:
            if line.kind in EVENT_LINES and line.number is not None:
                yield from self._event(line, line.number)
            else:
                yield line

    def _event(self, line: LiveLine, number: int) -> Iterator[LiveLine]:
        if line.kind is LineKind.OPEN:
            held_off = line.start < self._free_at.get(line.label, -1.0)
            if held_off or self.rules.is_quiet(line.wall):
                self._dropped.add(number)
                self.held += 1
                return
            self._waiting[number] = line
        yield from self._ripe(line, number)
        if line.kind is LineKind.CLOSE:
            yield from self._closed(line, number)
        elif line.kind is LineKind.UPDATE and self._update_due(line, number):
            yield line

    def _update_due(self, line: LiveLine, number: int) -> bool:
        """Updates of reported events, no more often than asked for."""
        if not self.update_seconds or number in self._waiting or number in self._dropped:
            return False
        now, last = line.end or line.start, self._updated.get(number, line.start)
        if now - last < self.update_seconds - 1e-6:
            return False
        self._updated[number] = now
        return True

    def _ripe(self, line: LiveLine, number: int) -> Iterator[LiveLine]:
        """The opening of an event that has become long and sure enough."""
        opening = self._waiting.get(number)
        if opening is None:
            return
        rule = self.rules.of(line.label)
        lasted = (line.end if line.end is not None else line.start) - line.start
        sure = rule.threshold is None or (line.peak or 0.0) >= rule.threshold
        if sure and lasted >= rule.minimum_seconds - 1e-6:
            del self._waiting[number]
            yield replace(opening, peak=line.peak)

    def _closed(self, line: LiveLine, number: int) -> Iterator[LiveLine]:
        self._updated.pop(number, None)
        if number in self._dropped or self._waiting.pop(number, None) is not None:
            self.held += number not in self._dropped
            self._dropped.discard(number)
            return
        hold = self.rules.of(line.label).hold_off_seconds
        if hold:
            self._free_at[line.label] = (line.end or line.start) + hold
        yield line

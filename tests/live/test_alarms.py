"""Rules against false alarms: minimum durations, hold-off, thresholds, quiet hours."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from av_tagger.errors import AvTaggerError, UsageError
from av_tagger.live.alarms import AlarmFilter, AlarmRules, ClassRule, hours, read_rules
from av_tagger.live.lines import LineKind, LiveLine

OPEN, UPDATE, CLOSE = LineKind.OPEN, LineKind.UPDATE, LineKind.CLOSE


def event(number: int, start: float, end: float, peak: float = 0.9) -> list[LiveLine]:
    """Opened, updated every second, closed."""
    line = LiveLine(OPEN, start, label="Siren", peak=peak / 2, number=number)
    updates = [
        LiveLine(UPDATE, start, start + s, "Siren", peak, number=number)
        for s in range(1, int(end - start) + 1)
    ]
    return [line, *updates, LiveLine(CLOSE, start, end, "Siren", peak, number=number)]


def filtered(rule: ClassRule, *events: list[LiveLine], updates: float = 0.0) -> list[LiveLine]:
    rules = AlarmRules(classes={"Siren": rule})
    return list(AlarmFilter(rules, updates).filter([line for e in events for line in e]))


def kinds(lines: list[LiveLine]) -> list[tuple[LineKind, int | None]]:
    return [(line.kind, line.number) for line in lines]


def test_without_rules_nothing_changes() -> None:
    lines = [*event(1, 0, 3), LiveLine(LineKind.GAP, 3.0)]
    found = list(AlarmFilter(update_seconds=1.0).filter(lines))
    assert kinds(found) == kinds(lines)


def test_updates_are_as_rare_as_asked_for() -> None:
    assert kinds(filtered(ClassRule(), event(1, 0, 9), updates=3.0)).count((UPDATE, 1)) == 3
    assert kinds(filtered(ClassRule(), event(1, 0, 9))) == [(OPEN, 1), (CLOSE, 1)]


def test_short_events_are_left_out_and_long_ones_open_when_they_are_long_enough() -> None:
    rule = ClassRule(minimum_seconds=2.0)
    assert kinds(filtered(rule, event(1, 0, 1.5), event(2, 5, 9))) == [(OPEN, 2), (CLOSE, 2)]
    rules = AlarmFilter(AlarmRules(usual=rule))
    lines = event(3, 0, 4)
    assert list(rules.filter(lines[:2])) == []
    assert kinds(list(rules.filter(lines[2:3]))) == [(OPEN, 3)]


def test_an_event_that_becomes_long_enough_with_its_end_is_told() -> None:
    lines = [event(1, 0, 4)[0], event(1, 0, 4)[-1]]
    assert kinds(filtered(ClassRule(minimum_seconds=2.0), lines)) == [(OPEN, 1), (CLOSE, 1)]


def test_a_threshold_per_class() -> None:
    rule = ClassRule(threshold=0.8)
    assert kinds(filtered(rule, event(1, 0, 3, 0.7), event(2, 5, 8, 0.9))) == [
        (OPEN, 2),
        (CLOSE, 2),
    ]


def test_hold_off_after_an_event() -> None:
    rule = ClassRule(hold_off_seconds=10.0)
    found = filtered(rule, event(1, 0, 3), event(2, 8, 9), event(3, 14, 15))
    assert kinds(found) == [(OPEN, 1), (CLOSE, 1), (OPEN, 3), (CLOSE, 3)]


def test_what_was_held_back_is_counted() -> None:
    alarms = AlarmFilter(AlarmRules(usual=ClassRule(minimum_seconds=5, hold_off_seconds=60)))
    list(alarms.filter([*event(1, 0, 2), *event(2, 10, 20), *event(3, 30, 40)]))
    assert alarms.held == 2


def at(clock: str) -> float:
    return dt.datetime.fromisoformat(f"2026-03-01T{clock}").astimezone().timestamp()


def test_quiet_hours() -> None:
    rules = AlarmRules(quiet=("22:00-06:00", "12:00-13:00"))
    times = ("23:30", "05:59", "06:00", "12:30", "14:00")
    assert [rules.is_quiet(at(t)) for t in times] == [True, True, False, True, False]
    assert not rules.is_quiet(None)


def test_events_of_quiet_hours_are_not_reported() -> None:
    alarms = AlarmFilter(AlarmRules(quiet=("22:00-06:00",)))
    night = LiveLine(OPEN, 0.0, label="Siren", peak=0.9, number=1, wall=at("23:00"))
    done = LiveLine(CLOSE, 0.0, 2.0, "Siren", 0.9, number=1, wall=at("23:00"))
    assert list(alarms.filter([night, done])) == []


def test_a_file_of_rules(tmp_path: Path) -> None:
    path = tmp_path / "alarms.toml"
    path.write_text(
        'quiet = ["22:00-06:00"]\n[usual]\nminimum_seconds = 1.0\n'
        "[classes.Siren]\nhold_off_seconds = 30\nthreshold = 0.7\n"
    )
    rules = read_rules(path, ("Siren", "Bus"))
    assert rules.of("Bus") == ClassRule(minimum_seconds=1.0)
    assert rules.of("Siren") == ClassRule(hold_off_seconds=30, threshold=0.7)
    assert rules.waits


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[classes.Sirene]\n", "there is no class 'Sirene'; did you mean 'Siren'"),
        ("silent = []\n", "there is no setting 'silent'"),
        ('quiet = ["night"]\n', "'night' is not a time span; write it as 22:00-06:00"),
        ("[usual]\nminimum = 1\n", "minimum"),
        ("[usual]\nminimum_seconds = -1.0\n", "not negative"),
    ],
)
def test_mistakes_in_it(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "alarms.toml"
    path.write_text(text)
    with pytest.raises((AvTaggerError, ValueError), match=message):
        read_rules(path, ("Siren", "Bus"))


def test_time_spans() -> None:
    assert hours("22:00-06:30") == (dt.time(22), dt.time(6, 30))
    with pytest.raises(UsageError):
        hours("22-25")

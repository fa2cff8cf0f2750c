"""Thresholds from a recorded day."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import StorageError, UsageError
from av_tagger.live.alarms import read_rules
from av_tagger.live.choose import AlarmChoice, AlarmTuning, as_rules, tune_alarms
from av_tagger.live.lines import LineKind, LiveLine
from av_tagger.live.outputs.files import DailyJournal
from tests.live.outputs.test_outputs import HEAD

PEAKS = {"Siren": [0.5, 0.6, 0.7, 0.8, 0.9], "Bus": [0.9]}


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Two hours."""
    output = DailyJournal(tmp_path, HEAD, lambda: "day")
    for label, peaks in PEAKS.items():
        for n, peak in enumerate(peaks):
            output.take(LiveLine(LineKind.CLOSE, n * 60.0, n * 60 + 5.0, label, peak, number=n + 1))
    output.take(LiveLine(LineKind.END, 7200.0, text="the source has ended"))
    output.close()
    return tmp_path / "day.sqlite"


def test_the_threshold_lets_so_many_through(journal: Path) -> None:
    tuning = tune_alarms(journal, 1.0)
    assert tuning.hours == 2.0
    bus, siren = tuning.choices
    assert (bus.label, bus.kept, bus.threshold) == ("Bus", 1, None)
    assert (siren.events, siren.kept) == (5, 2)
    assert siren.threshold == pytest.approx(0.7001)


def test_equal_peaks_do_not_exceed_the_limit(tmp_path: Path) -> None:
    output = DailyJournal(tmp_path, HEAD, lambda: "day")
    for n in range(10):
        output.take(LiveLine(LineKind.CLOSE, n * 360.0, n * 360 + 360.0, "Bus", 0.9, number=n + 1))
    output.close()
    (bus,) = tune_alarms(tmp_path / "day.sqlite", 3.0).choices
    assert bus.kept <= 3


def test_the_rules_can_be_read(journal: Path, tmp_path: Path) -> None:
    path = tmp_path / "alarms.toml"
    path.write_text(as_rules(tune_alarms(journal, 1.0)))
    rules = read_rules(path, tuple(PEAKS))
    assert rules.of("Siren").threshold == pytest.approx(0.7001)
    assert rules.of("Bus").threshold is None


def test_all_classes_together(journal: Path, tmp_path: Path) -> None:
    tuning = tune_alarms(journal, None, 1.0)
    bus, siren = tuning.choices
    assert tuning.common == pytest.approx(0.8001)
    assert (bus.kept, siren.kept, tuning.kept) == (1, 1, 2)
    both = tune_alarms(journal, 2.0, 2.0)
    assert both.common == pytest.approx(0.6001)
    assert [c.kept for c in both.choices] == [1, 3]
    assert tune_alarms(journal, 1.0, 5.0).common is None
    path = tmp_path / "alarms.toml"
    path.write_text(as_rules(tuning))
    rules = read_rules(path, (*PEAKS, "Train"))
    limits = [rules.of(label).threshold for label in ("Bus", "Siren", "Train")]
    assert limits == [tuning.common] * 3


def test_what_is_no_journal(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        tune_alarms(tmp_path / "no.sqlite", 1.0)
    with pytest.raises(UsageError, match="above 0"):
        tune_alarms(tmp_path / "no.sqlite", 0.0)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE x (y)")
    database.close()
    with pytest.raises(StorageError, match="cannot be read as a journal"):
        tune_alarms(other, 1.0)
    DailyJournal(tmp_path, HEAD, lambda: "empty").close()
    with pytest.raises(UsageError, match="is empty; listen for a day first"):
        tune_alarms(tmp_path / "empty.sqlite", 1.0)


def recorded(folder: Path, peaks: dict[str, list[float]], hours: float) -> Path:
    output = DailyJournal(folder, HEAD, lambda: "made")
    for label, found in peaks.items():
        for n, peak in enumerate(found):
            output.take(LiveLine(LineKind.CLOSE, float(n), n + 1.0, label, peak, number=n + 1))
    output.take(LiveLine(LineKind.END, hours * 3600, text="the source has ended"))
    output.close()
    return folder / "made.sqlite"


HOURS = 4.0


@pytest.fixture(scope="module")
def shares() -> dict[str, list[float]]:
    """Peaks of which many are equal."""
    rng = np.random.default_rng(0)
    return {n: (rng.integers(20, 99, 40) / 100).tolist() for n in ("Bus", "Siren", "Train")}


@pytest.fixture(scope="module")
def busy(shares: dict[str, list[float]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("busy"), shares, HOURS)


@pytest.mark.parametrize("per_hour", [None, 2.5])
@pytest.mark.parametrize("in_all", [0.4, 3.0, 6.9])
def test_both_limits_hold_and_the_shared_threshold_is_the_lowest(
    per_hour: float | None, in_all: float, busy: Path, shares: dict[str, list[float]]
) -> None:
    tuning = tune_alarms(busy, per_hour, in_all)
    assert tuning.common is not None
    limits = {c.label: c.threshold for c in tuning.choices}
    kept = {n: sum(p >= (limits[n] or 0) for p in found) for n, found in shares.items()}
    assert {c.label: c.kept for c in tuning.choices} == kept
    assert sum(kept.values()) == tuning.kept <= in_all * HOURS
    assert all(limit is not None and limit >= tuning.common for limit in limits.values())
    if per_hour is not None:
        assert max(kept.values()) <= per_hour * HOURS
    alone = _by_label(tune_alarms(busy, per_hour))
    own = {name: choice.threshold or 0 for name, choice in alone.items()}
    lower = tuning.common - 0.0002
    more = sum(p >= max(lower, own[n]) for n, found in shares.items() for p in found)
    assert more > in_all * HOURS, "a lower one lets too many through"


def _by_label(tuning: AlarmTuning) -> dict[str, AlarmChoice]:
    return {choice.label: choice for choice in tuning.choices}


def test_one_loud_class_raises_the_threshold_of_all(tmp_path: Path) -> None:
    peaks = {"Siren": [0.9, 0.91, 0.92, 0.93], "Bus": [0.5, 0.6]}
    tuning = tune_alarms(recorded(tmp_path, peaks, 1.0), None, 3.0)
    assert tuning.common == pytest.approx(0.9001)
    assert {c.label: (c.kept, c.threshold) for c in tuning.choices} == {
        "Bus": (0, tuning.common),
        "Siren": (3, tuning.common),
    }
    rules = as_rules(tuning)
    assert "1.00 h of recording, 3 events are left" in rules
    assert "[usual]" in rules
    own = tune_alarms(tmp_path / "made.sqlite", 3.0)
    assert own.common is None
    assert "[usual]" not in as_rules(own)
    assert _by_label(own)["Bus"].threshold is None


def test_what_the_limit_of_a_class_stops_does_not_count_for_all(tmp_path: Path) -> None:
    peaks = {"Siren": [0.9, 0.91, 0.92, 0.93], "Bus": [0.5, 0.6]}
    tuning = tune_alarms(recorded(tmp_path, peaks, 1.0), 1.0, 2.0)
    assert tuning.common is None
    assert {c.label: (c.kept, c.threshold) for c in tuning.choices} == {
        "Bus": (1, pytest.approx(0.5001)),
        "Siren": (1, pytest.approx(0.9201)),
    }


def test_peaks_of_1_pass_every_threshold_and_are_counted(tmp_path: Path) -> None:
    """No threshold above 1 is a rule: what is left is told as it is."""
    tuning = tune_alarms(recorded(tmp_path, {"Bus": [1.0] * 5 + [0.4]}, 1.0), None, 2.0)
    assert (tuning.common, tuning.kept) == (1.0, 5)


@pytest.mark.parametrize("limit", [0.0, -1.0])
def test_a_limit_of_all_classes_is_above_0(limit: float, journal: Path) -> None:
    with pytest.raises(UsageError, match="--all-alarms-per-hour is above 0, not"):
        tune_alarms(journal, None, limit)

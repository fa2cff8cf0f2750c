"""Thresholds from a recorded day."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from av_tagger.errors import StorageError, UsageError
from av_tagger.live.alarms import read_rules
from av_tagger.live.choose import as_rules, tune_alarms
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

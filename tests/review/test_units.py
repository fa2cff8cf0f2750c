"""Candidates of results and journals, where they are played, and the order of the questions."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from av_tagger.collection.sources import IndexSource, sources_of
from av_tagger.reports.schema import as_line
from av_tagger.review import units
from av_tagger.review.order import draws
from av_tagger.review.units import PlayedPart, ReviewUnit, read_units
from av_tagger.scores import Activity, Event, Tagged
from tests.review.conftest import tagged


def found(tmp_path: Path, *results: Tagged) -> list[ReviewUnit]:
    path = tmp_path / "r.jsonl"
    path.write_text("".join(as_line(r) + "\n" for r in results))
    return read_units(sources_of([str(path)])).units


def test_classes_near_their_thresholds_are_candidates(tmp_path: Path) -> None:
    one, two = found(tmp_path, tagged(Path("a.wav"), {"Bus": 0.9, "Car": 0.2, "Dog": 1e-4}))
    assert (one.label, two.label) == ("Bus", "Car")
    assert one.margin == pytest.approx(np.log(9))
    assert two.row == "ear"


def test_the_strongest_events_are_played_with_some_sound_around_them(tmp_path: Path) -> None:
    result = tagged(Path("a.wav"), {"Bus": 0.9})
    events = (Event(0.2, 0.4, 0.6), Event(2, 3, 0.9), Event(1, 1.5, 0.5), Event(3.5, 4, 0.7))
    result = replace(result, tags=(replace(result.tags[0], events=events),))
    (unit,) = found(tmp_path, result)
    assert unit.parts == (PlayedPart(1.5, 3.5), PlayedPart(3.0, 4.0), PlayedPart(0.0, 1.0))


def test_without_an_event_the_peak_of_the_activity_is_played(tmp_path: Path) -> None:
    values = np.zeros((40, 1), np.float32)
    values[25] = 0.3
    result = replace(tagged(Path("a.wav"), {"Bus": 0.3}), activity=Activity(values, 10.0))
    path = tmp_path / "r.jsonl"
    path.write_text(as_line(result, detail=True) + "\n")
    (unit,) = read_units(sources_of([str(path)])).units
    assert unit.parts == (PlayedPart(1.05, 4.0),)


def test_a_long_file_without_a_place_is_counted(tmp_path: Path) -> None:
    long = replace(tagged(Path("a.wav"), {"Bus": 0.3}), duration_seconds=900.0)
    path = tmp_path / "r.jsonl"
    path.write_text(as_line(long) + "\n")
    read = read_units(sources_of([str(path)]))
    assert (read.units, read.placeless) == ([], 1)


def test_very_many_candidates_are_thinned_out_by_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "MOST_UNITS", 100)
    results = [tagged(Path(f"{i}.wav"), {"Bus": 0.4, "Car": 0.6}) for i in range(400)]
    path = tmp_path / "r.jsonl"
    path.write_text("".join(as_line(r) + "\n" for r in results))
    read = read_units(sources_of([str(path)]))
    assert read.share < 0.5
    assert 20 < len(read.units) <= 100
    assert set(Counter(u.file for u in read.units).values()) == {2}, "whole clips are kept"
    assert {u.key for u in read.units} == {u.key for u in read_units(sources_of([str(path)])).units}


def journal(path: Path, kept: Path, lines: int = 2) -> Path:
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TABLE lines (id INTEGER PRIMARY KEY, wall REAL, kind TEXT, label TEXT,"
            " start REAL, end REAL, peak REAL, document TEXT)"
        )
        for n in range(lines):
            event = {"label": "Bus", "number": n, "start": 100.0 + n, "end": 102.0 + n}
            close = event | {"probability": 0.6, "threshold": 0.5, "peak": 0.8, "heard": 0.6}
            keep = event | {"start": 95.0 + n, "end": 107.0 + n, "text": str(kept)}
            for kind, document in (("close", close), ("kept", keep), ("kept", {"number": "x"})):
                row = (kind, json.dumps(document))
                db.execute("INSERT INTO lines (kind, document) VALUES (?, ?)", row)
        db.execute("INSERT INTO lines (kind, document) VALUES ('close', 'no json')")
    db.close()
    return path


def test_events_of_a_live_journal_are_played_from_their_kept_sound(tmp_path: Path) -> None:
    day = journal(tmp_path / "2026-11-26.sqlite", tmp_path / "kept.wav")
    read = read_units([IndexSource(day, "day", live=True)])
    assert len(read.units) == 2
    unit = read.units[0]
    assert unit.live
    assert unit.file == str(tmp_path / "kept.wav")
    assert unit.parts == (PlayedPart(4.5, 7.5),)
    assert (unit.score, unit.threshold) == (0.6, 0.5)


def many(count: int = 200) -> list[ReviewUnit]:
    rng = np.random.default_rng(0)
    return [
        ReviewUnit(
            f"{label}{i}", label, f"{i}.wav", (0.0, None), p, 0.5, p, None, (PlayedPart(0, 1),)
        )
        for i in range(count)
        for label, p in (("Bus", rng.uniform(0.1, 0.9)), ("Car", rng.uniform(0.1, 0.9)))
    ]


def test_uncertain_units_come_first_in_all_classes_and_a_fifth_is_random() -> None:
    all_units = many()
    first = list(islice(draws(all_units, 20, lambda _: False), 50))
    samples = Counter(sample for _, sample in first)
    assert samples == {"uncertain": 40, "random": 10}
    near = [u for u, sample in first if sample == "uncertain"]
    assert Counter(u.label for u in near) == {"Bus": 20, "Car": 20}
    margins = [abs(u.margin) for u in near if u.label == "Bus"]
    assert margins == sorted(margins)
    rest = [abs(u.margin) for u in all_units if u.label == "Bus" and u not in near]
    drawn = {u.key for u, _ in first}
    assert max(margins) <= min(abs(u.margin) for u in all_units if u.key not in drawn)
    assert np.median(rest) < np.median([abs(u.margin) for u, s in first if s == "random"]) * 3


def test_every_unit_is_drawn_once_and_settled_ones_are_not() -> None:
    all_units = many(30)
    drawn = [u.key for u, _ in draws(all_units, 20, lambda key: key.endswith("7"))]
    assert sorted(drawn) == sorted(u.key for u in all_units if not u.key.endswith("7"))


@pytest.mark.parametrize(("percent", "expected"), [(0, 0), (100, 20), (50, 10), (20, 4), (15, 3)])
def test_the_random_share_is_kept(percent: int, expected: int) -> None:
    first = islice(draws(many(), percent, lambda _: False), 20)
    assert sum(sample == "random" for _, sample in first) == expected


def test_classes_far_from_their_thresholds_wait(tmp_path: Path) -> None:
    scores = {"Bus": 0.52, "Aardvark": 0.05, "Zebra": 0.48}
    units_found = found(tmp_path, *(tagged(Path(f"{i}.wav"), scores) for i in range(3)))
    first = [u.label for u, _ in islice(draws(units_found, 0, lambda _: False), 9)]
    assert set(first[:6]) == {"Bus", "Zebra"}
    assert first[6:] == ["Aardvark"] * 3

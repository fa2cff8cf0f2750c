"""Collar-based F1 counted by hand, and PSDS of perfect, silent and useless activity."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.dcase import SoundEvent, write_events
from av_tagger.errors import MissingExtra, UsageError
from av_tagger.evaluation import event_scores
from av_tagger.evaluation.event_scores import collar_scores, psds
from av_tagger.evaluation.report import evaluate_events
from av_tagger.labels import ClassList, SoundClass
from av_tagger.reports.schema import as_line
from av_tagger.scores import Activity, BranchInfo, ClassScore, Event, RunInfo, Status, Tag, Tagged

LABELS = ("Bus", "Car", "Train")
CLASSES = ClassList(tuple(SoundClass(label) for label in LABELS))
TRUTH = {
    "a": (SoundEvent("Car", 1.0, 4.0),),
    "b": (SoundEvent("Bus", 2.0, 3.0), SoundEvent("Car", 5.0, 9.0)),
}


@pytest.fixture
def libraries() -> Any:
    """sed_eval and sed_scores_eval, whose imports warn."""
    try:
        return [event_scores._library(name) for name in ("sed_eval", "sed_scores_eval")]
    except MissingExtra as error:
        pytest.skip(str(error))


def test_a_case_counted_by_hand(libraries: Any) -> None:
    """Car in a: within the collar. Bus in b: 0.3 s late. Car in b: missed. A Train too many."""
    said = {
        "a": (SoundEvent("Car", 1.15, 4.5),),
        "b": (SoundEvent("Bus", 2.3, 3.0), SoundEvent("Train", 0.0, 1.0)),
    }
    scores = collar_scores(TRUTH, said, LABELS)
    assert scores.overall.precision == pytest.approx(1 / 3)
    assert scores.overall.recall == pytest.approx(1 / 3)
    assert scores.class_f1["Car"] == pytest.approx(2 / 3)
    assert scores.class_f1["Bus"] == 0.0


def test_a_clip_without_predictions_is_missed(libraries: Any) -> None:
    scores = collar_scores(TRUTH, {"a": TRUTH["a"]}, LABELS)
    assert (scores.overall.precision, scores.overall.recall) == (1.0, pytest.approx(1 / 3))
    assert collar_scores(TRUTH, {}, LABELS).overall.f1 == 0.0


def results(path: Path, activity: str, detail: bool = True) -> Path:
    """Results with activity at 10 Hz: as the truth, reversed, or silent."""
    lines = []
    for name, events in TRUTH.items():
        values = np.zeros((100, len(LABELS)), np.float32)
        for event in events:
            rows = slice(round(event.start * 10), round(event.end * 10))
            values[rows, LABELS.index(event.label)] = 0.9
        values = {"perfect": values, "reversed": 0.9 - values, "silent": 0 * values}[activity]
        branch, run = BranchInfo(Status.OK, "fake"), RunInfo("0", "cpu", "", 0.0)
        scores = {label: ClassScore(0.9, 0.9, None, 0.5) for label in LABELS}
        tags = tuple(
            Tag(e.label, 0.9, 0.5, 0.9, None, (Event(e.start, e.end, 0.9),)) for e in events
        )
        made = Tagged(
            Clip(Path(f"in/{name}.wav")),
            10.0,
            tags,
            scores,
            (),
            branch,
            branch,
            run,
            Activity(values, 10.0),
        )
        lines.append(as_line(made, detail=detail))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("activity", "score"), [("perfect", 1.0), ("silent", 0.0)])
def test_psds_of_activity(libraries: Any, activity: str, score: float, tmp_path: Path) -> None:
    found = psds(results(tmp_path / "r.jsonl", activity), TRUTH, LABELS, {})
    assert found == {"psds1": pytest.approx(score), "psds2": pytest.approx(score)}


def test_useless_activity_scores_little(libraries: Any, tmp_path: Path) -> None:
    assert psds(results(tmp_path / "r.jsonl", "reversed"), TRUTH, LABELS, {})["psds1"] < 0.1


def test_psds_needs_activity(libraries: Any, tmp_path: Path) -> None:
    plain = results(tmp_path / "r.jsonl", "perfect", detail=False)
    with pytest.raises(UsageError, match="has no activity for PSDS; tag with --detail"):
        psds(plain, TRUTH, LABELS, {})


def test_the_report_of_task_b_has_both(libraries: Any, tmp_path: Path) -> None:
    write_events(tmp_path / "truth.csv", TRUTH)
    found = results(tmp_path / "r.jsonl", "perfect")
    report = evaluate_events(found, tmp_path / "truth.csv", CLASSES, event_scores=True).as_json()
    assert report["collar"]["f1"] == 1.0
    assert report["psds"] == {"psds1": pytest.approx(1.0), "psds2": pytest.approx(1.0)}
    plain = results(tmp_path / "plain.jsonl", "perfect", detail=False)
    report = evaluate_events(plain, tmp_path / "truth.csv", CLASSES, event_scores=True).as_json()
    assert report["collar"]["f1"] == 1.0
    assert report["psds"] == {}
    assert "has no activity" in report["remarks"][-1]
    json.dumps(report, allow_nan=True)


def test_without_the_libraries_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sed_eval", None)
    with pytest.raises(MissingExtra, match=r"pip install sed_eval \(extra 'events'"):
        collar_scores(TRUTH, {}, LABELS)

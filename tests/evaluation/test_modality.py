"""Modality confusion: counts by hand, columns `audible` and `visible`, and the printed lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.errors import TableError
from av_tagger.evaluation.modality import modality_counts, modality_lines, sight_counts
from av_tagger.evaluation.predictions import read_predictions
from av_tagger.evaluation.report import evaluate_tags
from av_tagger.evaluation.truth import read_truth
from av_tagger.reports.schema import as_line
from av_tagger.scores import BranchInfo, ClassScore, RunInfo, Status, Tag, Tagged

OK = BranchInfo(Status.OK, "m")
OFF = BranchInfo(Status.OFF, "none")


def result(name: str, bus: tuple[float, float], car: tuple[float, float], eye: BranchInfo) -> str:
    """(heard, fused) of both classes; the ear alone decides at 0.4, with the eye at 0.5."""
    scores = {
        label: ClassScore(fused, heard, None, 0.5, ear_threshold=0.4)
        for label, (heard, fused) in {"Bus": bus, "Car": car}.items()
    }
    tags = tuple(Tag(k, s.fused, 0.5, s.heard, None) for k, s in scores.items() if s.fused >= 0.5)
    run = RunInfo("0", "cpu", "", 0.0)
    return as_line(Tagged(Clip(Path(name)), 10.0, tags, scores, (), OK, eye, run))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [
        result("a.mp4", (0.1, 0.9), (0.1, 0.1), OK),  # the bus: looking helped
        result("b.mp4", (0.1, 0.9), (0.45, 0.3), OK),  # a parked bus; a car that was talked away
        result("c.mp4", (0.45, 0.6), (0.1, 0.1), OK),  # both right
        result("d.mp4", (0.9, 0.9), (0.9, 0.9), OFF),  # nothing was looked at
    ]
    (tmp_path / "results.jsonl").write_text("\n".join(lines) + "\n")
    rows = ["file,labels,audible,visible", "a.mp4,Bus,,Bus", "b.mp4,Car,Car,Bus|Car"]
    rows += ["c.mp4,Bus,,-", "d.mp4,,,Bus"]
    (tmp_path / "truth.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_helped_misled_and_silent_sights(folder: Path) -> None:
    truth = read_truth(folder / "truth.csv")
    read = read_predictions(folder / "results.jsonl", truth.classes, others=True)
    counts = modality_counts(read, truth)
    assert counts["Bus"] == {
        "helped": 1,  # a
        "misled": 1,  # b
        "silent_sights": 1,  # b
        "silent_sights_tagged": 1,
        "unseen_sounds": 1,  # c: nothing is in view
        "unseen_sounds_tagged": 1,
    }
    assert counts["Car"]["misled"] == 1
    assert counts["Car"]["helped"] == 0
    assert counts["Car"]["silent_sights"] == 0
    assert modality_lines(counts) == [
        "Looking corrected 1 decisions of the ear and spoiled 2; more often misled: Car",
        "in view but silent: 1, tagged 1; heard but not in view: 1, tagged 1",
    ]


def test_the_report_has_the_counts(folder: Path) -> None:
    report = evaluate_tags(folder / "results.jsonl", folder / "truth.csv")
    assert report.as_json()["looking"]["Bus"]["helped"] == 1


def test_without_columns_or_without_an_eye(folder: Path) -> None:
    (folder / "truth.csv").write_text("file,labels\na.mp4,Bus\nb.mp4,Car\n")
    truth = read_truth(folder / "truth.csv")
    assert (truth.visible, truth.audible) == ({}, {})
    read = read_predictions(folder / "results.jsonl", truth.classes, others=True)
    assert set(modality_counts(read, truth)["Bus"]) == {"helped", "misled"}
    assert sight_counts(np.zeros((2, 2), np.bool_), ["a", "b"], truth) == {}
    (folder / "truth.csv").write_text("file,labels\nd.mp4,Bus\n")
    truth = read_truth(folder / "truth.csv")
    read = read_predictions(folder / "results.jsonl", truth.classes, others=True)
    assert modality_counts(read, truth) == {}
    assert modality_lines({}) == []


def test_a_wrong_label_in_view_is_refused(folder: Path) -> None:
    (folder / "truth.csv").write_text("file,labels,visible\na.mp4,Bus,Boat\n")
    with pytest.raises(TableError, match="Boat"):
        read_truth(folder / "truth.csv")


def test_ambiguous_clips_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,labels,ambiguous\na.wav,Bus,\nb.wav,,SIREN_ANY\n")
    truth = read_truth(tmp_path / "t.csv")
    assert list(truth.tags) == ["a"]
    assert truth.left_out == 1

"""Thresholds of ears that others trained: quantiles by hand, bounds, the file that is shipped."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from av_tagger.fusion import WeightedFusion, load_fusion, read_fusion, write_fusion
from av_tagger.labels import dcase2017
from av_tagger.studies.calibrate import EYE, HIGHEST, LOWEST, calibrated, report, score, thresholds

LABELS = dcase2017().labels


def test_a_high_quantile_of_the_negatives_within_bounds() -> None:
    """101 negatives at 0, 0.0015, ... 0.15: 99 of 100 steps up lies 0.1485; positives and unclear clips have no say."""
    negatives = np.linspace(0, 0.15, 101)
    columns = (
        np.append(negatives, [0.9, 0.99]),
        np.append(negatives / 10, [0.9, 0.99]),
        np.append(negatives * 5, [0.9, 0.0]),
    )
    heard = np.stack(columns, axis=1)
    truth = np.zeros((103, 3))
    truth[101], truth[102] = 1, np.nan
    assert thresholds(heard, truth).tolist() == [pytest.approx(0.1485, abs=6e-4), LOWEST, HIGHEST]


def test_both_lies_between_the_two_alone() -> None:
    ear = np.linspace(0.1, 0.25, 17)
    fusion = calibrated(ear, "a note")
    paper = load_fusion("paper", LABELS)
    assert isinstance(paper, WeightedFusion)
    assert fusion.note == "a note"
    np.testing.assert_array_equal(
        fusion.weights, paper.weights
    )  # what was tuned on the paper's data stays
    np.testing.assert_array_equal(fusion.rows.ear, ear)
    assert (fusion.rows.eye == EYE).all()
    np.testing.assert_allclose(
        fusion.rows.both, paper.weights * ear + (1 - paper.weights) * EYE, atol=5e-4
    )


def test_the_report_by_hand() -> None:
    """Tags: right, wrong, right and missed; the unclear one counts for nothing; one of two empty clips gets a tag."""
    heard = np.array([[0.9, 0.8], [0.9, 0.1], [0.1, 0.9], [0.7, 0.0], [0.1, 0.1]])
    truth = np.array([[1.0, np.nan], [1.0, 1.0], [np.nan, 1.0], [0.0, 0.0], [0.0, 0.0]])
    said = report(heard, truth, np.array([0.5, 0.5]))
    assert (
        said == "5 clips: micro-F1 0.750; 50.0 % of the 2 clips without any class get a tag"
    )  # 2 * 3 / (2 * 3 + 1 + 1)


def test_there_and_back(tmp_path: Path) -> None:
    fusion = calibrated(np.full(17, 0.2), "note")
    write_fusion(fusion, tmp_path / "fusion.json")
    again = read_fusion(tmp_path / "fusion.json", LABELS)
    np.testing.assert_allclose(again.rows.both, fusion.rows.both)
    assert again.neutral == ()


def test_the_shipped_file_was_made_so() -> None:
    """Every class within the bounds, eye and both as `calibrated` has them."""
    path = Path(__file__).resolve().parents[2] / "weights" / "fusion.efficientat.json"
    shipped = read_fusion(path, LABELS)
    assert "av_tagger.studies.calibrate" in shipped.note
    assert ((shipped.rows.ear >= LOWEST) & (shipped.rows.ear <= HIGHEST)).all()
    made = calibrated(shipped.rows.ear, shipped.note)
    np.testing.assert_allclose(shipped.rows.both, made.rows.both, atol=1.1e-3)
    np.testing.assert_allclose(shipped.rows.eye, made.rows.eye)


def test_the_shipped_thresholds_on_real_clips(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten sirens and skateboards, ten clips without any class: most of the first are tagged, few of the others."""
    sounds, folder = shared / "data" / "sounds", shared / "data" / "weights"
    if not (sounds / "dev.csv").is_file() or not (folder / "mn04_as_mAP_432.pt").is_file():
        pytest.skip("the recordings or the weights of mn04 are not there")
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(folder))
    with (sounds / "dev.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    known = [r for r in rows if r["labels"] in ("Ambulance (siren)", "Skateboard")][::8][:10]
    empty = [r for r in rows if not r["labels"] and not r["ambiguous"]][::30][:10]
    with (tmp_path / "few.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({**r, "file": str(sounds / r["file"])} for r in known + empty)
    heard, truth = score("efficientat:mn04", tmp_path / "few.csv")
    assert heard.shape == truth.shape == (20, 17)
    tagged = (
        heard
        >= load_fusion(
            Path(__file__).resolve().parents[2] / "weights" / "fusion.efficientat.json", LABELS
        ).rows.ear
    )
    assert ((tagged & (truth == 1)).any(axis=1)[:10]).sum() >= 7
    assert tagged[10:].any(axis=1).sum() <= 3

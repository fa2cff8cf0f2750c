"""Thresholds of published ears: quantiles, bounds, the command, the shipped file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from av_tagger.fusion import WeightedFusion, load_fusion, read_fusion, write_fusion
from av_tagger.studies import calibrate
from av_tagger.studies.calibrate import (
    EYE,
    HIGHEST,
    LOWEST,
    calibrated,
    scores_and_truth,
    thresholds,
)
from av_tagger.studies.sound_manifest import LABELS
from tests import ROOT

SHIPPED = ROOT / "weights" / "fusion.efficientat.json"


def test_thresholds_are_a_quantile_of_the_negatives_within_bounds() -> None:
    """101 negatives from 0 to 0.15: the quantile is 0.1485; positive clips are ignored."""
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


def test_the_threshold_of_both_lies_between_ear_and_eye() -> None:
    ear = np.linspace(0.1, 0.25, 17)
    fusion = calibrated(ear, "a note")
    paper = load_fusion("paper", LABELS)
    assert isinstance(paper, WeightedFusion)
    assert fusion.note == "a note"
    np.testing.assert_array_equal(fusion.weights, paper.weights)
    np.testing.assert_array_equal(fusion.rows.ear, ear)
    assert (fusion.rows.eye == EYE).all()
    np.testing.assert_allclose(
        fusion.rows.both, paper.weights * ear + (1 - paper.weights) * EYE, atol=5e-4
    )


def test_a_fusion_file_can_be_read_again(tmp_path: Path) -> None:
    fusion = calibrated(np.full(17, 0.2), "note")
    write_fusion(fusion, tmp_path / "fusion.json")
    again = read_fusion(tmp_path / "fusion.json", LABELS)
    np.testing.assert_allclose(again.rows.both, fusion.rows.both)
    assert again.neutral == ()


def test_the_command_writes_a_fusion_file_and_checks_it(
    sounds: Path, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = sounds.with_name("few.csv")
    few.write_text("".join(sounds.read_text().splitlines(keepends=True)[:31:3]))
    output = tmp_path / "fusion.json"
    calibrate.main([str(published), str(few), "-o", str(output)])
    written = read_fusion(output, LABELS)
    assert str(published) in written.note
    assert ((written.rows.ear >= LOWEST) & (written.rows.ear <= HIGHEST)).all()
    first = capsys.readouterr().out
    assert first.startswith("10 clips: micro-F1 ")
    calibrate.main([str(published), str(few), "--check", str(output)])
    assert capsys.readouterr().out == first


def test_the_shipped_file_follows_the_rule() -> None:
    """Thresholds within the bounds; those of eye and both as `calibrated` computes them."""
    shipped = read_fusion(SHIPPED, LABELS)
    assert "av_tagger.studies.calibrate" in shipped.note
    assert ((shipped.rows.ear >= LOWEST) & (shipped.rows.ear <= HIGHEST)).all()
    made = calibrated(shipped.rows.ear, shipped.note)
    np.testing.assert_allclose(shipped.rows.both, made.rows.both, atol=1.1e-3)
    np.testing.assert_allclose(shipped.rows.eye, made.rows.eye)


def test_the_shipped_thresholds_on_real_clips(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most of ten sirens and skateboards are tagged, few of ten clips without any class."""
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
    scores, truth = scores_and_truth("efficientat:mn04", tmp_path / "few.csv")
    assert scores.shape == truth.shape == (20, 17)
    tagged = scores >= read_fusion(SHIPPED, LABELS).rows.ear
    assert ((tagged & (truth == 1)).any(axis=1)[:10]).sum() >= 7
    assert tagged[10:].any(axis=1).sum() <= 3

"""Scales: fitted where they help, kept in fusion files, and without any effect on decisions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import UsageError, WeightsError
from av_tagger.fusion import read_fusion, write_fusion
from av_tagger.fusion.calibrate import calibrate, check_choice, fit_isotonic, fit_platt, with_scales
from av_tagger.fusion.file import build
from av_tagger.fusion.scales import Scales, ScoreScale
from av_tagger.fusion.weighing import Thresholds, Weighing
from av_tagger.scores import Scores, Status

LABELS = ("Car", "Bus", "Train")


def overconfident(clips: int = 800) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True probabilities p; the scores are p with three times the log-odds."""
    rng = np.random.default_rng(0)
    z = rng.normal(-1, 1, (clips, 3))
    truth = rng.random(z.shape) < 1 / (1 + np.exp(-z))
    truth[:, 2] = np.arange(clips) < 5  # too few to fit
    return 1 / (1 + np.exp(-3 * z)), truth, np.arange(clips) % 5


def loss(p: np.ndarray, y: np.ndarray) -> float:
    return float(-np.where(y, np.log(np.maximum(p, 1e-6)), np.log(np.maximum(1 - p, 1e-6))).mean())


@pytest.mark.parametrize("choice", ["auto", "platt", "isotonic"])
def test_overconfident_scores_become_probabilities(choice: str) -> None:
    scores, truth, folds = overconfident()
    row = calibrate(scores, truth, folds, choice)
    assert loss(row.held_out[:, :2], truth[:, :2]) < 0.75 * loss(scores[:, :2], truth[:, :2])
    assert row.names[2] == "none", "five positives are too few"
    assert row.scales[2] is None
    if choice != "isotonic":
        assert row.names[0] == "platt"
        assert row.scales[0] is not None
        assert row.scales[0].slope == pytest.approx(1 / 3, rel=0.2)


def test_good_scores_are_kept() -> None:
    rng = np.random.default_rng(1)
    scores = rng.random((300, 1))
    row = calibrate(scores, rng.random(scores.shape) < scores, np.arange(300) % 5, "none")
    assert row.scales == (None,)
    np.testing.assert_array_equal(row.held_out, scores)


def test_random_scores_become_the_share_of_positives() -> None:
    rng = np.random.default_rng(2)
    scores, truth = rng.random((600, 1)), rng.random((600, 1)) < 0.2
    row = calibrate(scores, truth, np.arange(600) % 5)
    assert np.abs(row.held_out - 0.2).max() < 0.15
    assert loss(row.held_out, truth) > loss(np.full(truth.shape, truth.mean()), truth) - 0.003


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic])
def test_scales_rise_even_for_scores_that_are_wrong_way_round(fit: object) -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(400)
    scale = fit(scores, rng.random(400) > scores)  # type: ignore[operator]
    grid = np.linspace(0, 1, 500)
    assert (np.diff(scale(grid)) > 0).all()
    assert np.isnan(scale(np.array([np.nan]))).all()
    assert len(scale.points) <= 12


@pytest.mark.parametrize("method", ["logit", "weighted", "max"])
@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_decisions_stay_and_the_file_keeps_the_scales(
    method: str, suffix: str, tmp_path: Path
) -> None:
    scores, truth, folds = overconfident()
    seen = np.where(np.random.default_rng(4).random(scores.shape) < 0.3, np.nan, scores)
    plain = build(method, LABELS, {}).with_thresholds(
        np.array([0.5, 0.3, 0.4]), np.array([0.6, 0.2, 1.01]), np.array([0.1, 0.7, 0.9])
    )
    rows = {
        r: calibrate(scores, truth, folds, c) for r, c in (("both", "platt"), ("ear", "isotonic"))
    }
    fusion = with_scales(plain, rows)
    np.testing.assert_array_equal(fusion.decide(scores, seen), plain.decide(scores, seen))
    assert fusion.rows.ear[2] == 1.01, "never stays never"
    path = tmp_path / f"fusion.{suffix}"
    write_fusion(fusion, path)
    again = read_fusion(path, LABELS)
    assert again.scales is not None
    assert again.scales.both == fusion.scales.both  # type: ignore[union-attr]
    assert again.scales.ear[0] == fusion.scales.ear[0]  # type: ignore[union-attr]
    looked = np.ones(len(scores), np.bool_)
    np.testing.assert_allclose(
        again.scaled(scores, seen, looked), fusion.scaled(scores, seen, looked)
    )
    read_fusion(path, (*LABELS[:2], "Skateboard"))


def test_a_clip_without_pictures_has_the_scale_of_the_ear() -> None:
    fusion = replace(
        build("logit", ("Car",), {}),
        rows=Thresholds.neutral(1),
        scales=Scales(both=(ScoreScale(1.0, 2.0),), ear=(ScoreScale(1.0, -2.0),), eye=(None,)),
    )
    assert isinstance(fusion, Weighing)
    heard = Scores(("Car",), np.array([0.5]), Status.OK)
    blind, blank = (
        Scores(("Car",), np.array([np.nan]), status) for status in (Status.NO_TRACK, Status.OK)
    )
    ear, both = fusion.fuse([heard, heard], [blind, blank])
    assert ear.probabilities[0] == pytest.approx(1 / (1 + np.exp(2)))
    assert both.probabilities[0] == pytest.approx(1 / (1 + np.exp(-2)))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("steep", "is not a list"),
        ([0.0, 1.0], "does not rise"),
        ([[0.0, 0.5], [1.0, 0.5]], "does not rise within 0 and 1"),
        ([[0.0, 0.5], [1.0, 1.5]], "does not rise within 0 and 1"),
        ([[0.0, 0.5], ["a", 1]], "something other than numbers"),
        ([True, 1.0], "something other than numbers"),
    ],
)
def test_damaged_scales_are_one_sentence(value: object, words: str, tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    write_fusion(build("max", ("Car",), {}), path)
    content = json.loads(path.read_text())
    content["classes"][0]["both_scale"] = value
    path.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=words):
        read_fusion(path)


def test_an_unknown_calibration_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'platt'"):
        check_choice("plat")


def test_the_inverse_gives_the_scores_back() -> None:
    p = np.linspace(0.01, 0.99, 50)
    points = ScoreScale(points=((0.0, 0.01), (0.3, 0.5), (1.0, 0.98)))
    for scale in (ScoreScale(1.7, -0.4), points, ScoreScale()):
        np.testing.assert_allclose(scale.inverse(scale(p)), p, atol=1e-9)


def test_without_evidence_another_scale_and_its_threshold() -> None:
    """The eye looked and found nothing: `unseen_scale`; without one, `both_scale`."""
    labels = ("Bus", "Car")
    fusion = build("logit", labels, {}, neutral=labels)
    low, high = ScoreScale(1.0, -2.0), ScoreScale(1.0, 2.0)
    scales = Scales(both=(high,) * 2, ear=(None,) * 2, eye=(None,) * 2, unseen=(low,) * 2)
    moved = fusion.with_thresholds(both=scales.thresholds("both", fusion.rows.both))
    split = replace(moved, scales=scales)
    heard = Scores(labels, np.array([0.5, 0.5]))
    seen = Scores(labels, np.array([np.nan, 0.2]))
    (found,) = split.fuse([heard], [seen])
    (plain,) = fusion.fuse([heard], [seen])
    expected = [float(s(plain.probabilities[[k]])[0]) for k, s in enumerate((low, high))]
    np.testing.assert_allclose(found.probabilities, expected)
    limits = split.thresholds(heard, seen)
    assert limits[0] < 0.5 < limits[1]
    np.testing.assert_array_equal(
        found.probabilities >= limits, plain.probabilities >= fusion.thresholds(heard, seen)
    )
    off = Scores.silent(labels, Status.OFF)
    np.testing.assert_array_equal(split.thresholds(heard, off), fusion.rows.ear)


def test_a_file_keeps_the_scale_without_evidence(tmp_path: Path) -> None:
    labels = ("Bus",)
    fusion = replace(
        build("logit", labels, {}, neutral=labels),
        scales=Scales((ScoreScale(2.0, 1.0),), (ScoreScale(),), (None,), (ScoreScale(0.5, -1.0),)),
    )
    write_fusion(fusion, tmp_path / "f.json")
    again = read_fusion(tmp_path / "f.json", labels)
    assert again.scales == fusion.scales
    assert '"unseen_scale": [0.5, -1.0]' in (tmp_path / "f.json").read_text()


def test_all_classes_at_once_are_scaled_as_each_class_alone() -> None:
    """Rows and kinds of scales mixed: lines, points, unchanged and none."""
    bent = ScoreScale(points=((0.0, 0.1), (0.5, 0.3), (1.0, 0.9)))
    kinds = (ScoreScale(0.7, -1.0), bent, None, ScoreScale(), ScoreScale(2.0, 0.5))
    scales = Scales(both=kinds, ear=kinds[::-1], eye=(None,) * 5)
    random = np.random.default_rng(5)
    scores, rows = random.random((40, 5)), random.integers(0, 4, (40, 5))
    scores[random.random(scores.shape) < 0.2] = np.nan
    expected = scores.copy()
    for clip, k in np.ndindex(*scores.shape):
        row = (scales.both, scales.ear, scales.eye, (None,) * 5)[rows[clip, k]]
        scale = row[k]
        if scale is not None:
            expected[clip, k] = scale(scores[clip : clip + 1, k])[0]
    found = scales.apply(scores, rows)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(scales.apply(scores[0], rows[0]), expected[0])

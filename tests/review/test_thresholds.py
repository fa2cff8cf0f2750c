"""Thresholds from answers: weights undo the order of the questions, figures are held-out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import UsageError
from av_tagger.fusion import read_fusion
from av_tagger.review.answers import ReviewAnswer
from av_tagger.review.new_fusion import write_suggested
from av_tagger.review.order import draws
from av_tagger.review.state import ReviewState
from av_tagger.review.thresholds import advise, best_threshold, figures
from av_tagger.review.units import FoundUnits, PlayedPart, ReviewUnit


def collection(count: int = 2000, seed: int = 0) -> tuple[list[ReviewUnit], dict[str, bool]]:
    """Scores of one class, of which a third is there; its threshold is far too low."""
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.33
    scores = 1 / (1 + np.exp(-(rng.normal(size=count) + np.where(truth, 2.0, -0.5))))
    part = (PlayedPart(0, 1),)
    units = [
        ReviewUnit(f"u{i}", "Bus", f"{i}.wav", (0.0, None), float(p), 0.2, float(p), None, part)
        for i, p in enumerate(scores)
    ]
    return units, {u.key: bool(t) for u, t in zip(units, truth, strict=True)}


def reviewed(units: list[ReviewUnit], truth: dict[str, bool], count: int, seed: int) -> ReviewState:
    drawn = [d for d, _ in zip(draws(units, 20, lambda _: False, seed), range(count), strict=False)]
    return ReviewState.of(
        units, [ReviewAnswer(u.key, 0, "yes" if truth[u.key] else "no", "", s) for u, s in drawn]
    )


def f1_of(units: list[ReviewUnit], truth: dict[str, bool], threshold: float) -> float:
    scores, there = np.array([u.score for u in units]), np.array([truth[u.key] for u in units])
    return figures(scores >= threshold, there, np.ones(len(units)))[2]


def test_figures_are_those_of_the_collection_and_not_of_what_was_asked() -> None:
    units, truth = collection()
    real = f1_of(units, truth, 0.2)
    weighted, naive = [], []
    for seed in range(12):
        state = reviewed(units, truth, 300, seed)
        (advice,) = advise(state)
        weighted.append(advice.f1)
        known = [unit for unit, _ in state.known]
        naive.append(f1_of(known, truth, 0.2))
    assert abs(np.mean(weighted) - real) < 0.03
    assert abs(np.mean(naive) - real) > 0.1, "unweighted, the uncertain ones look worse"


def test_a_better_threshold_is_found_and_measured_held_out() -> None:
    units, truth = collection()
    (advice,) = advise(reviewed(units, truth, 600, 1))
    assert advice.present + advice.absent == 600
    assert advice.better
    assert advice.suggested is not None
    now, new = f1_of(units, truth, 0.2), f1_of(units, truth, advice.suggested)
    assert new > now + 0.05
    assert abs(advice.held_out - new) < 0.08


def test_labels_without_a_pattern_do_not_look_good_held_out() -> None:
    units, _ = collection(400)
    rng = np.random.default_rng(3)
    noise = {u.key: bool(rng.random() < 0.5) for u in units}
    (advice,) = advise(reviewed(units, noise, 200, 0))
    assert advice.held_out < 0.75
    assert math.isfinite(advice.precision)


def test_parts_of_one_recording_are_in_one_fold() -> None:
    """Two recordings are no five, however many clips they have."""
    part = (PlayedPart(0, 1),)
    units = [
        ReviewUnit(
            f"u{i}",
            "Bus",
            f"{'ab'[i % 2] * 11}_{i}.000_{i + 1}.000.wav",
            (0.0, None),
            p,
            0.5,
            p,
            None,
            part,
        )
        for i, p in enumerate(np.linspace(0.2, 0.8, 60).tolist())
    ]
    truth = {u.key: u.score > 0.6 for u in units}
    (advice,) = advise(reviewed(units, truth, 60, 0))
    assert advice.refusal == "needs 3 more recordings"


def test_too_few_answers_are_refused_with_what_is_missing() -> None:
    units, truth = collection()
    (advice,) = advise(reviewed(units, truth, 8, 0))
    assert advice.suggested is None
    assert not advice.better
    assert "more yes" in advice.refusal
    assert "more random answers" in advice.refusal
    only_near = ReviewState.of(
        units,
        [
            ReviewAnswer(u.key, 0, "yes" if truth[u.key] else "no")
            for u in sorted(units, key=lambda u: abs(u.margin))[:900]
        ],
    )
    assert advise(only_near)[0].refusal == "needs 5 more random answers"


def test_the_best_cut_is_found_with_weights() -> None:
    scores, truth = np.array([0.1, 0.4, 0.6, 0.9]), np.array([False, True, False, True])
    assert 0.1 < best_threshold(scores, truth, np.ones(4)) <= 0.4
    assert 0.6 < best_threshold(scores, truth, np.array([1, 0.1, 9, 1])) <= 0.9
    assert best_threshold(scores, ~truth & False, np.ones(4)) > 1


def written(tmp_path: Path, fusion: str) -> Path:
    units, truth = collection()
    state = reviewed(units, truth, 600, 1)
    target = tmp_path / "fusion.json"
    found = FoundUnits(units, {"crnn"}, {"off"})
    write_suggested(found, advise(state), fusion, target)
    return target


def test_a_fusion_file_with_the_new_threshold_is_written(tmp_path: Path) -> None:
    fusion = read_fusion(written(tmp_path, "even"))
    units, truth = collection()
    (advice,) = advise(reviewed(units, truth, 600, 1))
    assert fusion.labels == ("Bus",)
    assert fusion.rows.ear.tolist() == [advice.suggested]
    assert fusion.rows.both.tolist() == [0.5], "the row that no result used stays"
    assert f"Bus ({advice.present} yes, {advice.absent} no)" in fusion.note


def test_another_fusion_than_that_of_the_run_is_refused(tmp_path: Path) -> None:
    units, truth = collection()
    other = [
        ReviewUnit(u.key, "Bus", u.file, u.clip, u.score, 0.2, u.score / 2, None, u.parts)
        for u in units
    ]
    advice = advise(reviewed(other, truth, 600, 1))
    target = tmp_path / "fusion.json"
    with pytest.raises(UsageError, match="does not give the scores of these results"):
        write_suggested(FoundUnits(other), advice, "even", target)
    assert not target.exists()


def test_nothing_is_written_where_nothing_is_better(tmp_path: Path) -> None:
    units, truth = collection()
    with pytest.raises(UsageError, match="no class has a threshold that is better"):
        write_suggested(
            FoundUnits(units),
            advise(reviewed(units, truth, 5, 0)),
            "even",
            tmp_path / "fusion.json",
        )

"""Fusion in the logit domain: monotone, bounded, and silent where the eye has nothing to say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from av_tagger.fusion import LogitFusion, Thresholds, load_fusion
from av_tagger.fusion.file import build
from av_tagger.fusion.fit import DevelopmentScores, FitSettings, FusionFitter
from av_tagger.fusion.logit import logit, rivals, sigmoid
from av_tagger.fusion.logit_fit import MOST, Shift, fit_gains, fit_shift
from av_tagger.labels import audioset, dcase2017, families
from av_tagger.scores import Scores, Status

NAN = np.nan
LABELS = ("Ambulance", "Police", "Car")
FAMILY = ("blue light", "blue light", "")
ROWS = Thresholds(np.full(3, 0.4), np.full(3, 0.3), np.full(3, 0.6))
FUSION = LogitFusion(
    LABELS, ROWS, gain=np.full(3, 4.0), against=np.array([3.0, 3.0, 0.0]), family=FAMILY
)
PROBABILITIES = arrays(np.float64, (3,), elements=st.floats(0, 1))
SEEN = arrays(np.float64, (3,), elements=st.one_of(st.floats(0, 1), st.just(NAN)))


def test_by_hand() -> None:
    heard = np.array([0.2, 0.5, 0.2])
    seen = np.array([0.75, NAN, 0.5])
    expected = logit(heard) + np.array([4 * 0.75, -3 * 0.75, 4 * 0.5])
    np.testing.assert_allclose(logit(FUSION.combine(heard, seen)), expected)


def test_without_evidence_what_is_heard_stays() -> None:
    heard = np.array([[0.79, 0.01, 0.5], [NAN, NAN, NAN]])
    fused = FUSION.combine(heard, np.full((2, 3), NAN))
    np.testing.assert_allclose(fused[0], heard[0])
    assert np.isnan(fused[1]).all()


def test_without_an_ear_the_eye_decides() -> None:
    seen = np.array([0.7, NAN, 0.1])
    np.testing.assert_array_equal(FUSION.combine(np.full(3, NAN), seen), seen)


def test_an_ambulance_speaks_against_a_police_car() -> None:
    heard, seen = np.full(3, 0.5), np.array([0.9, NAN, NAN])
    ambulance, police, car = FUSION.combine(heard, seen)
    assert ambulance > 0.95
    assert police < 0.1
    assert car == pytest.approx(0.5)


@given(PROBABILITIES, SEEN, st.integers(0, 2), st.floats(0, 1))
def test_it_rises_with_both(
    heard: NDArray[np.float64], seen: NDArray[np.float64], k: int, more: float
) -> None:
    before = FUSION.combine(heard, seen)[k]
    louder, clearer = heard.copy(), np.nan_to_num(seen)
    louder[k] = max(heard[k], more)
    clearer[k] = max(clearer[k], more)
    assert FUSION.combine(louder, seen)[k] >= before - 1e-12
    assert FUSION.combine(heard, clearer)[k] >= before - 1e-12
    assert 0 <= before <= 1


@given(SEEN)
def test_the_eye_alone_makes_no_tag_where_the_ear_is_near_zero(seen: NDArray[np.float64]) -> None:
    every = build(
        "logit",
        LABELS,
        {
            name: {"gain": MOST, "against": 0, "both": 0.4, "ear": 0.4, "eye": 0.4}
            for name in LABELS
        },
    )
    assert not every.decide(np.full(3, 0.01), seen).any()


def test_thresholds_say_whether_the_eye_could_look() -> None:
    heard = Scores(LABELS, np.array([0.5, 0.5, NAN]))
    nothing = Scores(LABELS, np.full(3, NAN))
    np.testing.assert_array_equal(FUSION.thresholds(heard, nothing), [0.4, 0.4, 0.6])
    for status in (Status.OFF, Status.NO_TRACK, Status.NO_WEIGHTS):
        blind = Scores.silent(LABELS, status)
        np.testing.assert_array_equal(FUSION.thresholds(heard, blind), [0.3, 0.3, 0.6])


def test_rivals_are_of_the_same_family() -> None:
    evidence = np.array([[0.9, 0.2, 0.0], [0.0, 0.0, 0.8]])
    np.testing.assert_allclose(rivals(evidence, FAMILY), [[0, 0.7, 0], [0, 0, 0]])


def test_log_odds_and_back() -> None:
    p = np.array([0.0, 1e-9, 0.3, 1.0])
    np.testing.assert_allclose(sigmoid(logit(p)), [1e-7, 1e-7, 0.3, 1 - 1e-7])
    assert np.isfinite(sigmoid(np.array([-1e4, 1e4]))).all()


def made(gain: float, against: float, n: int = 4000) -> tuple[NDArray[np.float64], ...]:
    """Clips whose truth follows the model."""
    random = np.random.default_rng(7)
    heard = sigmoid(random.normal(-1.5, 1.5, (n, 3)))
    seen = np.where(random.random((n, 3)) < 0.5, random.random((n, 3)), NAN)
    model = LogitFusion(
        LABELS, ROWS, gain=np.full(3, gain), against=np.full(3, against), family=FAMILY
    )
    truth = random.random((n, 3)) < model.combine(heard, seen)
    return heard, seen, truth.astype(np.float64)


@pytest.mark.parametrize("shift", [Shift(2.0, 1.0), Shift(3.5, 3.0), Shift(0.5, 0.0)])
def test_the_fit_finds_what_made_the_data(shift: Shift) -> None:
    found = fit_shift(*made(shift.gain, shift.against), FAMILY)
    assert found.gain == pytest.approx(shift.gain, abs=0.5)
    assert found.against == pytest.approx(shift.against, abs=0.5)


def test_the_fit_stays_within_its_limit_and_needs_no_clips() -> None:
    assert fit_shift(*made(9.0, 9.0), FAMILY) == Shift(MOST, MOST)
    none = np.empty((0, 3))
    assert fit_shift(none, none, none, FAMILY) == Shift(3.0, 3.0)


def test_a_class_with_many_clips_gets_a_gain_of_its_own() -> None:
    heard, seen, truth = made(1.0, 0.0, 3000)
    few = np.where(np.arange(3000)[:, None] < [3000, 3000, 10], truth, NAN)
    gains = fit_gains(heard, seen, few, Shift(3.0, 0.0))
    assert gains[:2] == pytest.approx(1.0, abs=0.5)
    assert gains[2] > 1.5
    unseen = fit_gains(heard, np.full_like(seen, NAN), truth, Shift(3.0, 0.0))
    np.testing.assert_array_equal(unseen, [3.0, 3.0, 3.0])


def test_unknown_pairs_count_for_nothing() -> None:
    heard, seen, truth = made(3.0, 2.0)
    wrong = np.concatenate([truth, np.full_like(truth, NAN)])
    doubled = fit_shift(np.tile(heard, (2, 1)), np.tile(seen, (2, 1)), wrong, FAMILY)
    assert doubled == fit_shift(heard, seen, truth, FAMILY)


def test_tuning_by_logit() -> None:
    heard, seen, truth = made(3.0, 0.0, 1000)
    labels = dcase2017().labels[:3]
    fusion = FusionFitter(FitSettings("logit")).fit(heard, seen, truth, labels).fusion_
    assert isinstance(fusion, LogitFusion)
    assert fusion.family == families(labels)
    assert fusion.gain[0] == pytest.approx(3.0, abs=0.75)
    right = fusion.decide(heard, seen) == (truth > 0)
    alone = (heard >= fusion.rows.ear) == (truth > 0)
    assert right.mean() > alone.mean()


def test_development_scores_know_their_labels() -> None:
    heard, seen, truth = made(1.0, 0.0, 20)
    table = DevelopmentScores.of(heard, seen, truth, LABELS)
    assert table.labels == table.rows(np.arange(3)).labels == LABELS


SHIPPED = sorted((Path(__file__).resolve().parents[2] / "weights").glob("fusion.*.json"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_every_shipped_file_serves_both_class_lists(path: Path) -> None:
    for classes in (dcase2017(), audioset()):
        fusion = load_fusion(path, classes.labels)
        assert len(fusion.neutral) == len(classes) - 17
    assert "python -m" in fusion.note or path.name == "fusion.paper.json"


@pytest.mark.parametrize(
    "path", [p for p in SHIPPED if "paper" not in p.name], ids=lambda p: p.name
)
def test_shipped_gains_are_bounded(path: Path) -> None:
    fusion = load_fusion(path, dcase2017().labels)
    assert isinstance(fusion, LogitFusion)
    assert (fusion.gain <= MOST).all()
    assert (fusion.against <= MOST).all()
    assert not fusion.decide(np.full((1, 17), 0.01), np.ones((1, 17))).any()

"""Fitting on synthetic witnesses whose reliability is known, and the honesty of the figures."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from av_tagger.errors import MissingExtra, UsageError
from av_tagger.fusion import StackedFusion, WeightedFusion
from av_tagger.fusion.counts import Counts
from av_tagger.fusion.cross import cross_validate, split
from av_tagger.fusion.fit import FITS, DevelopmentScores, FitSettings, FusionFitter
from av_tagger.fusion.thresholds import all_cuts, exact, two_step

Floats = NDArray[np.float64]
NAN = np.nan

EAR = np.array(
    [3.0, 3.0, 0.0, 0.0, 2.0, 2.0]
)  # how far apart positives and negatives are for the ear
EYE = np.array([0.0, 0.0, 3.0, 3.0, 2.0, 2.0])


def branches(
    clips: int = 1200, seed: int = 0, rate: float = 0.15
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    truth = rng.random((clips, len(EAR))) < rate
    heard, seen = (
        1 / (1 + np.exp(-(rng.normal(size=truth.shape) + skill * truth - 2)))
        for skill in (EAR, EYE)
    )
    return heard, seen, truth


def weights_of(fitter: FusionFitter) -> Floats:
    assert isinstance(fitter.fusion_, WeightedFusion)
    return fitter.fusion_.weights


def test_the_better_witness_is_found_and_noise_gets_next_to_no_weight() -> None:
    weights = weights_of(FusionFitter(FitSettings("joint")).fit(*branches(2000)))
    assert (weights[:2] >= 0.85).all()
    assert (weights[2:4] <= 0.15).all()
    assert (np.abs(weights[4:] - 0.5) <= 0.3).all()


@pytest.mark.parametrize("method", ["joint", "stacked", "paper-rule", "even"])
def test_on_unseen_clips_the_fused_beat_each_alone(method: str) -> None:
    fitter = FusionFitter(FitSettings(method)).fit(*branches(seed=1))
    heard, seen, truth = branches(seed=2)
    alone = [
        FusionFitter(FitSettings(side)).fit(*branches(seed=1)).predict(heard, seen)
        for side in ("ear", "eye")
    ]
    fused = Counts.of(fitter.predict(heard, seen), truth).f1
    assert fused > 0.05 + max(Counts.of(said, truth).f1 for said in alone)


def test_joint_is_at_least_as_good_as_every_other_weighting_on_its_own_data() -> None:
    data = branches(400)
    fitted = {
        m: FusionFitter(FitSettings(m, few=0, slack=0)).fit(*data)
        for m in ("joint", "even", "ear", "eye", "paper-rule")
    }
    scores = {m: Counts.of(fitter.predict(*data[:2]), data[2]).f1 for m, fitter in fitted.items()}
    assert scores["joint"] == max(scores.values())
    assert scores["joint"] > max(scores["ear"], scores["eye"])


def test_steadying_gives_up_little_here_and_wins_on_unseen_clips() -> None:
    """Summed over seeds: chance must not decide this test."""
    inside, outside, noise = {0.0: 0.0, 0.5: 0.0}, {0.0: 0.0, 0.5: 0.0}, {0.0: 0.0, 0.5: 0.0}
    heard, seen, truth = branches(4000, seed=99, rate=0.08)
    for seed in range(6):
        data = branches(400, seed, rate=0.08)
        for slack in inside:
            fitter = FusionFitter(FitSettings("joint", slack=slack, few=0)).fit(*data)
            inside[slack] += Counts.of(fitter.predict(*data[:2]), data[2]).f1 / 6
            outside[slack] += Counts.of(fitter.predict(heard, seen), truth).f1 / 6
            weights = weights_of(fitter)
            noise[slack] += float((2 - weights[:2].sum() + weights[2:4].sum()) / 24)
    assert inside[0.5] <= inside[0.0] <= inside[0.5] + 0.03
    assert outside[0.5] > outside[0.0]
    assert noise[0.5] < noise[0.0]


def test_the_papers_rule_proposes_the_classes_by_itself() -> None:
    weights = weights_of(FusionFitter(FitSettings("paper-rule")).fit(*branches()))
    np.testing.assert_array_equal(weights[:4], [0.8, 0.8, 0.2, 0.2])
    assert set(weights) == {0.2, 0.8}


def test_the_papers_rule_tunes_by_the_papers_procedure() -> None:
    heard, seen, truth = branches(300)
    fitter = FusionFitter(FitSettings("paper-rule", seed=7)).fit(heard, seen, truth)
    np.testing.assert_array_equal(
        fitter.fusion_.rows.ear, two_step(all_cuts(heard, truth), 7).thresholds
    )
    fused = fitter.fusion_.combine(heard, seen)
    np.testing.assert_array_equal(
        fitter.fusion_.rows.both, two_step(all_cuts(fused, truth), 7).thresholds
    )


def test_each_row_is_the_exact_best_for_its_witnesses() -> None:
    heard, seen, truth = branches(300)
    rows = FusionFitter(FitSettings("joint", few=0)).fit(heard, seen, truth).fusion_.rows
    for scores, row in ((heard, rows.ear), (seen, rows.eye)):
        assert Counts.of(scores >= row, truth).f1 == pytest.approx(
            exact(all_cuts(scores, truth)).score(), abs=1e-12
        )


def test_stacking_agrees_with_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    heard, seen, truth = branches(500)
    fusion = FusionFitter(FitSettings("stacked")).fit(heard, seen, truth).fusion_
    assert isinstance(fusion, StackedFusion)
    model = LogisticRegression().fit(np.column_stack((heard[:, 3], seen[:, 3])), truth[:, 3])
    expected = model.predict_proba(np.column_stack((heard[:, 3], seen[:, 3])))[:, 1]
    np.testing.assert_allclose(fusion.combine(heard, seen)[:, 3], expected, atol=1e-12)


def test_without_scikit_learn_only_stacking_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def broken(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("sklearn"):
            raise ImportError("libgomp is not there")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(MissingExtra, match=r"scikit-learn.*libgomp"):
        FusionFitter(FitSettings("stacked")).fit(*branches(60))
    FusionFitter(FitSettings("joint")).fit(*branches(60))


def test_operating_points_trade_precision_for_recall() -> None:
    data = branches()
    heard, seen, truth = branches(seed=3)
    fitted = {
        p: FusionFitter(FitSettings("joint", point=p)).fit(*data)
        for p in ("precision", "f1", "recall")
    }
    counts = {p: Counts.of(f.predict(heard, seen), truth) for p, f in fitted.items()}
    assert counts["precision"].precision > counts["f1"].precision > counts["recall"].precision
    assert counts["precision"].recall < counts["f1"].recall < counts["recall"].recall


def test_few_positives_are_drawn_to_neutral_and_none_is_neutral() -> None:
    heard, seen, truth = branches()
    truth[:, 0] = False
    truth[np.flatnonzero(truth[:, 2])[4:], 2] = False  # four are left
    free = weights_of(FusionFitter(FitSettings("joint", few=0)).fit(heard, seen, truth))
    drawn = weights_of(FusionFitter(FitSettings("joint", few=10)).fit(heard, seen, truth))
    assert drawn[0] == 0.5
    assert drawn[2] == pytest.approx(0.4 * free[2] + 0.6 * 0.5, abs=1e-4)
    np.testing.assert_array_equal(drawn[[1, 3, 4, 5]], free[[1, 3, 4, 5]])


def test_missing_witnesses_are_no_obstacle() -> None:
    heard, seen, truth = branches()
    rng = np.random.default_rng(0)
    heard[rng.random(len(heard)) < 0.2] = NAN
    seen[rng.random(len(seen)) < 0.2] = NAN
    seen[:, 1] = NAN  # the eye never judges this class
    fitter = FusionFitter(FitSettings("joint")).fit(heard, seen, truth)
    rows = fitter.fusion_.rows
    assert weights_of(fitter)[0] >= 0.8
    assert rows.both[1] == rows.ear[1]
    for values in (rows.both, rows.ear, rows.eye):
        assert np.isfinite(values).all()
    assert Counts.of(fitter.predict(heard, seen), truth).f1 > 0.5


@pytest.mark.parametrize("method", sorted(FITS))
def test_the_ear_alone_can_be_fitted_by_every_method(method: str) -> None:
    heard, seen, truth = branches(200)
    fitter = FusionFitter(FitSettings(method)).fit(heard, np.full_like(seen, NAN), truth)
    best = exact(all_cuts(heard, truth)).score()
    found = Counts.of(fitter.predict(heard, np.full_like(seen, NAN)), truth).f1
    assert found == pytest.approx(best, abs=0.02)


def test_the_fit_does_not_depend_on_the_order_of_clips() -> None:
    data = branches(300)
    order = np.random.default_rng(9).permutation(300)
    names = np.array([f"video {i // 2}" for i in range(300)])
    one, two = (
        FusionFitter(FitSettings("joint")).fit(*data),
        FusionFitter(FitSettings("joint")).fit(*(d[order] for d in data)),
    )
    np.testing.assert_array_equal(one.fusion_.rows.both, two.fusion_.rows.both)
    np.testing.assert_array_equal(weights_of(one), weights_of(two))
    np.testing.assert_array_equal(
        split(data[2], list(names), 5, 0)[order], split(data[2][order], list(names[order]), 5, 0)
    )


def test_groups_are_never_split_and_rare_classes_are_dealt_out() -> None:
    _, _, truth = branches(600)
    truth[:, 5] = False
    truth[np.arange(0, 100, 10), 5] = True  # ten positives, in ten groups
    groups = [f"video {i // 4}" for i in range(600)]
    folds = split(truth, groups, 5, 1)
    assert all(len(set(folds[i : i + 4])) == 1 for i in range(0, 600, 4))
    assert [int(truth[folds == f, 5].sum()) for f in range(5)] == [2] * 5
    assert max(np.bincount(folds)) - min(np.bincount(folds)) <= 40


def test_the_honest_figure_is_near_the_truth_and_the_flattering_one_above_it() -> None:
    data = branches(250, seed=11, rate=0.08)
    settings = FitSettings("joint", few=0)
    honest = cross_validate(DevelopmentScores.of(*data), settings, folds=5).fused.f1
    fitter = FusionFitter(settings).fit(*data)
    inside = Counts.of(fitter.predict(*data[:2]), data[2]).f1
    heard, seen, truth = branches(4000, seed=12, rate=0.08)
    outside = Counts.of(fitter.predict(heard, seen), truth).f1
    assert inside > outside
    assert abs(honest - outside) < abs(inside - outside)


def test_noise_alone_is_seen_through() -> None:
    """Scores without information look good on tuned clips, not on held-out folds."""
    rng = np.random.default_rng(0)
    heard, seen, truth = rng.random((120, 8)), rng.random((120, 8)), rng.random((120, 8)) < 0.06
    settings = FitSettings("joint", few=0)
    inside = Counts.of(
        FusionFitter(settings).fit(heard, seen, truth).predict(heard, seen), truth
    ).f1
    honest = cross_validate(DevelopmentScores.of(heard, seen, truth), settings).fused.f1
    assert honest < 0.15 < inside


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ((np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((3, 2))), "no clip has any of the classes"),
        ((np.full((3, 2), NAN), np.full((3, 2), NAN), np.ones((3, 2))), "neither ear nor eye"),
        ((np.full((3, 2), 1.5), np.zeros((3, 2)), np.ones((3, 2))), "1.5"),
        ((np.zeros((3, 2)), np.zeros((3, 1)), np.ones((3, 2))), "clips x classes"),
    ],
)
def test_nothing_to_fit_is_said(data: tuple[Floats, Floats, Floats], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        FusionFitter(FitSettings("joint")).fit(*data)


def test_settings_and_folds_that_cannot_be_meant() -> None:
    with pytest.raises(UsageError, match="did you mean 'joint'"):
        FitSettings("jiont")
    with pytest.raises(UsageError, match="did you mean 'recall'"):
        FitSettings("joint", point="recal")
    with pytest.raises(UsageError, match="few and slack"):
        FitSettings("joint", slack=-1)
    table = DevelopmentScores.of(*branches(20))
    with pytest.raises(UsageError, match="5 folds cannot be made of 2 groups"):
        cross_validate(table, FitSettings("joint"), ["a", "b"] * 10)
    with pytest.raises(UsageError, match="labels for 6 classes"):
        FusionFitter(FitSettings("joint")).fit(*branches(20), labels=("Car",))


def test_unsteadied_and_undrawn_the_joint_fit_is_the_best_there_is() -> None:
    from av_tagger.fusion.joint import joint

    heard, seen, truth = branches(150)
    truth[:, 3] = False  # nothing of this class is ever right, so nothing is said of it
    fitter = FusionFitter(FitSettings("joint", few=0, slack=0)).fit(heard, seen, truth)
    found = Counts.of(fitter.predict(heard, seen), truth)
    assert found.f1 == pytest.approx(joint(heard, seen, truth)[1].score(), abs=1e-12)
    assert found.predicted[3] == 0

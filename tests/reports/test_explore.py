"""Fusion weights explored on simulated scores, against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from av_tagger.errors import UsageError
from av_tagger.fusion import load_fusion
from av_tagger.fusion.counts import Counts
from av_tagger.labels import dcase2017
from av_tagger.reports.explore import FusionExplorer, SavedScores
from av_tagger.reports.schema import as_json, from_json
from av_tagger.reports.simulated import simulated_events, simulated_results, simulated_scores
from av_tagger.scores import Status, Tagged

LABELS = dcase2017().labels
SEVEN = (
    "Bicycle",
    "Skateboard",
    "Ambulance (siren)",
    "Fire engine, fire truck (siren)",
    "Car passing by",
    "Bus",
    "Truck",
)


@pytest.fixture(scope="module")
def examples() -> SavedScores:
    return simulated_scores(LABELS, SEVEN, clips=200)


def brute_force(examples: SavedScores, weights: np.ndarray) -> float:
    """The best micro-F1 of two classes, over every pair of thresholds."""
    fused = weights * examples.heard + (1 - weights) * examples.seen
    candidates = [np.append(np.unique(fused[:, k]), np.inf) for k in range(2)]
    return max(
        Counts.of(fused >= np.array(pair), examples.truth).f1
        for pair in itertools.product(*candidates)
    )


def test_micro_f1_equals_brute_force_over_thresholds() -> None:
    random = np.random.default_rng(0)
    truth = random.random((25, 2)) < 0.4
    two = SavedScores(("a", "b"), random.random((25, 2)), random.random((25, 2)), truth)
    for weights in ([0.0, 1.0], [0.35, 0.8]):
        assert FusionExplorer(two).tuned(weights).score() == pytest.approx(
            brute_force(two, np.array(weights))
        )


def test_curves_hold_the_best_f1_of_each_class(examples: SavedScores) -> None:
    explorer = FusionExplorer(examples)
    curves = explorer.curves()
    assert curves.shape == (17, 21)
    k = LABELS.index("Bus")
    fused = 0.25 * examples.heard[:, k] + 0.75 * examples.seen[:, k]
    alone = np.where(np.isfinite(examples.heard[:, k]), examples.heard[:, k], examples.seen[:, k])
    fused = np.where(np.isfinite(fused), fused, alone)
    truth = examples.truth[:, [k]]
    assert curves[k, 5] == pytest.approx(
        max(Counts.of(fused[:, None] >= t, truth).f1 for t in fused)
    )


def test_the_best_weight_follows_the_better_branch(examples: SavedScores) -> None:
    explorer = FusionExplorer(examples)
    best = dict(zip(LABELS, explorer.best(), strict=True))
    seven = np.mean([best[label] for label in SEVEN])
    others = np.mean([best[label] for label in LABELS if label not in SEVEN])
    assert seven < 0.4
    assert others > 0.6
    paper = load_fusion("paper", LABELS).weights  # type: ignore[attr-defined]
    micro = {
        name: explorer.tuned(w).score()
        for name, w in (("paper", paper), ("ear", np.ones(17)), ("eye", np.zeros(17)))
    }
    assert micro["paper"] > max(micro["ear"], micro["eye"]) + 0.05


def test_costs_are_those_of_one_changed_weight(examples: SavedScores) -> None:
    explorer = FusionExplorer(examples)
    weights = explorer.best()
    costs = explorer.costs(weights)
    changed = weights.copy()
    changed[3] = explorer.grid[20]
    assert costs[3, 20] == pytest.approx(explorer.tuned(changed).score())
    at = np.round(weights * 20).astype(int)
    np.testing.assert_allclose(costs[np.arange(17), at], explorer.tuned(weights).score())


def test_scoring_with_tuned_thresholds_gives_the_tuned_f1(examples: SavedScores) -> None:
    explorer = FusionExplorer(examples)
    tuned = explorer.tuned(np.full(17, 0.5))
    counts = explorer.score(np.full(17, 0.5), tuned.thresholds)
    assert counts.f1 == pytest.approx(tuned.score())


def test_one_weight_per_class_is_required(examples: SavedScores) -> None:
    with pytest.raises(UsageError, match="17 classes and 1 weights"):
        FusionExplorer(examples).tuned([0.5])


def test_halves_share_no_clip(examples: SavedScores) -> None:
    one, two = examples.half(0), examples.half(1)
    assert len(one.truth) + len(two.truth) == len(examples.truth)
    np.testing.assert_array_equal(one.heard, examples.heard[::2])


def test_sliders_update_number_and_figure(examples: SavedScores) -> None:
    pytest.importorskip("ipywidgets")
    explorer = FusionExplorer(examples.half(0))
    total, grid, picture = explorer.sliders(np.full(17, 0.5)).children
    assert len(grid.children) == 17
    before, drawn = total.value, picture.value
    assert f"{explorer.tuned(np.full(17, 0.5)).score():.3f}" in before
    grid.children[0].children[0].value = 1.0
    assert f"{explorer.tuned(np.where(np.arange(17) == 0, 1.0, 0.5)).score():.3f}" in total.value
    assert picture.value != drawn


def test_simulated_results_round_trip_and_have_the_decided_tags(examples: SavedScores) -> None:
    events = simulated_events(examples)
    results = simulated_results(examples, load_fusion("even", LABELS), events)
    assert [set(e) for e in events] == [
        {LABELS[k] for k in np.flatnonzero(row)} for row in examples.truth
    ]
    for n in (0, 1, 2):
        back = from_json(as_json(results[n]))
        assert isinstance(back, Tagged)
        assert [t.label for t in back.tags] == [t.label for t in results[n].tags]
        assert all(0 <= e.start < e.end <= 10.1 for t in back.tags for e in t.events)
    said = np.array([[label in {t.label for t in r.tags} for label in LABELS] for r in results])
    weighing = load_fusion("even", LABELS)
    np.testing.assert_array_equal(said, weighing.decide(examples.heard, examples.seen))
    assert {r.eye.status for r in results} == {Status.OK, Status.NO_TRACK}

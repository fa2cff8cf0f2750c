"""What the papers claim of poolings and losses, on bags whose instances are known; seeded, and small enough to be quick."""

from __future__ import annotations

import numpy as np
import pytest

from av_tagger.studies.synthetic import (
    COMMON,
    LOSSES_COMPARED,
    POOLINGS_COMPARED,
    RARE,
    BagScores,
    SyntheticTask,
    experiment,
)


def test_worlds_hold_what_they_say() -> None:
    bags = RARE.bags(40, 0)
    assert bags.truth.sum(axis=1).tolist() == [1] * 40
    assert COMMON.bags(10, 0).truth.sum(axis=1).tolist() == [6] * 10
    assert bags.targets.sum(dim=0).tolist() == [8] * 5
    answers = bags.targets.argmax(dim=1).numpy()
    own = bags.rows.numpy()[np.arange(40)[:, None], np.arange(20), answers[:, None]]
    assert own[bags.truth].mean() == pytest.approx(4.0, abs=0.6)
    assert own[~bags.truth].mean() == pytest.approx(0.0, abs=0.15)


@pytest.fixture(scope="module")
def poolings() -> dict[str, BagScores]:
    return {name: experiment(RARE, method) for name, method in POOLINGS_COMPARED.items()}


def test_attention_beats_the_mean_when_positives_are_rare(poolings: dict[str, BagScores]) -> None:
    assert poolings["decision-level attention"].map > poolings["mean"].map + 0.05


def test_feature_level_attention_is_at_least_as_good_as_decision_level(
    poolings: dict[str, BagScores],
) -> None:
    assert poolings["feature-level attention"].map >= poolings["decision-level attention"].map


def test_max_underestimates_and_instance_labels_repair_it() -> None:
    vanilla, pnl = (
        experiment(COMMON, LOSSES_COMPARED[name], steps=150)
        for name in ("max, alpha-weighted", "max + PNL")
    )
    assert vanilla.map > 0.9  # the bags are told well ...
    assert vanilla.recall < 0.6  # ... by few of their instances
    assert pnl.recall > vanilla.recall + 0.2
    assert pnl.confidence > vanilla.confidence
    assert pnl.map > 0.9
    assert pnl.false_alarms < 0.1


def test_a_world_without_negatives_has_no_false_alarms() -> None:
    assert (
        experiment(
            SyntheticTask(positive=1.0, classes=3, instances=3),
            LOSSES_COMPARED["max"],
            steps=5,
            bags=12,
        ).false_alarms
        == 0
    )

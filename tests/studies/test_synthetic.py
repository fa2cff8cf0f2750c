"""Claims of the papers on poolings and losses, on synthetic bags with known instances."""

from __future__ import annotations

import numpy as np
import pytest

from av_tagger.studies import synthetic
from av_tagger.studies.synthetic import (
    COMMON,
    LOSSES_COMPARED,
    POOLINGS_COMPARED,
    RARE,
    BagScores,
    SyntheticTask,
    experiment,
)

EASY = SyntheticTask(classes=3, width=4, instances=10, positive=0.1, distance=4.0)
STEPS, BAGS = 60, 60


def test_bags_have_the_given_share_of_positive_instances() -> None:
    bags = RARE.bags(40, 0)
    assert bags.truth.sum(axis=1).tolist() == [1] * 40
    assert COMMON.bags(10, 0).truth.sum(axis=1).tolist() == [6] * 10
    assert bags.targets.sum(dim=0).tolist() == [8] * 5


def test_positive_instances_are_shifted_along_their_class() -> None:
    bags = RARE.bags(40, 0)
    answers = bags.targets.argmax(dim=1).numpy()
    own = bags.rows.numpy()[np.arange(40)[:, None], np.arange(20), answers[:, None]]
    assert own[bags.truth].mean() == pytest.approx(4.0, abs=0.6)
    assert own[~bags.truth].mean() == pytest.approx(0.0, abs=0.15)


@pytest.fixture(scope="module")
def poolings() -> dict[str, BagScores]:
    names = ("mean", "decision-level attention", "feature-level attention")
    return {n: experiment(EASY, POOLINGS_COMPARED[n], steps=STEPS, bags=BAGS) for n in names}


def test_attention_beats_the_mean_when_positives_are_rare(poolings: dict[str, BagScores]) -> None:
    assert poolings["decision-level attention"].map > poolings["mean"].map


def test_feature_level_attention_is_at_least_as_good_as_decision_level(
    poolings: dict[str, BagScores],
) -> None:
    assert poolings["feature-level attention"].map >= poolings["decision-level attention"].map


def test_max_underestimates_and_instance_labels_repair_it() -> None:
    vanilla, pnl = (
        experiment(COMMON, LOSSES_COMPARED[name], steps=120, bags=100)
        for name in ("max, alpha-weighted", "max + PNL")
    )
    assert vanilla.map > 0.9  # bags are classified well ...
    assert vanilla.recall < 0.6  # ... by few of their instances
    assert pnl.recall > vanilla.recall + 0.1
    assert pnl.confidence > vanilla.confidence
    assert pnl.false_alarms < 0.1


def test_bags_without_negative_instances_have_no_false_alarms() -> None:
    task = SyntheticTask(positive=1.0, classes=3, instances=3)
    found = experiment(task, LOSSES_COMPARED["max"], steps=2, bags=12)
    assert found.false_alarms == 0


def test_the_command_prints_a_line_per_method(capsys: pytest.CaptureFixture[str]) -> None:
    synthetic.main(["--steps", "1", "--bags", "10"])
    lines = capsys.readouterr().out.splitlines()
    named = [line[:24].strip() for line in lines]
    assert named == ["", *POOLINGS_COMPARED, "", *LOSSES_COMPARED]
    assert all(len(line[24:].split()) == 4 for line in lines)

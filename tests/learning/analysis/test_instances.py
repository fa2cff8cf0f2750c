"""Instances of trained runs: scores by hand, and what a run says of its data."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import UsageError
from av_tagger.learning.analysis.instances import Instances, hear_instances
from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.recipe import read_recipe
from av_tagger.learning.run import TrainingOptions
from av_tagger.learning.train import train
from tests.learning.analysis.runs import LABELS, SMALL, stored_bags


def test_instances_by_hand() -> None:
    p = np.array([[0.9, 0.2], [0.3, 0.4], [0.1, 0.2]], np.float32)
    i = Instances((p,), (p,), (p,), np.array([[1, 0]], np.float32))
    np.testing.assert_allclose(i.confidences(), [0.9, 0.3, 0.1], rtol=1e-6)
    assert i.positive()[0].tolist() == [True, False, False]
    assert i.found() == pytest.approx(1 / 3)
    assert i.accuracy() == {"smi": 1.0, "cmi": 0.0}


def test_no_instances_at_all() -> None:
    empty = Instances((), (), (), np.zeros((0, 2), np.float32))
    assert empty.confidences().shape == (0,)
    assert math.isnan(empty.found())


def test_a_run_scores_every_instance_of_the_first_bags(group: Path) -> None:
    found = hear_instances(group / "pnl", stored_bags(group), most=5)
    assert [p.shape for p in found.probabilities] == [(6, 3)] * 5
    assert [f.shape for f in found.features] == [(6, 8)] * 5
    assert found.targets.shape == (5, 3)


def test_instance_labels_find_more_instances(group: Path) -> None:
    bags = stored_bags(group)
    vanilla, pnl = (hear_instances(group / name, bags) for name in ("vanilla", "pnl"))
    assert pnl.found() >= vanilla.found()
    assert pnl.accuracy()["smi"] > 0.9


def test_a_run_that_averages_is_analysed_as_the_mean_of_its_checkpoints(
    group: Path, tmp_path: Path
) -> None:
    bags = stored_bags(group)
    recipe = read_recipe("prob/max", [*SMALL, "keep.average=[20,30,40]"])
    train(recipe, TrainingData(bags, bags), tmp_path / "run", TrainingOptions(device="cpu"))
    found = hear_instances(tmp_path / "run", bags)
    stored = np.load(tmp_path / "run" / "validation.npz")["scores"]
    np.testing.assert_allclose(found.bags, stored, atol=1e-6)  # the result of the run
    single = []
    for step in (20, 30, 40):
        (tmp_path / f"{step}").mkdir()
        weights = tmp_path / "run" / "checkpoints" / f"step-00000{step}.safetensors"
        (tmp_path / f"{step}" / "best.safetensors").symlink_to(weights)
        single.append(hear_instances(tmp_path / f"{step}", bags))
    for bag in range(len(bags)):
        mean = np.mean([one.probabilities[bag] for one in single], axis=0)
        np.testing.assert_allclose(found.probabilities[bag], mean, atol=1e-6)
    assert np.abs(single[0].bags - single[2].bags).max() > 0.01


def test_data_of_another_kind_are_an_error(group: Path) -> None:
    class Sounds:
        kind, labels = "waveform", LABELS

    with pytest.raises(UsageError, match="does not read waveform"):
        hear_instances(group / "pnl", Sounds())  # type: ignore[arg-type]

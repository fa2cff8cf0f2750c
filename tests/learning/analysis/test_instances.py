"""Instances of trained runs: scores by hand, and what a run says of its data."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import UsageError
from av_tagger.learning.analysis.instances import Instances, hear_instances
from tests.learning.analysis.runs import LABELS, stored_bags


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


def test_data_of_another_kind_are_an_error(group: Path) -> None:
    class Sounds:
        kind, labels = "waveform", LABELS

    with pytest.raises(UsageError, match="does not read waveform"):
        hear_instances(group / "pnl", Sounds())  # type: ignore[arg-type]

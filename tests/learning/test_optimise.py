from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from av_tagger.learning.optimise import (
    Averaged,
    Optimiser,
    Schedule,
    clip_gradients,
    make_learning_rate,
    make_optimiser,
)


def test_plateau_lowers_the_rate_after_its_patience() -> None:
    learning_rate = make_learning_rate(Schedule("plateau", factor=0.8, patience=3), steps=100)
    shares = []
    for loss in (1.0, 0.9, 0.95, 0.9, 0.91, 0.92, 0.8, 0.8, 0.8, 0.8):
        learning_rate.validated(loss)
        shares.append(round(learning_rate.at(0), 6))
    assert shares == [1, 1, 1, 1, 0.8, 0.8, 0.8, 0.8, 0.8, 0.64]  # equal is not lower


def test_plateau_state_can_be_restored() -> None:
    schedule = Schedule("plateau", patience=2)
    learning_rate, again = make_learning_rate(schedule, 10), make_learning_rate(schedule, 10)
    for loss in (1.0, 2.0):
        learning_rate.validated(loss)
    again.load_state_dict(learning_rate.state_dict())
    for each in (learning_rate, again):
        each.validated(2.0)
    assert learning_rate.at(0) == again.at(0) == pytest.approx(0.8)


def test_cosine_rises_and_falls() -> None:
    learning_rate = make_learning_rate(Schedule("cosine", warmup_steps=4, last=0.1), steps=104)
    assert [learning_rate.at(step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert learning_rate.at(4) == 1.0
    assert learning_rate.at(54) == pytest.approx(0.55)  # half-way between 1 and 0.1
    assert learning_rate.at(104) == pytest.approx(0.1)
    assert learning_rate.at(29) == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)


def test_without_a_schedule_the_rate_is_constant() -> None:
    learning_rate = make_learning_rate(Schedule(), 10)
    learning_rate.validated(99.0)
    assert learning_rate.at(0) == learning_rate.at(9) == 1.0


def test_nesterov_momentum_by_hand() -> None:
    """v = m v + g; w -= lr (g + m v), by hand for two steps of a gradient of one."""
    w = nn.Parameter(torch.zeros(1))
    optimiser = make_optimiser([w], Optimiser("sgd", lr=0.1, momentum=0.8))
    for expected in (-0.18, -0.18 - 0.1 * (1 + 0.8 * 1.8)):
        w.grad = torch.ones(1)
        optimiser.step()
        assert float(w.detach()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("clip_by", "expected"), [("norm", [0.6e-3, 0.8e-3]), ("value", [1e-3, 1e-3])]
)
def test_gradients_are_clipped_by_norm_or_by_value(clip_by: str, expected: list[float]) -> None:
    w = nn.Parameter(torch.zeros(2))
    w.grad = torch.tensor([3.0, 4.0])
    clip_gradients([w], Optimiser(clip=1e-3, clip_by=clip_by))  # type: ignore[arg-type]
    assert w.grad.tolist() == pytest.approx(expected, rel=1e-4)


def test_without_clipping_gradients_stay() -> None:
    w = nn.Parameter(torch.zeros(1))
    w.grad = torch.tensor([30.0])
    clip_gradients([w], Optimiser())
    assert w.grad.tolist() == [30.0]


def test_averaged_weights_converge_to_constant_weights() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    averaged = Averaged(network, decay=0.9)
    nn.init.ones_(network.weight)
    left = 1.0
    for step in range(1, 200):
        averaged.update(network)
        left *= min(0.9, step / (step + 9))
    assert float(averaged.values["weight"]) == pytest.approx(1 - left, abs=1e-5)
    assert left < 1e-6


def test_counters_are_copied_not_averaged() -> None:
    network = nn.BatchNorm1d(1)
    averaged = Averaged(network, decay=0.9)
    network(torch.tensor([[1.0], [3.0]]))
    averaged.update(network)
    assert int(averaged.values["num_batches_tracked"]) == 1


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [(Optimiser, {"lr": 0.0}), (Schedule, {"factor": 2.0}), (Schedule, {"patience": 0})],
)
def test_settings_that_mean_nothing_are_refused(kind: type, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"positive|shares"):
        kind(**wrong)

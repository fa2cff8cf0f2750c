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
from av_tagger.learning.recipe import read_recipe, recipe_names


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


@pytest.mark.parametrize(
    ("clips", "warmup"),
    [(9_185, 5 * 191), (500, 5 * 10), (20, 5)],  # TAU 2019: 955 steps of 48 clips
)
def test_a_warm_up_in_epochs_follows_the_size_of_the_data(clips: int, warmup: int) -> None:
    """FUSE §4.2: five of a hundred epochs, however many steps an epoch has."""
    recipe = read_recipe("fuse/pnl")
    epoch = recipe.length.steps_per_epoch(clips, recipe.batch)
    steps = recipe.length.total_steps(clips, recipe.batch)
    assert warmup / steps == pytest.approx(5 / 100)
    learning_rate = make_learning_rate(recipe.schedule, steps, epoch)
    rising = [learning_rate.at(step) for step in range(warmup)]
    assert rising == pytest.approx([(step + 1) / warmup for step in range(warmup)])
    assert rising[-1] == learning_rate.at(warmup) == 1.0
    assert learning_rate.at(warmup + (steps - warmup) // 2) == pytest.approx(0.5, abs=0.01)
    assert learning_rate.at(steps) == pytest.approx(0.0, abs=1e-9)


def test_every_recipe_of_fuse_warms_up_for_five_epochs() -> None:
    names = [name for name in recipe_names() if name.startswith("fuse/")]
    assert len(names) == 19
    for name in names:
        recipe = read_recipe(name)
        assert recipe.schedule == Schedule("cosine", warmup_epochs=5), name
        found = (recipe.optimiser.lr, recipe.optimiser.weight_decay, recipe.batch)
        assert found == (0.06, 0.001, 48), name
        assert recipe.length.epochs == 100, name


def test_a_warm_up_has_one_unit() -> None:
    with pytest.raises(ValueError, match="the warm-up is in steps or in epochs"):
        Schedule("cosine", warmup_steps=3, warmup_epochs=1)

"""Losses against hand-computed numbers."""

from __future__ import annotations

import math

import pytest
import torch

from av_tagger.audio.base import Heard
from av_tagger.audio.losses import (
    LOSSES,
    BinaryCrossEntropy,
    ClassWeighted,
    cross_entropies,
    inverse_frequency,
)

LN = math.log


def heard(bags: list[list[float]]) -> Heard:
    p = torch.tensor(bags)
    return Heard(p, p[:, None], torch.ones(len(p), 1, dtype=torch.bool), torch.zeros(len(p), 1, 2))


def test_binary_cross_entropy_is_the_mean_over_clips_and_classes() -> None:
    loss = BinaryCrossEntropy()(
        heard([[0.8, 0.1], [0.5, 0.5]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    )
    assert float(loss) == pytest.approx(-(LN(0.8) + LN(0.9) + 2 * LN(0.5)) / 4)


def test_class_weights_multiply_and_classes_are_summed() -> None:
    loss = ClassWeighted([2.0, 0.5])(
        heard([[0.8, 0.1], [0.5, 0.5]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    )
    assert float(loss) == pytest.approx(
        -(2 * LN(0.8) + 0.5 * LN(0.9) + 2 * LN(0.5) + 0.5 * LN(0.5)) / 2
    )


def test_inverse_frequency_by_hand() -> None:
    assert inverse_frequency([1, 2, 4]) == pytest.approx((12 / 7, 6 / 7, 3 / 7))
    assert inverse_frequency([0, 1]) == (1.0, 1.0)


@pytest.mark.parametrize("weights", [[-1.0, 1.0], [math.nan, 1.0], [[1.0], [1.0]]])
def test_wrong_class_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="class weights"):
        ClassWeighted(weights)


@pytest.mark.parametrize("name", ["alpha-weighted", "bce", "ce", "class-weighted", "gt"])
def test_a_certain_but_wrong_probability_has_a_large_finite_loss(name: str) -> None:
    loss = LOSSES[name](*([[1.0, 1.0]] if name == "class-weighted" else []))
    p = torch.tensor([[0.0, 1.0]], requires_grad=True)
    value = loss(
        Heard(p, p[:, None], torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, 2)),
        torch.tensor([[1.0, 0.0]]),
    )
    value.backward()
    assert p.grad is not None
    assert bool(torch.isfinite(value))
    assert float(value.detach()) > 50
    assert bool(torch.isfinite(p.grad).all())


def test_the_logarithm_is_computed_in_float32() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        value = cross_entropies(torch.tensor([[1e-4]]), torch.tensor([[0.0]]))
    assert value.dtype == torch.float32
    assert float(value) == pytest.approx(1e-4, rel=1e-3)

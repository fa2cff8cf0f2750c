"""Losses on instances: labels and values by hand, and which instances get gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from av_tagger.audio.base import Heard
from av_tagger.audio.losses import LOSSES, FrameLoss, inherited, positive_or_negative

LN = math.log


def heard(instances: list[list[list[float]]], lengths: tuple[int, ...] | None = None) -> Heard:
    """Under the standard assumption: the bag is the maximum of its instances."""
    p = torch.tensor(instances, requires_grad=True)
    mask = torch.arange(p.shape[1]) < torch.tensor(lengths or (p.shape[1],) * len(p))[:, None]
    return Heard(
        p.masked_fill(~mask[..., None], -1).amax(dim=1), p, mask, torch.zeros(*p.shape[:2], 1)
    )


def loss(name: str, *arguments: Any, **settings: Any) -> float:
    return LOSSES[name](**settings)(*arguments).item()


def test_alpha_weights_a_positive_like_all_negatives_together() -> None:
    h = heard([[[0.8, 0.1, 0.3]]])
    said = -(2 * LN(0.8) + LN(0.9) + LN(0.7)) / 3  # alpha = C - 1 = 2
    assert loss("alpha-weighted", h, torch.tensor([[1.0, 0, 0]])) == pytest.approx(said)
    plain = -(LN(0.8) + LN(0.9) + LN(0.7)) / 3
    assert loss("alpha-weighted", h, torch.tensor([[1.0, 0, 0]]), alpha=1.0) == pytest.approx(plain)
    assert loss("alpha-weighted", h, torch.tensor([[1.0, 0, 0]]), alpha=1.0) == pytest.approx(
        loss("bce", h, torch.tensor([[1.0, 0, 0]]))
    )


def test_cross_entropy_is_the_log_of_the_right_class() -> None:
    h = heard([[[0.7, 0.2, 0.1]], [[0.1, 0.1, 0.8]]])
    assert loss("ce", h, torch.tensor([[0.0, 1, 0], [0, 0, 1]])) == pytest.approx(
        -(LN(0.2) + LN(0.8)) / 2
    )


# A bag of class 1 with three instances: two of class 1, one of class 0; the fourth is padding.
WORKED = [[[0.2, 0.6, 0.1], [0.3, 0.4, 0.2], [0.7, 0.5, 0.1], [0.1, 0.9, 0.1]]]
TARGET = torch.tensor([[0.0, 1.0, 0.0]])


def test_positive_and_negative_labels_by_hand() -> None:
    labels = positive_or_negative(torch.tensor(WORKED), TARGET)
    assert labels.tolist() == [[[0, 1, 0], [0, 1, 0], [0, 0, 0], [0, 1, 0]]]
    first = -(LN(0.8) + 2 * LN(0.6) + LN(0.9))
    second = -(LN(0.7) + 2 * LN(0.4) + LN(0.8))
    third = -(LN(0.3) + LN(0.5) + LN(0.9))
    assert loss("pnl", heard(WORKED, (3,)), TARGET) == pytest.approx((first + second + third) / 9)
    assert loss("pnl", heard(WORKED, (3,)), TARGET, entropy="ce") == pytest.approx(
        -(LN(0.6) + LN(0.4)) / 3
    )


def test_instances_can_take_different_labels_of_a_bag() -> None:
    labels = positive_or_negative(
        torch.tensor([[[0.9, 0.2, 0.1], [0.1, 0.2, 0.9], [0.1, 0.8, 0.3]]]),
        torch.tensor([[1.0, 0.0, 1.0]]),
    )
    assert labels.tolist() == [[[1, 0, 0], [0, 0, 1], [0, 0, 0]]]


def test_inherited_labels_by_hand() -> None:
    assert inherited(torch.tensor(WORKED), TARGET).tolist() == [[[0, 1, 0]] * 4]
    said = -sum(LN(1 - a) + 2 * LN(b) + LN(1 - c) for a, b, c in WORKED[0][:3]) / 9
    assert loss("gt", heard(WORKED, (3,)), TARGET) == pytest.approx(said)
    assert loss("gt", heard(WORKED, (3,)), TARGET, entropy="ce") == pytest.approx(
        -(LN(0.6) + LN(0.4) + LN(0.5)) / 3
    )


def test_bags_have_equal_weight_whatever_their_length() -> None:
    short, long = WORKED[0][:1] * 4, WORKED[0]
    together = loss("gt", heard([short, long], (1, 4)), TARGET.repeat(2, 1))
    apart = loss("gt", heard([short[:1]]), TARGET) + loss("gt", heard([long]), TARGET)
    assert together == pytest.approx(apart / 2)


def test_frame_loss_by_hand() -> None:
    inactive = sum(a * a + c * c for a, _, c in WORKED[0][:3]) / 9
    smooth = ((0.6 - 0.4) ** 2 + (0.4 - 0.5) ** 2) / 6
    assert loss("frame", heard(WORKED, (3,)), TARGET) == pytest.approx(inactive + smooth)
    assert loss("frame", heard(WORKED, (3,)), TARGET, smooth=0.0) == pytest.approx(inactive)
    assert loss("frame", heard([WORKED[0][:1]]), TARGET) == pytest.approx((0.04 + 0.01) / 3)


def reached(name: str) -> Tensor:
    """Which of three instances get a gradient."""
    h = heard(WORKED, (3,))
    LOSSES[name]()(h, TARGET).backward()
    assert h.instances.grad is not None
    return h.instances.grad.abs().sum(dim=2)[0] > 0


def test_instance_loss_reaches_all_instances_and_bag_loss_one_per_class() -> None:
    assert reached("pnl").tolist() == [True, True, True, False]
    assert reached("gt").tolist() == [True, True, True, False]
    assert reached("frame").tolist() == [True, True, True, False]
    h = heard(WORKED, (3,))
    LOSSES["alpha-weighted"]()(h, TARGET).backward()
    assert h.instances.grad is not None
    assert (h.instances.grad != 0).sum(dim=1)[0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"class-weighted"}))
def test_probabilities_of_zero_and_one_have_finite_losses(name: str) -> None:
    h = heard([[[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]])
    value = LOSSES[name]()(h, TARGET)
    value.backward()
    assert math.isfinite(value.item())
    assert h.instances.grad is not None
    assert bool(torch.isfinite(h.instances.grad).all())


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="bce or ce"):
        LOSSES["pnl"](entropy="mse")
    with pytest.raises(ValueError, match="alpha must be positive"):
        LOSSES["alpha-weighted"](alpha=0.0)
    with pytest.raises(ValueError, match="smooth must not be negative"):
        FrameLoss(-1.0)

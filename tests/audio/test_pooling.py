"""Simple poolings and attention against formulas in numpy, limits, gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from av_tagger.audio.attention import NONLINEARITIES, Attention, AttentionSettings, normalised
from av_tagger.audio.base import Bag, BagShape, Pooling
from av_tagger.audio.pooling import POOLINGS

SHAPE = BagShape(width=6, classes=3)
ALL = pytest.mark.parametrize("name", sorted(POOLINGS))


def bag(lengths: tuple[int, ...] = (7, 7), seed: int = 0) -> Bag:
    g = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(len(lengths), max(lengths), 6, generator=g)
    probabilities = torch.rand(len(lengths), max(lengths), 3, generator=g)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return Bag(embeddings, probabilities, mask, lambda x: torch.sigmoid(x[..., :3]))


def pooling(name: str) -> Pooling:
    torch.manual_seed(1)
    kind = POOLINGS[name]
    return kind(SHAPE, kind.Settings())


def attention(nonlinearity: str = "exp") -> Attention:
    torch.manual_seed(1)
    return Attention(SHAPE, AttentionSettings(nonlinearity))


ORACLES = {
    "max": lambda p: p.max(axis=0),
    "mean": lambda p: p.mean(axis=0),
    "linear-softmax": lambda p: (p * p).sum(axis=0) / p.sum(axis=0),
    "exponential-softmax": lambda p: (p * np.exp(p)).sum(axis=0) / np.exp(p).sum(axis=0),
}


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_formula(name: str) -> None:
    b = bag()
    expected = np.stack([ORACLES[name](p) for p in b.probabilities.numpy()])
    np.testing.assert_allclose(pooling(name)(b).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("nonlinearity", sorted(NONLINEARITIES))
def test_attention_formula(nonlinearity: str) -> None:
    b, module = bag(), attention(nonlinearity)
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    softmax = lambda v: np.exp(v) / np.exp(v).sum(axis=-1, keepdims=True)  # noqa: E731
    phi = {
        "relu": lambda v: np.maximum(v, 0),
        "sigmoid": sigmoid,
        "nin": sigmoid,
        "exp": np.exp,
        "softmax": softmax,
    }[nonlinearity]
    z = b.embeddings.numpy()
    for layer in module.look if nonlinearity == "nin" else [module.look]:
        linear = isinstance(layer, torch.nn.Linear)
        z = (
            z @ layer.weight.detach().numpy().astype(np.float64).T + layer.bias.detach().numpy()
            if linear
            else np.maximum(z, 0)
        )
    v = phi(z)
    v = np.where(v.sum(axis=1, keepdims=True) > 0, v, 1.0)
    expected = (v / v.sum(axis=1, keepdims=True) * b.probabilities.numpy()).sum(axis=1)
    np.testing.assert_allclose(module(b).detach().numpy(), expected, atol=1e-6)


@ALL
def test_other_bags_of_the_batch_do_not_matter(name: str) -> None:
    b, module = bag((7, 3, 1)), pooling(name)
    together = module(b)
    for i, length in enumerate((7, 3, 1)):
        alone = replace(
            b,
            embeddings=b.embeddings[i : i + 1, :length],
            probabilities=b.probabilities[i : i + 1, :length],
            mask=b.mask[i : i + 1, :length],
        )
        torch.testing.assert_close(together[i : i + 1], module(alone))


@ALL
def test_order_of_instances_changes_nothing(name: str) -> None:
    b, module = bag(), pooling(name)
    order = torch.tensor([3, 1, 6, 0, 2, 5, 4])
    turned = replace(b, embeddings=b.embeddings[:, order], probabilities=b.probabilities[:, order])
    torch.testing.assert_close(module(turned), module(b))


@pytest.mark.parametrize(
    "name",
    ["attention", "exponential-softmax", "jdc", "linear-softmax", "max", "mean", "self-attention"],
)
def test_the_result_lies_between_minimum_and_maximum(name: str) -> None:
    b = bag((5, 2))
    low = b.probabilities.masked_fill(~b.mask[..., None], 2.0).amin(1)
    high = b.probabilities.masked_fill(~b.mask[..., None], -1.0).amax(1)
    out = pooling(name)(b)
    assert bool(((out >= low - 1e-6) & (out <= high + 1e-6)).all())


def test_attention_limits_are_mean_and_max() -> None:
    b, module = bag((7, 4)), attention()
    with torch.no_grad():
        module.look.weight.zero_()
    torch.testing.assert_close(module(b), pooling("mean")(b))
    one_hot = (
        torch.nn.functional.one_hot(
            b.probabilities.masked_fill(~b.mask[..., None], -1).argmax(1), 7
        )
        .transpose(1, 2)
        .float()
    )
    torch.testing.assert_close(
        (normalised(one_hot, b.mask) * b.probabilities).sum(1), pooling("max")(b)
    )


def test_weights_sum_to_one_even_when_all_are_zero_or_huge() -> None:
    mask = bag((7, 2)).mask
    for weights in (torch.rand(2, 7, 3), torch.zeros(2, 7, 3)):
        torch.testing.assert_close(normalised(weights, mask).sum(1), torch.ones(2, 3))
    b, module = bag(), attention()
    with torch.no_grad():
        module.look.weight.mul_(1e4)
    assert bool(torch.isfinite(module(b)).all())


def test_max_has_one_gradient_per_class_and_mean_has_all() -> None:
    def reached(name: str) -> Tensor:
        probabilities = bag().probabilities.clone().requires_grad_()
        pooling(name)(replace(bag(), probabilities=probabilities)).sum().backward()
        assert probabilities.grad is not None
        return (probabilities.grad != 0).sum(dim=1)

    assert reached("max").eq(1).all()
    assert reached("mean").eq(7).all()


def test_equal_maxima_have_one_gradient() -> None:
    probabilities = torch.full((1, 4, 1), 0.5, requires_grad=True)
    mask = torch.ones(1, 4, dtype=torch.bool)
    pooling("max")(Bag(torch.zeros(1, 4, 6), probabilities, mask, torch.sigmoid)).sum().backward()
    assert probabilities.grad is not None
    assert int((probabilities.grad != 0).sum()) == 1


def test_unknown_nonlinearity_is_named() -> None:
    with pytest.raises(ValueError, match="'tanh'"):
        AttentionSettings("tanh")

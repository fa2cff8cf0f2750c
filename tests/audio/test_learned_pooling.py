"""Poolings with parameters, and bag assumptions, against formulas in numpy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from av_tagger.audio.architecture import EarArchitecture, FeatureShape
from av_tagger.audio.attention import NONLINEARITIES, attention_weights, normalised
from av_tagger.audio.bag_assumptions import ASSUMPTIONS, thresholded
from av_tagger.audio.base import Bag, BagShape, Pooling
from av_tagger.audio.network import build_network
from av_tagger.audio.pooling import POOLINGS

LEVELS = (4, 5, 6)
Array = NDArray[np.float64]

CASES: list[tuple[str, dict[str, Any]]] = [
    *(
        (name, {})
        for name in (
            "max",
            "mean",
            "linear-softmax",
            "exponential-softmax",
            "self-attention",
            "jdc",
            "multi-level",
        )
    ),
    *(("attention", {"nonlinearity": n}) for n in NONLINEARITIES),
    *(("feature-level", {"nonlinearity": n}) for n in NONLINEARITIES),
    *(("feature-level", {"aggregate": a, "width": 7}) for a in ("average", "max", "attention")),
    *(
        ("embedded", {"aggregate": a, "widths": (8, 5)})
        for a in ("average", "max", "min", "max-min")
    ),
    ("embedded", {"aggregate": "max-min"}),
    ("multi-level", {"levels": 3, "nonlinearity": "nin"}),
    ("feature-level", {"rectify": False, "batch_norm": True, "dropout": 0.5}),
    ("embedded", {"aggregate": "average", "widths": (8, 5), "batch_norm": True}),
    ("jdc", {"widths": (5,), "batch_norm": True}),
]
ALL = pytest.mark.parametrize(("name", "settings"), CASES)


class Stand:
    """A pooling with a head, and a bag of random instances."""

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        torch.manual_seed(1)
        kind = POOLINGS[name]
        self.pooling: Pooling = kind(BagShape(6, 3, LEVELS), kind.Settings(**settings)).eval()
        self.head = nn.Linear(self.pooling.head_width, 3)

    def bag(self, lengths: tuple[int, ...] = (7, 3, 1), seed: int = 0) -> Bag:
        g = torch.Generator().manual_seed(seed)
        levels = tuple(
            torch.randn(len(lengths), max(lengths), width, generator=g) for width in LEVELS
        )
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        decisions = torch.sigmoid(self.head(levels[-1])) if self.pooling.decides else torch.zeros(0)
        return Bag(levels[-1], decisions, mask, lambda x: torch.sigmoid(self.head(x)), levels)


def taken(bag: Bag, rows: Any, places: Any) -> Bag:
    levels = tuple(level[rows][:, places] for level in bag.levels)
    decisions = (
        bag.probabilities[rows][:, places] if bag.probabilities.ndim == 3 else bag.probabilities
    )
    return replace(
        bag,
        levels=levels,
        embeddings=levels[-1],
        probabilities=decisions,
        mask=bag.mask[rows][:, places],
    )


@ALL
def test_other_bags_of_the_batch_do_not_matter(name: str, settings: dict[str, Any]) -> None:
    stand = Stand(name, settings)
    bag = stand.bag()
    together = stand.pooling.answers(bag)
    for i, length in enumerate((7, 3, 1)):
        alone = stand.pooling.answers(taken(bag, [i], slice(length)))
        torch.testing.assert_close(together[0][i : i + 1], alone[0])
        torch.testing.assert_close(together[1][i : i + 1, :length], alone[1])


@ALL
def test_order_of_instances_changes_nothing(name: str, settings: dict[str, Any]) -> None:
    stand = Stand(name, settings)
    bag = stand.bag((7, 7))
    torch.testing.assert_close(
        stand.pooling(taken(bag, [0, 1], [3, 1, 6, 0, 2, 5, 4])), stand.pooling(bag)
    )


@ALL
def test_instances_are_scored_as_bags_of_their_own(name: str, settings: dict[str, Any]) -> None:
    stand = Stand(name, settings)
    bag = stand.bag((4, 4))
    bags, instances = stand.pooling.answers(bag)
    torch.testing.assert_close(bags, stand.pooling(bag))
    singles = torch.stack([stand.pooling(taken(bag, [0, 1], [place])) for place in range(4)], dim=1)
    torch.testing.assert_close(instances, singles)


@ALL
def test_outputs_are_probabilities_and_all_parameters_get_gradients(
    name: str, settings: dict[str, Any]
) -> None:
    stand = Stand(name, settings)
    bags = stand.pooling(stand.bag())
    assert bool(((bags >= 0) & (bags <= 1)).all())
    bags.sum().backward()
    assert [n for n, p in stand.pooling.named_parameters() if p.grad is None] == []
    assert stand.head.weight.grad is not None


@ALL
def test_in_a_network(name: str, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    shape = FeatureShape(1, 4, 1.0)
    built = build_network(
        EarArchitecture(
            3, "dense", {"widths": (5, 6)}, name, settings, frontend=None, features=shape
        )
    ).eval()
    heard = built(torch.randn(2, 1, 7, 4), torch.tensor([7, 3]))
    assert heard.bags.shape == (2, 3)
    assert heard.instances.shape == (2, 7, 3)


# Formulas


def _numbers(module: nn.Module) -> tuple[Array, Array]:
    assert isinstance(module, nn.Linear)
    return module.weight.detach().numpy().astype(np.float64), module.bias.detach().numpy().astype(
        np.float64
    )


def _linear(module: nn.Module, x: Array) -> Array:
    weight, bias = _numbers(module)
    return np.asarray(x @ weight.T + bias)


def _sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def _nin(look: Any, x: Array) -> Array:
    return _sigmoid(_linear(look[3], np.maximum(_linear(look[1], _linear(look[0], x)), 0)))


PHI: dict[str, Any] = {
    "relu": lambda look, x: np.maximum(_linear(look, x), 0),
    "exp": lambda look, x: np.exp(_linear(look, x)),
    "sigmoid": lambda look, x: _sigmoid(_linear(look, x)),
    "softmax": lambda look, x: (e := np.exp(_linear(look, x))) / e.sum(axis=1, keepdims=True),
    "nin": _nin,
}


def _even(v: Array) -> Array:
    return v / v.sum(axis=0) if v.shape[0] else v


@pytest.mark.parametrize("nonlinearity", list(NONLINEARITIES))
def test_feature_level_attention(nonlinearity: str) -> None:
    stand = Stand("feature-level", {"nonlinearity": nonlinearity, "width": 5})
    bag = stand.bag((6,))
    x = bag.embeddings[0].numpy().astype(np.float64)
    w = PHI[nonlinearity](stand.pooling.look, x)
    w = np.where(w.sum(axis=0) > 0, w, 1.0)
    u = np.maximum(_linear(stand.pooling.map, x), 0)  # type: ignore[arg-type]
    expected = _sigmoid(_linear(stand.head, (_even(w) * u).sum(axis=0)))
    np.testing.assert_allclose(stand.pooling(bag)[0].detach().numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(("aggregate", "of"), [("average", np.mean), ("max", np.max)])
def test_feature_level_average_and_max(aggregate: str, of: Any) -> None:
    stand = Stand("feature-level", {"aggregate": aggregate, "rectify": False})
    bag = stand.bag((6,))
    u = _linear(stand.pooling.map, bag.embeddings[0].numpy().astype(np.float64))  # type: ignore[arg-type]
    np.testing.assert_allclose(
        stand.pooling(bag)[0].detach().numpy(),
        _sigmoid(_linear(stand.head, of(u, axis=0))),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("aggregate", "of"),
    [
        ("average", lambda x: x.mean(axis=0)),
        ("max", lambda x: x.max(axis=0)),
        ("min", lambda x: x.min(axis=0)),
        ("max-min", lambda x: np.concatenate([x.max(axis=0), x.min(axis=0)])),
    ],
)
def test_embedded_space(aggregate: str, of: Any) -> None:
    stand = Stand("embedded", {"aggregate": aggregate, "widths": (8,)})
    bag = stand.bag((6,))
    h = of(bag.embeddings[0].numpy().astype(np.float64))
    expected = _sigmoid(_linear(stand.head, np.maximum(_linear(stand.pooling.mapping[0], h), 0)))  # type: ignore[index,arg-type]
    np.testing.assert_allclose(stand.pooling(bag)[0].detach().numpy(), expected, atol=1e-6)


def test_multi_level_attention() -> None:
    stand = Stand("multi-level", {"levels": 3, "nonlinearity": "sigmoid"})
    bag, p = stand.bag((6,)), stand.pooling
    found = []
    judges = [*p.judges, stand.head]  # type: ignore[misc,union-attr]
    for look, score, level in zip(p.looks, judges, bag.levels, strict=True):  # type: ignore[arg-type]
        x = level[0].numpy().astype(np.float64)
        found.append((_even(_sigmoid(_linear(look, x))) * _sigmoid(_linear(score, x))).sum(axis=0))
    expected = _sigmoid(_linear(p.combine, np.concatenate(found)))  # type: ignore[arg-type]
    np.testing.assert_allclose(p(bag)[0].detach().numpy(), expected, atol=1e-6)


def test_jdc_detects_from_the_input_and_classifies_the_output() -> None:
    stand = Stand("jdc", {"widths": (5,)})
    bag, p = stand.bag((6,)), stand.pooling
    detected = _sigmoid(
        _linear(
            p.look, np.maximum(_linear(p.branch[0], bag.levels[0][0].numpy().astype(np.float64)), 0)
        )
    )  # type: ignore[index,arg-type]
    expected = (_even(detected) * bag.probabilities[0].detach().numpy()).sum(axis=0)
    np.testing.assert_allclose(p(bag)[0].detach().numpy(), expected, atol=1e-6)


def test_self_attention_has_one_weight_per_instance() -> None:
    stand = Stand("self-attention", {"units": 5})
    bag, p = stand.bag((6,)), stand.pooling
    v = np.exp(
        _linear(
            p.look[2], np.tanh(_linear(p.look[0], bag.embeddings[0].numpy().astype(np.float64)))
        )
    )  # type: ignore[index]
    expected = (_even(v) * bag.probabilities[0].detach().numpy()).sum(axis=0)
    np.testing.assert_allclose(p(bag)[0].detach().numpy(), expected, atol=1e-6)


# Limits


@pytest.mark.parametrize("nonlinearity", list(NONLINEARITIES))
def test_weights_sum_to_one_whatever_the_nonlinearity(nonlinearity: str) -> None:
    mask = Stand("max", {}).bag().mask
    for scale in (1e-3, 1.0, 1e3):
        z = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(0)) * scale
        parts = normalised(attention_weights(z, mask, nonlinearity), mask)
        torch.testing.assert_close(parts.sum(dim=1), torch.ones(3, 5))
        assert bool((parts >= 0).all())
        assert bool((parts[~mask] == 0).all())


def _attention(weight: Tensor) -> tuple[Tensor, Bag]:
    stand = Stand("attention", {"nonlinearity": "exp"})
    bag = stand.bag((7, 4))
    with torch.no_grad():
        stand.pooling.look.weight.copy_(weight)  # type: ignore[union-attr,operator]
    return stand.pooling(bag), bag


def test_uniform_attention_is_the_mean() -> None:
    bags, bag = _attention(torch.zeros(3, 6))
    torch.testing.assert_close(bags, Stand("mean", {}).pooling(bag))


def test_attention_on_one_instance_is_the_max() -> None:
    stand = Stand("attention", {"nonlinearity": "exp"})
    with torch.no_grad():
        stand.pooling.look.weight.copy_(stand.head.weight * 1e4)  # type: ignore[union-attr,operator]
    bag = stand.bag((7, 4))
    torch.testing.assert_close(stand.pooling(bag), Stand("max", {}).pooling(bag))


def test_uniform_feature_attention_is_the_average() -> None:
    attentive, even = Stand("feature-level", {}), Stand("feature-level", {"aggregate": "average"})
    with torch.no_grad():
        attentive.pooling.look.weight.zero_()  # type: ignore[union-attr,operator]
    even.pooling.map.load_state_dict(attentive.pooling.map.state_dict())  # type: ignore[union-attr,operator]
    even.head.load_state_dict(attentive.head.state_dict())
    torch.testing.assert_close(attentive.pooling(attentive.bag()), even.pooling(even.bag()))


def test_softmax_weights_stay_exact_when_tiny() -> None:
    z = torch.tensor([[[100.0, 0.0], [100.0, 1.0]]])
    parts = normalised(
        attention_weights(z, torch.ones(1, 2, dtype=torch.bool), "softmax"),
        torch.ones(1, 2, dtype=torch.bool),
    )
    e = np.exp([0.0, 1.0])
    np.testing.assert_allclose(parts[0, :, 1].numpy(), e / e.sum(), rtol=1e-5)


# Assumptions at inference


def test_assumptions_by_hand() -> None:
    instances = torch.tensor(
        [[[0.9, 0.2], [0.3, 0.4], [0.1, 0.6], [0.99, 0.99]], [[0.2, 0.1], [0, 0], [0, 0], [0, 0]]]
    )
    mask = torch.tensor([[True, True, True, False], [True, False, False, False]])
    assert ASSUMPTIONS["smi"](instances, mask).tolist() == pytest.approx(
        np.array([[0.9, 0.6], [0.2, 0.1]])
    )
    np.testing.assert_allclose(
        ASSUMPTIONS["cmi"](instances, mask).numpy(), [[1 / 3, 2 / 3], [1, 0]], rtol=1e-6
    )
    np.testing.assert_allclose(
        thresholded(instances, mask, 2).numpy(), [[0.3, 0.4], [0.2, 0.1]], rtol=1e-6
    )
    torch.testing.assert_close(thresholded(instances, mask), ASSUMPTIONS["smi"](instances, mask))
    with pytest.raises(ValueError, match="at least 1"):
        thresholded(instances, mask, 0)


def test_a_threshold_on_the_score_counts_instances() -> None:
    instances = torch.rand(5, 9, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(5, 9, dtype=torch.bool)
    for count in (1, 4, 9):
        torch.testing.assert_close(
            thresholded(instances, mask, count) >= 0.5, (instances >= 0.5).sum(dim=1) >= count
        )

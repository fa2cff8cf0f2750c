"""The learner: initial weights, statistics of bands, features, losses, and the kept network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from av_tagger.errors import UsageError
from av_tagger.learning.data.bags import EmbeddingBags, WaveformBags
from av_tagger.learning.data.batches import Batch
from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.distributed import ProcessGroup
from av_tagger.learning.learner import (
    Learner,
    band_statistics,
    features_of,
    loss_of,
    make_learner,
    make_loss,
)
from av_tagger.learning.recipe import LossChoice, Recipe, read_recipe

MakeBags = Callable[..., WaveformBags]
Tiny = Callable[..., Recipe]
GROUP = ProcessGroup(torch.device("cpu"))


def learner(recipe: Recipe, bags: WaveformBags | EmbeddingBags) -> Learner:
    return make_learner(recipe, TrainingData(bags, bags), GROUP, 10)


def embeddings(width: int = 6) -> EmbeddingBags:
    draw = np.random.default_rng(0)
    rows = draw.normal(2, 3, (12, width)).astype(np.float32)
    return EmbeddingBags(
        rows, np.array([0, 5, 6, 12]), np.eye(3, dtype=np.float32), ("a", "b", "c")
    )


def test_the_seed_alone_decides_the_initial_weights(make_bags: MakeBags, tiny: Tiny) -> None:
    bags = make_bags([("low",), ()])
    one, same, other = (
        learner(tiny("crnn-av", f"seed={seed}"), bags).network.state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_band_statistics_are_those_of_all_frames() -> None:
    bags = embeddings()
    network = learner(read_recipe("prob/max", ["architecture.features.bands=6"]), bags).network
    mean, std = band_statistics(network, bags, count=3, seed=0)
    np.testing.assert_allclose(mean[0], bags.rows.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(std[0], bags.rows.std(axis=0), rtol=1e-5)


def test_the_first_layer_fits_the_width_of_the_embeddings() -> None:
    found = learner(read_recipe("own-classes"), embeddings(width=8))
    assert found.architecture.shape.bands == 8
    assert found.network.normalise.mean.shape == (1, 8)


def test_lengths_of_waveforms_become_frames(make_bags: MakeBags, tiny: Tiny) -> None:
    network = learner(tiny("crnn-av"), make_bags([("low",), ()])).network  # 40 samples per frame
    batch = Batch(torch.zeros(3, 400), torch.tensor([400, 41, 0]), torch.empty(0))
    features, frames = features_of(network, batch)
    assert features.shape == (3, 1, 10, 16)
    assert frames.tolist() == [10, 2, 1]  # at least one


def test_unknown_labels_have_no_gradient_and_nan_scores_are_seen(
    make_bags: MakeBags, tiny: Tiny
) -> None:
    bags = make_bags([("low",), ()])
    network = learner(tiny("crnn-av"), bags).network
    heard = network(torch.randn(1, 1, 20, 16))
    loss = make_loss(LossChoice(), bags)
    scores = torch.full((1, 5), 0.3, requires_grad=True)
    targets = torch.tensor([[1.0, 0.0, float("nan"), float("nan"), 0.0]])
    loss_of(loss, replace(heard, bags=scores), targets).backward()
    assert scores.grad is not None
    assert (scores.grad != 0).tolist() == [[True, True, False, False, True]]
    broken = replace(heard, bags=torch.tensor([[0.3, float("nan"), 0.3, 0.3, 0.3]]))
    assert torch.isnan(loss_of(loss, broken, targets))


def test_scores_slightly_above_one_are_allowed(make_bags: MakeBags, tiny: Tiny) -> None:
    bags = make_bags([("low",), ()])
    heard = learner(tiny("crnn-av"), bags).network(torch.randn(1, 1, 20, 16))
    rounded = replace(heard, bags=torch.full((1, 5), 1.0000001))
    assert torch.isfinite(loss_of(make_loss(LossChoice(), bags), rounded, torch.ones(1, 5)))


def test_the_kept_network_has_averaged_weights(make_bags: MakeBags, tiny: Tiny) -> None:
    found = learner(tiny("crnn-modern"), make_bags([("low",), ()]))
    assert found.averaged is not None
    for value in found.averaged.values.values():
        value.zero_()
    kept = found.kept()
    assert not kept.training
    assert not any(bool(p.any()) for p in kept.parameters())
    assert any(bool(p.any()) for p in found.network.parameters())


def test_recipe_and_data_are_of_one_kind(tiny: Tiny) -> None:
    with pytest.raises(UsageError, match="trains on waveform, but the data are embeddings"):
        learner(tiny("crnn-av"), embeddings())

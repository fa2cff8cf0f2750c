"""FUSE's "SupL w/ GAP": the map of the extractor is averaged, then classified; by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from av_tagger.audio.architecture import EarArchitecture, FeatureShape
from av_tagger.audio.extractors.fuse import BandMean
from av_tagger.audio.network import MilNetwork, build_network
from av_tagger.learning.learner import architecture_of, parameters
from av_tagger.learning.recipe import read_recipe

SMALL = {
    "fuse": {"channels": (4, 6)},
    "vgg-like": {"channels": (4, 6)},
    "resnet": {"blocks": (1, 1), "channels": (4, 6)},
    "bc-resnet": {"channels": 4, "blocks": (1, 1, 1, 1), "parts": 2},
}


def test_bands_are_averaged_by_hand() -> None:
    """Two channels, three frames, two bands."""
    x = torch.tensor([[[[1.0, 3.0], [5.0, 7.0], [0.0, 2.0]], [[4.0, 4.0], [0.0, 8.0], [1.0, 0.0]]]])
    assert BandMean()(x).tolist() == [[[2.0, 4.0], [6.0, 4.0], [1.0, 0.5]]]


def gap(name: str) -> MilNetwork:
    torch.manual_seed(0)
    settings = {**SMALL[name], "collapse": "mean"}
    shape = FeatureShape(1, 16, 10.0)
    architecture = EarArchitecture(
        3, name, settings, "embedded", {"aggregate": "average"}, frontend=None, features=shape
    )
    return build_network(architecture).eval()


@pytest.mark.parametrize("name", SMALL)
def test_a_network_classifies_the_mean_of_its_map(name: str) -> None:
    """sigmoid(W mean_(t, f) map + b), with the map taken before its bands are averaged."""
    network, seen = gap(name), []

    def keep(_: nn.Module, given: tuple[Tensor, ...], __: Tensor) -> None:
        seen.append(given[0].double().numpy())

    bands = next(m for m in network.modules() if isinstance(m, BandMean))
    bands.register_forward_hook(keep)
    x = torch.randn(2, 1, 40, 16)
    with torch.inference_mode():
        heard = network(x)
    (maps,) = seen  # (bags, channels, frames, bands)
    assert maps.shape[3] > 1
    pooled = maps.mean(axis=(2, 3))
    weight, bias = (p.detach().double().numpy() for p in network.head.dense.parameters())
    expected = 1 / (1 + np.exp(-(pooled @ weight.T + bias)))
    np.testing.assert_allclose(heard.bags.numpy(), expected, atol=1e-6)


def test_another_mean_is_another_answer() -> None:
    """The mean of instance vectors, which the convolution over the bands makes, is no GAP."""
    recipe = read_recipe("fuse/supervised")
    a = recipe.architecture
    assert a["extractor_settings"]["collapse"] == "mean"
    assert (a["pooling"], a["pooling_settings"]) == ("embedded", {"aggregate": "average"})
    collapse = 256 * 32 + 3 * 256 + 256 * 256 + 256  # what the map's mean has no need of
    assert parameters(recipe) == parameters(read_recipe("fuse/vanilla")) - collapse


@pytest.mark.parametrize("name", ["fuse", "fuse/vgg-like", "fuse/resnet", "fuse/bc-resnet"])
def test_all_supervised_recipes_average_the_map(name: str) -> None:
    recipe = read_recipe(f"{name}{'/' if name == 'fuse' else '-'}supervised")
    a = architecture_of(recipe, 10)
    assert a.pooling == "embedded"
    assert a.extractor_settings["collapse"] == "mean"
    with torch.device("meta"):
        network = build_network(a)
    assert [type(m).__name__ for m in network.modules()].count("Collapse") == 0

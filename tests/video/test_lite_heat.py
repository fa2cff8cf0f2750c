"""Class activation on EfficientNet-Lite2 in plain torch, which pools without a module."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from av_tagger.networks import folded
from av_tagger.video.activation import activation_maps, central_area
from av_tagger.video.features import Compute
from av_tagger.video.imagenet import object_names
from av_tagger.video.lite import GEOMETRY, HEAD, OBJECTS, EfficientNetLite2
from av_tagger.video.recognise import Classifier, NetworkRecogniser

SIDE, STRIDE = 96, 32  # pixels of the test picture, and per cell of the map
ASKED = [3, 700, 999]


@pytest.fixture(scope="module")
def network() -> EfficientNetLite2:
    """Random weights, and norms that are not the identity."""
    torch.manual_seed(0)
    made = EfficientNetLite2().eval()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean = torch.rand(module.num_features) * 0.2
            module.running_var = torch.rand(module.num_features) * 0.2 + 0.1
    return made


def features_and_scores(
    network: EfficientNetLite2, x: torch.Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The features (channels, rows, columns), layer by layer, and the scores of all objects."""
    with torch.no_grad():
        blocks = network.blocks(network.bn1(network.conv_stem(x)))
        features = network.bn2(network.conv_head(blocks))[0].double().numpy()
        scores = network(x)[0].double().numpy()
    return features, scores


def by_hand(
    network: EfficientNetLite2, features: NDArray[np.float64], objects: list[int]
) -> NDArray[np.float64]:
    """Each cell's features times the object's row of the classifier, cell by cell."""
    rows = network.classifier.weight.detach().double().numpy()
    bias = network.classifier.bias.detach().double().numpy()
    _, height, width = features.shape
    return np.array(
        [
            [[features[:, i, j] @ rows[k] + bias[k] for j in range(width)] for i in range(height)]
            for k in objects
        ]
    )


@pytest.mark.parametrize("fold", [False, True])
def test_maps_are_the_features_before_pooling_times_the_classifier(
    network: EfficientNetLite2, fold: bool
) -> None:
    x = torch.rand(1, 3, SIDE, SIDE + STRIDE, generator=torch.Generator().manual_seed(1))
    features, scores = features_and_scores(network, x)
    assert features.shape == (HEAD, SIDE // STRIDE, SIDE // STRIDE + 1)
    assert features.std() > 1e-3, "not a constant picture"
    maps = activation_maps(folded(network) if fold else network, x, ASKED)
    assert maps is not None
    assert maps.shape == (len(ASKED), SIDE // STRIDE, SIDE // STRIDE + 1)
    np.testing.assert_allclose(maps, by_hand(network, features, ASKED), atol=1e-4)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), scores[ASKED], atol=1e-4)
    assert maps.std(axis=(1, 2)).min() > 1e-3, "a map has places"


def test_no_hook_is_left_behind(network: EfficientNetLite2) -> None:
    activation_maps(network, torch.rand(1, 3, SIDE, SIDE), [0])
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_the_recogniser_says_where_it_sees_an_object(network: EfficientNetLite2) -> None:
    how = Compute(1, torch.device("cpu"), torch.float32)
    classifier = Classifier(network, None, object_names(), GEOMETRY.resize, GEOMETRY)
    recogniser = NetworkRecogniser("lite2", classifier, how)
    image = np.random.default_rng(0).integers(0, 256, (120, 200, 3), dtype=np.uint8)
    scores = recogniser.recognise([image])[0]
    assert scores.shape == (OBJECTS,)
    best = int(scores.argmax())
    (heat,) = recogniser.where(image, [best])
    assert heat is not None
    cells = -(-GEOMETRY.crop // STRIDE)
    assert np.shape(heat.grid) == (cells, cells)
    assert max(max(row) for row in heat.grid) == 1.0
    area = central_area(120, 200, GEOMETRY.resize, GEOMETRY.crop)
    assert heat.area == area
    assert area[0] - 1e-6 <= heat.box[0] < heat.box[2] <= area[2] + 1e-6
    assert area[1] - 1e-6 <= heat.box[1] < heat.box[3] <= area[3] + 1e-6

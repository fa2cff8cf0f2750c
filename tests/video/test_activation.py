"""Class activation: its mean is the network's score, its place is right, other forms have none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from av_tagger.scores import Evidence, Heat
from av_tagger.video.activation import (
    activation_maps,
    central_area,
    heat_of,
    peak_box,
    placed,
)
from av_tagger.video.features import Compute
from av_tagger.video.locate import located
from av_tagger.video.recognise import NetworkRecogniser, build_classifier

SIDE = 64


class Spots(nn.Module):
    """Object k is the brightness of colour channel k."""

    def __init__(self, hidden: bool = False) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(3, 3)
        self.after = nn.Softmax(1) if hidden else nn.Identity()
        with torch.no_grad():
            self.classifier.weight.copy_(torch.eye(3))
            self.classifier.bias.fill_(-0.01)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.classifier(self.after(self.pool(x).flatten(1)))
        return found


def test_a_map_is_bright_where_the_object_is() -> None:
    x = torch.zeros(1, 3, 8, 8)
    x[0, 1, 2:4, 5:8] = 1.0
    network = Spots()
    maps = activation_maps(network, x, [1, 0])
    assert maps is not None
    assert np.unravel_index(maps[0].argmax(), maps[0].shape) in [(2, 5), (2, 6), (2, 7)]
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), network(x)[0, [1, 0]].detach(), atol=1e-6)
    heat = heat_of(maps[0], (0.0, 0.0, 1.0, 1.0))
    assert heat is not None
    assert heat.box[0] == pytest.approx(5 / 8, abs=0.1)
    assert heat.box[3] == pytest.approx(4 / 8, abs=0.1)
    assert heat_of(maps[1], (0.0, 0.0, 1.0, 1.0)) is None, "nothing of this object anywhere"


def test_a_network_with_a_hidden_layer_has_no_map() -> None:
    x = torch.rand(1, 3, 8, 8)
    assert activation_maps(Spots(hidden=True), x, [0]) is None
    assert activation_maps(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), x, [0]) is None


@pytest.mark.parametrize(
    "name", ["tf_efficientnet_lite0", "mobilenetv2_100", "torchvision:squeezenet1_0"]
)
def test_networks_of_the_libraries_have_maps(name: str) -> None:
    torch.manual_seed(0)
    network = build_classifier(name).network.eval()
    maps = activation_maps(network, torch.rand(1, 3, SIDE, SIDE), [3, 7])
    assert maps is not None
    assert maps.shape[0] == 2
    assert np.isfinite(maps).all()


def test_a_recogniser_places_its_map_in_the_picture() -> None:
    torch.manual_seed(0)
    recogniser = NetworkRecogniser("m", build_classifier("mobilenetv2_100"), Compute())
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    (heat,) = recogniser.where(image, [int(recogniser.recognise([image])[0].argmax())])
    assert heat is not None
    assert heat.area == pytest.approx(central_area(90, 160, 256, 224), abs=0.02)
    left, top, right, bottom = heat.box
    assert heat.area[0] - 1e-6 <= left < right <= heat.area[2] + 1e-6
    assert heat.area[1] - 1e-6 <= top < bottom <= heat.area[3] + 1e-6
    assert max(max(row) for row in heat.grid) == 1.0
    assert recogniser.where(image, []) == []


def test_the_box_holds_what_hangs_together_with_the_peak() -> None:
    grid = np.zeros((8, 8), np.float32)
    grid[1:3, 1:3], grid[6, 6] = 1.0, 0.9
    left, top, right, bottom = peak_box(grid)
    assert right < 0.5
    assert bottom < 0.5
    assert (left, top) == pytest.approx((0.1, 0.1), abs=0.07)


def test_shares_of_the_crop_become_shares_of_the_picture() -> None:
    area = central_area(100, 200, 256, 256)
    assert area == (0.25, 0.0, 0.75, 1.0)
    assert placed((0.5, 0.0, 1.0, 0.5), area) == (0.5, 0.0, 0.75, 0.5)
    assert central_area(200, 100, 256, 128) == (0.25, 0.375, 0.75, 0.625)


class Pointing:
    """A recogniser that remembers what it was asked, and knows the place of object 2 only."""

    objects = ("crane", "bus", "crane")
    info = None

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def recognise(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        raise AssertionError

    def where(self, image: NDArray[np.uint8], objects: Sequence[int]) -> list[Heat | None]:
        self.asked.append(list(objects))
        heat = Heat(((1.0,),), (0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0))
        return [heat if o == 2 else None for o in objects]


def test_evidence_gets_its_place_with_one_pass_per_key_frame() -> None:
    """Of two objects of one name, the one that is seen in the key frame is meant."""
    objects = np.array([[0.1, 0.0, 0.9], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    seconds = np.array([0.5, 1.5, 2.5])
    pictures = np.zeros((3, 4, 4, 3), np.uint8)
    told = {
        "Truck": (Evidence(0.5, "crane", 0.9, 1.0), Evidence(1.5, "bus", 1.0, 0.3)),
        "Bus": (Evidence(1.5, "bus", 1.0, 1.0),),
    }
    recogniser = Pointing()
    found = located(told, recogniser, recogniser.objects, objects, seconds, pictures)  # type: ignore[arg-type]
    assert recogniser.asked == [[2], [1]]
    assert found["Truck"][0].where is not None
    assert found["Truck"][1].where is None
    assert [e.object for e in found["Bus"]] == ["bus"]

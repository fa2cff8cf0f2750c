"""Published EfficientNet-Lite weights: read with `weights_only`, renamed for timm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from av_tagger.errors import WeightsError, sentence
from av_tagger.networks import fold
from av_tagger.state_file import AGAIN, read_state
from av_tagger.video.lite import EfficientNetLite2, meta_lite2
from av_tagger.video.recognise import load_strictly, put_strictly, timm_network

COUNTER = "num_batches_tracked"  # of batch normalisation; of use in training only


def efficientnet_arrays(members: Mapping[str, bytes]) -> dict[str, Any]:
    """The one member of the wheel as arrays under timm's names."""
    ((name, content),) = members.items()
    state = read_state(Path(name), content=content)
    network, _ = timm_network(timm_name(name))
    return {key: value.numpy() for key, value in renamed(state, network, name).items()}


def load_published(network: nn.Module, path: Path) -> None:
    """Weights into timm's network: from a published `.pth` file, or from one with timm's names."""
    if path.suffix == ".safetensors":
        load_strictly(network, path)
        return
    state = read_state(path)
    if set(state) != set(network.state_dict()):
        state = renamed(state, network, path.name)
    put_strictly(network, state, path)


def read_lite2(path: Path) -> EfficientNetLite2:
    """EfficientNet-Lite2 with the weights of a file, its batch norms folded."""
    network = meta_lite2()
    load_published(network, path)
    return fold(network)


def timm_name(filename: str) -> str:
    """`efficientnet-lite2-9656183e.pth` and the like to timm's `tf_efficientnet_lite2`."""
    found = re.match(r"efficientnet[-_](lite\d)\b", filename.replace("_lite", "-lite"))
    if found is None:
        raise WeightsError(sentence(filename, "is not named like EfficientNet-Lite weights", AGAIN))
    return f"tf_efficientnet_{found[1]}"


def renamed(state: Mapping[str, Tensor], network: nn.Module, name: str) -> dict[str, Tensor]:
    """The file's tensors, in order, under the network's names; shapes and suffixes must agree."""
    ours = {key: value for key, value in network.state_dict().items() if not key.endswith(COUNTER)}
    theirs = {key: value for key, value in state.items() if not key.endswith(COUNTER)}
    if len(ours) != len(theirs):
        raise WeightsError(
            sentence(name, f"has {len(theirs)} tensors where {len(ours)} are right", AGAIN)
        )
    for (our, expected), (their, value) in zip(ours.items(), theirs.items(), strict=True):
        if expected.shape != value.shape or our.rpartition(".")[2] != their.rpartition(".")[2]:
            reason = f"{their} {tuple(value.shape)} is not {our} {tuple(expected.shape)}"
            raise WeightsError(sentence(name, f"does not fit the network ({reason})", AGAIN))
    values = dict(zip(ours, theirs.values(), strict=True))
    counters = [key for key in network.state_dict() if key.endswith(COUNTER)]
    return {**values, **{key: torch.tensor(0) for key in counters}}

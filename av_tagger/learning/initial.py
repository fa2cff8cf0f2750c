"""First weights from another run, or from a run on embeddings joined with their network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from av_tagger.audio.checkpoint import load_checkpoint
from av_tagger.audio.header import Header
from av_tagger.audio.network import MilNetwork, build_network
from av_tagger.errors import UsageError
from av_tagger.learning.run_folder import BEST


def start_from(network: MilNetwork, run: Path, labels: tuple[str, ...]) -> None:
    """Copy the weights of a run into a network of the same architecture and classes."""
    found, header = load_checkpoint(run / BEST)
    if header.embedder and network.frontend is not None:
        found, header = joined_network(Path(header.embedder) / BEST, run / BEST)
    if header.labels != labels:
        raise UsageError(f"{run}: was trained on other classes; give a run on the same list")
    own, theirs = network.state_dict(), found.state_dict()
    wrong = [k for k in own if k not in theirs or own[k].shape != theirs[k].shape]
    wrong += [k for k in theirs if k not in own]
    if wrong:
        raise UsageError(
            f"{run}: is the run of another network (its {wrong[0]} differs); give a run of the"
            " same recipe, or one on embeddings whose layers the recipe continues"
        )
    network.load_state_dict(theirs, strict=True)


def joined_network(below: Path, above: Path) -> tuple[MilNetwork, Header]:
    """The network of embeddings (vgg3), then the layers of the network on them (dense)."""
    first, first_header = load_checkpoint(below)
    second, header = load_checkpoint(above)
    a, b = first_header.architecture, header.architecture
    if a.extractor != "vgg3" or b.extractor != "dense":
        found = f"{below} is {a.extractor}, {above} is {b.extractor}"
        raise UsageError(f"only a dense network on top of vgg3 can be joined: {found}")
    width, bands = first.extractor.width, second.extractor.shape.bands
    if width != bands:
        raise UsageError(
            f"{above} reads embeddings of width {bands}, those of {below} have {width}"
        )
    widths = (*first.extractor.settings.dense, *second.extractor.settings.widths)
    architecture = replace(
        b,
        extractor="vgg3",
        extractor_settings={**a.extractor_settings, "dense": widths},
        frontend=a.frontend,
        features=None,
        margin=a.margin,
    )
    network = build_network(architecture)
    network.load_state_dict(_joined(first, second), strict=True)
    return network.eval(), replace(header, architecture=architecture, embedder="")


def _joined(first: MilNetwork, second: MilNetwork) -> dict[str, Tensor]:
    """The state of the joined network; the second normalisation is folded into its first layer."""
    lower = _with_prefix(first, "extractor.", "normalise.")
    upper = _with_prefix(second, "head.", "pooling.")
    depth = len(first.extractor.settings.dense)
    layers = second.extractor.state_dict()
    mean, std = second.normalise.mean[0], second.normalise.std[0]
    weight, bias = layers["layers.0.0.weight"], layers["layers.0.0.bias"]
    layers["layers.0.0.weight"] = weight / std
    layers["layers.0.0.bias"] = bias - weight @ (mean / std)
    for name, value in layers.items():
        _, number, rest = name.split(".", 2)
        lower[f"extractor.dense.{depth + int(number)}.{rest}"] = value
    return lower | upper


def _with_prefix(network: MilNetwork, *prefixes: str) -> dict[str, Tensor]:
    return {k: v for k, v in network.state_dict().items() if k.startswith(prefixes)}

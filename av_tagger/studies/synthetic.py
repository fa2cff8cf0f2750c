"""Bags whose instances are known: what a pooling or a loss finds of them, measured where no real data can be (FUSE §5.1.1, ATT §V)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from av_tagger.audio.losses import LOSSES
from av_tagger.audio.network import EarArchitecture, MilNetwork, build_network
from av_tagger.audio.sockets import FeatureShape, Heard
from av_tagger.learning.validation import average_precision


@dataclass(frozen=True)
class SyntheticTask:
    """Bags of one class each; its instances stand out in a direction of their own, the others are noise that all classes share."""

    classes: int = 5
    width: int = 8
    instances: int = 10
    positive: float = 0.1  # share of the instances that are of the bag's class; one at least
    distance: float = 3.0  # of a class from the noise, in its standard deviations

    def bags(self, count: int, seed: int) -> SyntheticBags:
        draw = np.random.default_rng(seed)
        answers = np.arange(count) % self.classes
        ranks = draw.random((count, self.instances)).argsort(axis=1)
        truth = ranks < max(1, round(self.positive * self.instances))
        rows = draw.standard_normal((count, self.instances, self.width))
        rows += (
            truth[..., None] * self.distance * np.eye(self.classes, self.width)[answers][:, None]
        )
        return SyntheticBags(
            torch.from_numpy(rows).float(),
            torch.from_numpy(np.eye(self.classes, dtype=np.float32)[answers]),
            truth,
        )


@dataclass(frozen=True)
class SyntheticBags:
    rows: Tensor  # (bags, instances, width)
    targets: Tensor  # (bags, classes)
    truth: NDArray[np.bool_]  # (bags, instances): positive for the bag's class


@dataclass(frozen=True)
class Method:
    """What learns: a pooling over one hidden layer, a loss on bags, and perhaps one on instances."""

    pooling: str = "max"
    settings: dict[str, Any] = field(default_factory=dict)
    loss: str = "alpha-weighted"
    instance: str = ""
    hidden: int = 16


@dataclass(frozen=True)
class BagScores:
    """On bags that were not learnt from."""

    map: float  # of the bags
    recall: float  # share of the positive instances that are told above a half for their class
    confidence: float  # of positive instances in their class, on average
    false_alarms: (
        float  # share of the other instances that are told above a half for the bag's class
    )


def experiment(
    world: SyntheticTask, method: Method, seed: int = 0, steps: int = 250, bags: int = 200
) -> BagScores:
    """Learn from `bags` bags, all of them each step, and look at as many others."""
    training, unseen = world.bags(bags, seed), world.bags(bags, seed + 1000)
    network = learnt(world, method, training, seed, steps)
    with torch.inference_mode():
        heard: Heard = network(unseen.rows)
    own = (heard.instances * unseen.targets[:, None]).amax(dim=2).numpy()
    precisions = [
        average_precision(heard.bags[:, k].double().numpy(), unseen.targets[:, k].numpy() > 0)
        for k in range(world.classes)
    ]
    return BagScores(
        float(np.mean([p for p in precisions if p is not None])),
        float((own[unseen.truth] > 0.5).mean()),
        float(own[unseen.truth].mean()),
        float((own[~unseen.truth] > 0.5).mean()) if not unseen.truth.all() else 0.0,
    )


def learnt(
    world: SyntheticTask, method: Method, training: SyntheticBags, seed: int, steps: int
) -> MilNetwork:
    torch.manual_seed(seed)
    shape = FeatureShape(1, world.width, 1.0)
    layers = {"widths": (method.hidden,)}
    description = EarArchitecture(
        world.classes,
        "dense",
        layers,
        method.pooling,
        method.settings,
        frontend=None,
        features=shape,
    )
    network = build_network(description)
    losses = [LOSSES[name]() for name in (method.loss, method.instance) if name]
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(steps):
        heard = network(training.rows)
        optimiser.zero_grad()
        torch.stack([loss(heard, training.targets) for loss in losses]).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network.eval()


RARE, COMMON = (
    SyntheticTask(instances=20, positive=0.05, distance=4.0),
    SyntheticTask(instances=10, positive=0.6),
)

POOLINGS_COMPARED: dict[str, Method] = {
    "mean": Method("mean", loss="bce"),
    "max": Method("max", loss="bce"),
    "decision-level attention": Method("attention", {"nonlinearity": "softmax"}, loss="bce"),
    "feature-level attention": Method("feature-level", {"nonlinearity": "sigmoid"}, loss="bce"),
}
LOSSES_COMPARED: dict[str, Method] = {
    "max": Method("max", loss="bce"),
    "max, alpha-weighted": Method("max"),
    "max + PNL": Method("max", instance="pnl"),
    "max + GT": Method("max", instance="gt"),
    "max + frame loss": Method("max", instance="frame"),
}

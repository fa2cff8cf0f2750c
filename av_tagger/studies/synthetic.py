"""Poolings and losses on synthetic bags with known instances (FUSE §5.1.1, ATT §V).

    python -m av_tagger.studies.synthetic [--steps 250] [--bags 200] [--seed 0]

Prints metrics of bags and of instances for every pooling (rare positives) and loss (common ones).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from av_tagger.audio.architecture import EarArchitecture, FeatureShape
from av_tagger.audio.base import Heard
from av_tagger.audio.losses import LOSSES
from av_tagger.audio.network import MilNetwork, build_network
from av_tagger.metrics import mean_average_precision


@dataclass(frozen=True)
class SyntheticTask:
    """Bags of one class: noise, with positive instances shifted along the axis of the class."""

    classes: int = 5
    width: int = 8
    instances: int = 10
    positive: float = 0.1  # share of positive instances; at least one
    distance: float = 3.0  # of a class from the noise, in standard deviations

    def bags(self, count: int, seed: int) -> SyntheticBags:
        draw = np.random.default_rng(seed)
        answers = np.arange(count) % self.classes
        ranks = draw.random((count, self.instances)).argsort(axis=1)
        truth = ranks < max(1, round(self.positive * self.instances))
        rows = draw.standard_normal((count, self.instances, self.width))
        axes = np.eye(self.classes, self.width)[answers]  # (bags, width)
        rows += truth[..., None] * self.distance * axes[:, None]
        return SyntheticBags(
            torch.from_numpy(rows).float(),
            torch.from_numpy(np.eye(self.classes, dtype=np.float32)[answers]),
            truth,
        )


@dataclass(frozen=True)
class SyntheticBags:
    rows: Tensor  # (bags, instances, width)
    targets: Tensor  # (bags, classes)
    truth: NDArray[np.bool_]  # (bags, instances) positive


@dataclass(frozen=True)
class Method:
    """A pooling over one hidden layer, a loss on bags, and optionally one on instances."""

    pooling: str = "max"
    settings: dict[str, Any] = field(default_factory=dict)
    loss: str = "alpha-weighted"
    instance: str = ""
    hidden: int = 16


@dataclass(frozen=True)
class BagScores:
    """Metrics on new bags."""

    map: float  # of the bags
    recall: float  # share of positive instances that score above 0.5 in their class
    confidence: float  # mean score of positive instances in their class
    false_alarms: float  # share of the other instances that score above 0.5 in the bag's class


def experiment(
    task: SyntheticTask, method: Method, seed: int = 0, steps: int = 250, bags: int = 200
) -> BagScores:
    """Train on `bags` bags (all of them each step), and measure on as many others."""
    training, unseen = task.bags(bags, seed), task.bags(bags, seed + 1000)
    network = trained(task, method, training, seed, steps)
    with torch.inference_mode():
        heard: Heard = network(unseen.rows)
    own = (heard.instances * unseen.targets[:, None]).amax(dim=2).numpy()
    negative = own[~unseen.truth]
    return BagScores(
        mean_average_precision(heard.bags.numpy(), unseen.targets.numpy()),
        float((own[unseen.truth] > 0.5).mean()),
        float(own[unseen.truth].mean()),
        float((negative > 0.5).mean()) if len(negative) else 0.0,
    )


def trained(
    task: SyntheticTask, method: Method, training: SyntheticBags, seed: int, steps: int
) -> MilNetwork:
    torch.manual_seed(seed)
    network = build_network(
        EarArchitecture(
            task.classes,
            "dense",
            {"widths": (method.hidden,)},
            method.pooling,
            method.settings,
            frontend=None,
            features=FeatureShape(1, task.width, 1.0),
        )
    )
    losses = [LOSSES[name]() for name in (method.loss, method.instance) if name]
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(steps):
        heard = network(training.rows)
        optimiser.zero_grad()
        loss = torch.stack([loss(heard, training.targets) for loss in losses]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
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


def table(
    task: SyntheticTask, methods: Mapping[str, Method], seed: int, steps: int, bags: int
) -> str:
    """One line per method."""
    lines = [f"{'':24s} {'mAP':>6s} {'recall':>6s} {'score':>6s} {'false':>6s}"]
    for name, method in methods.items():
        found = experiment(task, method, seed, steps, bags)
        values = (found.map, found.recall, found.confidence, found.false_alarms)
        lines.append(f"{name:24s} " + " ".join(f"{v:6.3f}" for v in values))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    for name, default in (("seed", 0), ("steps", 250), ("bags", 200)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args(arguments)
    print(table(RARE, POOLINGS_COMPARED, given.seed, given.steps, given.bags))
    print(table(COMMON, LOSSES_COMPARED, given.seed, given.steps, given.bags))


if __name__ == "__main__":
    main()

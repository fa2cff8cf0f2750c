"""What a trained network says of every instance of some bags (FUSE §5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio.bag_assumptions import ASSUMPTIONS
from av_tagger.audio.checkpoint import load_checkpoint
from av_tagger.errors import UsageError
from av_tagger.learning.data.bags import Bags
from av_tagger.learning.data.batches import Batch
from av_tagger.learning.learner import features_of


@dataclass(frozen=True)
class Instances:
    """Scores, embeddings and features of the instances of each bag."""

    probabilities: tuple[NDArray[np.float32], ...]  # (I, classes) per bag
    embeddings: tuple[NDArray[np.float32], ...]  # (I, width)
    features: tuple[NDArray[np.float32], ...]  # (frames, bands) of the first channel
    targets: NDArray[np.float32]  # (bags, classes)

    def confidences(self) -> NDArray[np.float64]:
        """Scores of all instances in the classes of their own bag (FUSE figure 6)."""
        pairs = zip(self.probabilities, self.targets, strict=True)
        return _concatenated([p[:, t > 0.5].ravel() for p, t in pairs])

    def positive(self) -> tuple[NDArray[np.bool_], ...]:
        """FUSE §2: an instance is positive if its highest score is a class of its bag."""
        pairs = zip(self.probabilities, self.targets, strict=True)
        return tuple(t[p.argmax(axis=1)] > 0.5 for p, t in pairs)

    def found(self) -> float:
        """The share of positive instances; low where MIL underestimates."""
        return float(np.concatenate(self.positive()).mean()) if self.probabilities else float("nan")

    def accuracy(self) -> dict[str, float]:
        """Share of clips whose highest score is right, under each assumption at inference."""
        right: dict[str, list[float]] = {name: [] for name in ASSUMPTIONS}
        for p, t in zip(self.probabilities, self.targets, strict=True):
            instances, mask = torch.from_numpy(p)[None], torch.ones(1, len(p), dtype=torch.bool)
            for name, assume in ASSUMPTIONS.items():
                right[name].append(float(t[int(assume(instances, mask)[0].argmax())] > 0.5))
        return {name: float(np.mean(hits)) for name, hits in right.items()}


@torch.inference_mode()
def hear_instances(run: Path, bags: Bags, most: int = 500) -> Instances:
    """The best weights of a run on the first `most` bags."""
    network, header = load_checkpoint(run / "best.safetensors", bags.labels)
    if (network.frontend is None) != (bags.kind == "embeddings"):
        raise UsageError(f"{run}: {header.name} does not read {bags.kind}; give data of its kind")
    chosen = range(min(most, len(bags)))
    found: list[tuple[NDArray[np.float32], ...]] = []
    for bag in chosen:
        inputs, lengths = bags.fetch(np.array([bag]), None)
        batch = Batch(torch.from_numpy(inputs), torch.from_numpy(lengths), torch.empty(0))
        features, frames = features_of(network, batch)
        heard = network(features, frames)
        tensors = (heard.instances, heard.embeddings, features[:, 0])
        found.append(tuple(t[0].float().numpy() for t in tensors))
    targets = np.asarray(bags.targets[: len(chosen)], np.float32)
    probabilities, embeddings, pictures = zip(*found, strict=True)
    return Instances(probabilities, embeddings, pictures, targets)


def _concatenated(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)

"""What a trained network says of every instance of some bags (FUSE §5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio.bag_assumptions import ASSUMPTIONS, assumption
from av_tagger.audio.checkpoint import load_checkpoint
from av_tagger.audio.ensemble_file import FILE as ENSEMBLE
from av_tagger.audio.ensemble_file import read_ensemble
from av_tagger.audio.network import MilNetwork
from av_tagger.errors import UsageError
from av_tagger.learning.data.bags import Bags
from av_tagger.learning.data.batches import Batch
from av_tagger.learning.learner import features_of
from av_tagger.learning.run_folder import BEST
from av_tagger.learning.validation import accuracy

PICTURES = 200  # bags whose features are kept to be drawn


@dataclass(frozen=True)
class Instances:
    """Scores, embeddings and features of the instances of each bag."""

    probabilities: tuple[NDArray[np.float32], ...]  # (I, classes) per bag
    embeddings: tuple[NDArray[np.float32], ...]  # (I, width)
    features: tuple[NDArray[np.float32], ...]  # (frames, bands) of the first channel
    targets: NDArray[np.float32]  # (bags, classes)
    bags: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))

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
        """Share of clips whose highest score is right under SMI and CMI (FUSE Table 6).

        TMI with a count of one has the same highest score as SMI; see `roc` for its thresholds.
        """
        truth = self.targets > 0.5
        return {name: accuracy(self.assumed(name), truth) for name in ASSUMPTIONS}

    def assumed(self, name: str) -> NDArray[np.float32]:
        """(bags, classes) scores under an assumption: pooling, smi, cmi or tmi:N."""
        assume = assumption(name)
        if assume is None:
            return self.bags
        rows = []
        for p in self.probabilities:
            instances, mask = torch.from_numpy(p)[None], torch.ones(1, len(p), dtype=torch.bool)
            rows.append(assume(instances, mask)[0].numpy())
        return np.array(rows, np.float32)

    def roc(self, count: int = 1) -> Roc:
        """FUSE figure 10: detection of bags over the threshold on instances, all classes pooled."""
        scores = self.assumed(f"tmi:{count}").ravel()
        truth = self.targets.ravel() > 0.5
        order = np.argsort(-scores, kind="stable")
        last = np.append(np.diff(scores[order]) != 0, True)  # equal scores are one point
        hits, alarms = np.cumsum(truth[order])[last], np.cumsum(~truth[order])[last]
        found = np.concatenate([[0.0], hits / max(1, truth.sum())])
        false = np.concatenate([[0.0], alarms / max(1, (~truth).sum())])
        thresholds = np.concatenate([[np.inf], scores[order][last]])
        return Roc(false, found, thresholds)


@dataclass(frozen=True)
class Roc:
    """Rates of false alarms and of detections at falling thresholds."""

    false_alarms: NDArray[np.float64]
    detections: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    @property
    def area(self) -> float:
        heights = (self.detections[1:] + self.detections[:-1]) / 2
        return float(np.diff(self.false_alarms) @ heights)


@torch.inference_mode()
def hear_instances(run: Path, bags: Bags, most: int = 0, pictures: int = PICTURES) -> Instances:
    """The result of a run on the first `most` bags (0: all): its best weights, or the mean of its
    checkpoints where it averages (ATT); embeddings are those of the last checkpoint.

    Features are kept for the first `pictures` of them only.
    """
    networks = [_network(file, run, bags) for file in _weights_of(run)]
    chosen = range(min(most or len(bags), len(bags)))
    found: list[tuple[NDArray[np.float32], ...]] = []
    pooled: list[NDArray[np.float32]] = []
    for bag in chosen:
        inputs, lengths = bags.fetch(np.array([bag]), None)
        batch = Batch(torch.from_numpy(inputs), torch.from_numpy(lengths), torch.empty(0))
        features, frames = features_of(networks[-1], batch)
        heard = [network(features, frames) for network in networks]
        shown = features[:, 0] if bag < pictures else features[:, 0, :0]
        instances = torch.stack([h.instances.float() for h in heard]).mean(dim=0)
        pooled.append(torch.stack([h.bags[0].float() for h in heard]).mean(dim=0).numpy())
        tensors = (instances, heard[-1].embeddings, shown)
        found.append(tuple(t[0].float().numpy() for t in tensors))
    targets = np.asarray(bags.targets[: len(chosen)], np.float32)
    probabilities, embeddings, kept = zip(*found, strict=True)
    return Instances(probabilities, embeddings, kept, targets, np.stack(pooled))


def _weights_of(run: Path) -> list[Path]:
    """The weights files whose mean prediction is the result of a run."""
    if not (run / ENSEMBLE).is_file():
        return [run / BEST]
    return [Path(member.path) for member in read_ensemble(run / ENSEMBLE).members]


def _network(file: Path, run: Path, bags: Bags) -> MilNetwork:
    network, header = load_checkpoint(file, bags.labels)
    if (network.frontend is None) != (bags.kind == "embeddings"):
        raise UsageError(f"{run}: {header.name} does not read {bags.kind}; give data of its kind")
    return network


def _concatenated(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)

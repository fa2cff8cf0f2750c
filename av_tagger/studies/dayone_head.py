"""The head: YAMNet's own classifier rows for the 17 classes, adapted on real and made sounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from av_tagger.audio.calibration import EmbeddingHead, sigmoid
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.labels import audioset, dcase2017
from av_tagger.studies.dayone_features import Numbers, WindowFeatures

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HeadSettings:
    """How far and on what the head may move away from YAMNet's own rows."""

    ridge: float = 0.03  # on the change, in units of each embedding's deviation
    real: float = 10.0  # weight of a window of a real clip,
    altered: float = 3.0  # of real recordings altered or mixed,
    synthetic: float = 1.0  # and of a scene with made sounds
    epochs: int = 12
    batch: int = 128
    learning_rate: float = 3e-3
    seed: int = 0


@dataclass(frozen=True, eq=False)
class HeadData:
    """Windows with their targets (NaN: unknown) and weights."""

    features: WindowFeatures
    targets: Numbers  # (windows, classes)
    weights: Numbers  # (windows,)

    def rows(self, windows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """The embeddings of these windows, and for each of them the window's place in the list."""
        first = np.cumsum([0, *self.features.patches])
        which = np.concatenate([np.arange(first[w], first[w + 1]) for w in windows])
        place = np.repeat(np.arange(len(windows)), self.features.patches[windows])
        embeddings = self.features.embeddings[which].astype(np.float32)
        return torch.from_numpy(embeddings), torch.from_numpy(place)


def start(network: YAMNet, labels: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """YAMNet's rows for the 17 classes; the mean where narrower classes count for one."""
    by_id = {c.id: c.label for c in audioset()}
    groups = [[c.label, *(by_id[i] for i in c.also)] for c in dcase2017()]
    rows = [torch.tensor([labels.index(name) for name in group]) for group in groups]
    weight, bias = network.logits.weight.detach(), network.logits.bias.detach()
    return (
        torch.stack([weight[r].mean(dim=0) for r in rows]),
        torch.stack([bias[r].mean() for r in rows]),
    )


def train(
    data: HeadData,
    use: NDArray[np.bool_],
    begin: tuple[Tensor, Tensor],
    settings: HeadSettings | None = None,
) -> EmbeddingHead:
    """Binary cross-entropy of the mean over patches, as YAMNet itself pools them."""
    s = settings or HeadSettings()
    torch.manual_seed(s.seed)
    model = _Model(data, begin)
    windows = np.flatnonzero(use)
    optimiser = torch.optim.Adam([model.change, model.shift], s.learning_rate)
    steps = s.epochs * -(-len(windows) // s.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rng = np.random.default_rng(s.seed)
    for _ in range(s.epochs):
        rng.shuffle(windows)
        for at in range(0, len(windows), s.batch):
            batch = windows[at : at + s.batch]
            loss = _loss(model.pooled(batch), data, batch)
            optimiser.zero_grad()
            (loss + s.ridge * model.change.square().sum()).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return model.head()


class _Model:
    """Rows = the rows to begin with + a change that is measured in deviations of the inputs."""

    def __init__(self, data: HeadData, begin: tuple[Tensor, Tensor]) -> None:
        self.data = data
        self.weight, self.bias = begin
        spread = data.features.embeddings[::7].astype(np.float32).std(axis=0)
        self.unit = torch.from_numpy(spread.clip(1e-3))
        self.change = torch.zeros_like(self.weight, requires_grad=True)
        self.shift = torch.zeros_like(self.bias, requires_grad=True)

    def pooled(self, windows: NDArray[np.int64]) -> Tensor:
        embeddings, place = self.data.rows(windows)
        rows = self.weight + self.change / self.unit
        return _pooled(embeddings @ rows.T + self.bias + self.shift, place, len(windows))

    @torch.no_grad()
    def head(self) -> EmbeddingHead:
        weight = self.weight + self.change / self.unit
        return EmbeddingHead(dcase2017().labels, weight.numpy(), (self.bias + self.shift).numpy())


def _pooled(logits: Tensor, place: Tensor, windows: int) -> Tensor:
    """(patches, classes) to the mean probability of each window."""
    total = torch.zeros(windows, logits.shape[1]).index_add(0, place, logits.sigmoid())
    return total / torch.bincount(place, minlength=windows)[:, None]


def _loss(pooled: Tensor, data: HeadData, batch: NDArray[np.int64]) -> Tensor:
    targets = torch.from_numpy(data.targets[batch])
    known = torch.isfinite(targets) * torch.from_numpy(data.weights[batch])[:, None]
    p, t = pooled.clamp(1e-6, 1 - 1e-6), targets.nan_to_num()
    losses = -(t * p.log() + (1 - t) * (1 - p).log())
    return (losses * known).sum() / len(batch)


def apply(head: EmbeddingHead, features: WindowFeatures) -> Numbers:
    """(windows, classes): the mean probability over patches."""
    embeddings = features.embeddings.astype(np.float32)
    probabilities = sigmoid((embeddings @ head.weight.T + head.bias).astype(np.float64))
    first = np.cumsum([0, *features.patches])[:-1]
    total = np.add.reduceat(probabilities, first, axis=0)
    return (total / features.patches[:, None]).astype(np.float32)

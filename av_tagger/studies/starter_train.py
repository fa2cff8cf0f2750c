"""The starter ear's training loop: labels softened by a teacher, and the teacher's 527 opinions as a second lesson that is not shipped."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from av_tagger.audio.frontend import LogMelSettings
from av_tagger.audio.network import EarArchitecture, MilNetwork, build_network
from av_tagger.studies.teacher import targets

Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class StarterSettings:
    """What won among the ways tried (see the card)."""

    frontend: LogMelSettings = field(
        default_factory=lambda: LogMelSettings(window=800, hop=400, mels=64)
    )  # 40 ms every 20 ms
    channels: tuple[int, ...] = (16, 64, 128, 128)
    pools: tuple[tuple[int, int], ...] = (
        (5, 2),
        (1, 2),
        (1, 4),
        (1, 4),
    )  # 50 frames a second to 10
    units: int = 100
    dropout: float = 0.1
    pooling: str = "attention"
    margin: int = 5
    epochs: int = 16
    batch: int = 32
    rate: float = 3e-3
    trust: float = 0.6  # in labels, beside the teacher's opinion of the same clip
    distil: float = 1.0  # weight of the second lesson
    mix: float = 0.4  # share of examples laid over another
    mask: float = 0.5  # share with a stripe of bands, and with a stripe of time, gone
    average: float = 0.998  # of the weights over steps
    seed: int = 0

    def architecture(self, classes: int) -> EarArchitecture:
        table: dict[str, Any] = {
            "channels": self.channels,
            "pools": self.pools,
            "units": self.units,
            "dropout": self.dropout,
        }
        return EarArchitecture(
            classes, "crnn", table, self.pooling, frontend=self.frontend, margin=self.margin
        )


class Average:
    """Weights averaged over steps: steadier than the last ones."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay, self.step = module, decay, 0
        self.state = {k: v.clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        self.step += 1
        keep = min(self.decay, (self.step + 1) / (self.step + 20))
        for name, value in self.module.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[name].lerp_(value, 1 - keep)
            else:
                self.state[name].copy_(value)


@dataclass(frozen=True)
class TargetBatch:
    x: Tensor  # (B, T, M)
    y: Tensor  # (B, classes)
    weight: Tensor  # (B, classes)
    opinions: Tensor  # (B, 527)


class TrainingSet:
    """Features with targets, drawn in random batches and altered a little each time."""

    def __init__(
        self,
        x: NDArray[np.float16],
        known: Numbers,
        opinions: NDArray[np.float16],
        settings: StarterSettings,
        silence: Tensor,
    ) -> None:
        known = implied(known)
        self.x, self.opinions, self.settings, self.silence = (
            x,
            opinions.astype(np.float32),
            settings,
            silence,
        )
        self.y = targets(known, self.opinions, settings.trust)
        self.weight = np.where(np.isnan(known), 0.7, 1.0).astype(np.float32)
        self.rng = np.random.default_rng(settings.seed)

    def __len__(self) -> int:
        return len(self.x) // self.settings.batch

    def epoch(self) -> Any:
        order = self.rng.permutation(len(self.x))
        for k in range(len(self)):
            yield self._batch(
                np.sort(order[k * self.settings.batch : (k + 1) * self.settings.batch])
            )

    def _uniform(self, low: float, high: float, n: int) -> Tensor:
        return torch.from_numpy(self.rng.uniform(low, high, (n, 1, 1)).astype(np.float32))

    def _batch(self, rows: NDArray[np.int64]) -> TargetBatch:
        n, partner = len(rows), rows[self.rng.permutation(len(rows))]
        x = self._features(rows) + self._uniform(-1.5, 1.5, n)
        y, opinions = torch.from_numpy(self.y[rows]), torch.from_numpy(self.opinions[rows])
        mixed = torch.from_numpy(self.rng.random(n) < self.settings.mix)
        over = torch.logaddexp(x, self._features(partner) + self._uniform(-4.0, 0.5, n))
        x = torch.where(mixed[:, None, None], over, x)
        y = torch.where(
            mixed[:, None], torch.maximum(y, 0.9 * torch.from_numpy(self.y[partner])), y
        )
        both = 0.8 * torch.maximum(opinions, 0.7 * torch.from_numpy(self.opinions[partner]))
        opinions = torch.where(mixed[:, None], both, opinions)
        return TargetBatch(
            self._masked(self._tilted(x)), y, torch.from_numpy(self.weight[rows]), opinions
        )

    def _features(self, rows: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.x[rows].astype(np.float32))

    def _tilted(self, x: Tensor) -> Tensor:
        """Another microphone: treble against bass."""
        slope = torch.from_numpy(self.rng.normal(0, 0.5, (len(x), 1, 1)).astype(np.float32))
        return torch.maximum(x + slope * torch.linspace(-1, 1, x.shape[2]), self.silence)

    def _masked(self, x: Tensor) -> Tensor:
        bands = self._stripes(len(x), x.shape[2], (2, 9))
        frames = self._stripes(len(x), x.shape[1], (5, 30))
        return torch.where(bands[:, None] | frames[:, :, None], self.silence, x)

    def _stripes(self, n: int, length: int, widths: tuple[int, int]) -> Tensor:
        width = self.rng.integers(*widths, (n, 1)) * (self.rng.random((n, 1)) < self.settings.mask)
        start = self.rng.integers(0, max(1, length - widths[1]), (n, 1))
        place = np.arange(length)[None]
        return torch.from_numpy((place >= start) & (place < start + width))


def implied(known: Numbers) -> Numbers:
    """A train horn is heard of a train: so AudioSet's raters understood the class Train (official order: first and last)."""
    out = known.copy()
    out[known[:, 0] == 1, -1] = 1.0
    return out


def balanced(y: Numbers) -> Tensor:
    """Weights of the positive parts, by how rare a class is, within a factor of two."""
    weight = torch.from_numpy(1 / np.clip(y.mean(0), 0.02, 1))
    return (weight / weight.mean()).clamp(0.5, 2.0).float()


def train(training_set: TrainingSet, settings: StarterSettings, report: Any = None) -> MilNetwork:
    """Returns the averaged network; `report(network)` looks at it after every fourth epoch."""
    torch.manual_seed(settings.seed)
    network = build_network(settings.architecture(training_set.y.shape[1]))
    sample = (
        training_set.x[training_set.rng.permutation(len(training_set.x))[:400]]
        .astype(np.float32)
        .reshape(-1, training_set.x.shape[2])
    )
    network.normalise.set(torch.from_numpy(sample.mean(0)), torch.from_numpy(sample.std(0)))
    second = nn.Linear(network.extractor.width, training_set.opinions.shape[1])
    nn.init.constant_(second.bias, -5.0)
    nn.init.constant_(network.head.dense.bias, -2.0)
    parameters = [*network.parameters(), *second.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=settings.rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.rate, total_steps=settings.epochs * len(training_set), pct_start=0.15
    )
    average, rarity, started = (
        Average(network, settings.average),
        balanced(training_set.y),
        time.monotonic(),
    )
    for epoch in range(settings.epochs):
        network.train()
        total = 0.0
        for batch in training_set.epoch():
            loss = loss_of(network, second, batch, rarity, settings.distil)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, 2.0)
            optimiser.step()
            schedule.step()
            average.update()
            total += loss.item()
        print(
            f"epoch {epoch + 1} of {settings.epochs}: loss {total / len(training_set):.4f}, {time.monotonic() - started:.0f} s",
            flush=True,
        )
        if report is not None and (epoch % 4 == 3 or epoch == settings.epochs - 1):
            report(averaged(settings, training_set.y.shape[1], average))
    return averaged(settings, training_set.y.shape[1], average)


def loss_of(
    network: MilNetwork, second: nn.Linear, batch: TargetBatch, rarity: Tensor, distil: float
) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        heard = network(batch.x[:, None])
    bags = heard.bags.float().clamp(1e-6, 1 - 1e-6)
    first = (
        F.binary_cross_entropy(bags, batch.y, reduction="none")
        * batch.weight
        * (1 + (rarity - 1) * batch.y)
    )
    other = F.binary_cross_entropy_with_logits(
        second(heard.embeddings.float().mean(1)), batch.opinions, reduction="none"
    )
    return first.mean() + distil * other.sum(1).mean() / 20


def averaged(settings: StarterSettings, classes: int, average: Average) -> MilNetwork:
    network = build_network(settings.architecture(classes))
    network.load_state_dict(average.state)
    return network.eval()

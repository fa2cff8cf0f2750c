"""Batches: each a pure function of the seed and its number, so that workers, ranks and a resumed run all get the same ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from av_tagger.learning.data.augment import Augment, Background, Wave, mixup, vary
from av_tagger.learning.data.bags import Bags, Inputs, Lengths, WaveformBags
from av_tagger.learning.data.balance import Balance, Indices, Sampler, generator, sampler


@dataclass(frozen=True)
class Batch:
    inputs: Tensor  # (b, samples) float32, or (b, instances, features)
    lengths: Tensor  # (b,) how much of each row is no padding
    targets: Tensor  # (b, classes), NaN where nobody knows

    def to(self, device: torch.device) -> Batch:
        """Lengths stay: the network wants them where it decides, not where it computes."""
        return Batch(
            self.inputs.to(device, non_blocking=True),
            self.lengths,
            self.targets.to(device, non_blocking=True),
        )

    def pin_memory(self) -> Batch:
        return Batch(self.inputs.pin_memory(), self.lengths.pin_memory(), self.targets.pin_memory())


@dataclass(frozen=True)
class Sampling:
    """How training draws from its bags."""

    batch: int = 95
    balance: Balance = "none"
    seed: int = 0
    rank: int = 0  # of
    group: int = 1  # processes, each taking every `world`-th place of a batch


@dataclass(frozen=True)
class TrainingBatches(Dataset[Batch]):
    """Batch number `step`, for any step from 0 to for ever."""

    bags: Bags
    draw: Sampling
    augment: Augment = field(default_factory=Augment)
    background: WaveformBags | None = None

    def __getitem__(self, step: int) -> Batch:
        places = np.arange(step * self.draw.batch, (step + 1) * self.draw.batch)[
            self.draw.rank :: self.draw.group
        ]
        chosen = self.chosen(step)[self.draw.rank :: self.draw.group]
        varied = (
            self.bags.kind == "waveform"
        )  # embeddings are taken as they are, and generators cost more than fetching them
        inputs, lengths = self._varied(
            chosen,
            [generator(self.draw.seed, 10, int(place)) for place in places] if varied else None,
        )
        targets = self.bags.targets[chosen].astype(np.float32)
        if self.augment.mixup_alpha:
            key = generator(self.draw.seed, 11, step, self.draw.rank)
            inputs, lengths, targets = mixup(inputs, lengths, targets, self.augment, key)
        return Batch(torch.from_numpy(inputs), torch.from_numpy(lengths), torch.from_numpy(targets))

    def chosen(self, step: int) -> Indices:
        """Which bags make up a whole batch, before it is shared out among ranks."""
        return self._sampler.places(step * self.draw.batch, self.draw.batch)

    @cached_property
    def _sampler(self) -> Sampler:
        return sampler(self.draw.balance, self.bags.targets, self.draw.seed)

    def _varied(
        self, chosen: Indices, draws: list[np.random.Generator] | None
    ) -> tuple[Inputs, Lengths]:
        inputs, lengths = self.bags.fetch(chosen, draws)
        if draws and isinstance(self.bags, WaveformBags):
            beneath = self._beneath if self.background is not None else None
            for row, n, draw in zip(inputs, lengths, draws, strict=True):
                row[:n] = vary(row[:n], self.augment, self.bags.store.rate, draw, beneath)
        return inputs, lengths

    @property
    def _beneath(self) -> Background:
        pool = self.background
        assert pool is not None

        def beneath(draw: np.random.Generator) -> Wave:
            return pool.wave(int(draw.integers(len(pool))), draw)

        return beneath


@dataclass(frozen=True)
class WholeBags(Dataset[tuple[Indices, Batch]]):
    """Bags as they are, in batches of like lengths that fill no more memory than one of training, for validation."""

    bags: Bags
    budget: int  # the longest length times the bags of a batch, at most (one bag always fits)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, step: int) -> tuple[Indices, Batch]:
        chosen = self._batches[step]
        inputs, lengths = self.bags.fetch(chosen, None)
        targets = self.bags.targets[chosen].astype(np.float32)
        return chosen, Batch(
            torch.from_numpy(inputs), torch.from_numpy(lengths), torch.from_numpy(targets)
        )

    @cached_property
    def _batches(self) -> list[Indices]:
        lengths = self.bags.lengths
        order = np.argsort(lengths, kind="stable")
        batches, first = [], 0
        for place in range(1, len(order) + 1):
            full = (
                place < len(order)
                and int(lengths[order[place]]) * (place + 1 - first) > self.budget
            )
            if full or place == len(order):
                batches.append(order[first:place])
                first = place
        return batches


def loaded(batches: Dataset[Any], steps: Sequence[int], workers: int, pin: bool) -> Iterator[Any]:
    """These batches in order, made by `workers` processes ahead of time (0: here, when asked)."""
    return iter(
        DataLoader(
            batches,
            sampler=steps,
            batch_size=None,
            num_workers=workers,
            pin_memory=pin,
            collate_fn=_as_it_is,
        )
    )


def _as_it_is(batch: Any) -> Any:
    return batch

"""Batches, each a function of the seed and its number: workers, ranks and resumed runs agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from av_tagger.learning.data.augment import Augment, Background, Wave, augment_wave, mixup
from av_tagger.learning.data.bags import Bags, Inputs, Lengths, WaveformBags
from av_tagger.learning.data.balance import Balance, Indices, Sampler, generator, sampler
from av_tagger.learning.data.examples import Targets
from av_tagger.learning.data.teacher import TeacherTargets


@dataclass(frozen=True)
class Batch:
    inputs: Tensor  # (b, samples) float32, or (b, instances, features)
    lengths: Tensor  # (b,) without padding
    targets: Tensor  # (b, classes), NaN where unknown
    teacher: Tensor | None = None  # (b, classes of the teacher)

    def to(self, device: torch.device) -> Batch:
        """Inputs and targets on the device; lengths stay on the CPU, where they are used."""
        return Batch(
            self.inputs.to(device, non_blocking=True),
            self.lengths,
            self.targets.to(device, non_blocking=True),
            None if self.teacher is None else self.teacher.to(device, non_blocking=True),
        )

    def pin_memory(self) -> Batch:
        return Batch(
            self.inputs.pin_memory(),
            self.lengths.pin_memory(),
            self.targets.pin_memory(),
            None if self.teacher is None else self.teacher.pin_memory(),
        )


@dataclass(frozen=True)
class Sampling:
    """How training draws from its bags."""

    batch: int = 95
    balance: Balance = "none"
    seed: int = 0
    rank: int = 0  # this process ...
    group: int = 1  # ... of so many; each takes every `group`-th position of a batch


@dataclass(frozen=True)
class TrainingBatches(Dataset[Batch]):
    """Batch number `step`, for any step; with a teacher, its scores come with the batch."""

    bags: Bags
    draw: Sampling
    augment: Augment = field(default_factory=Augment)
    background: WaveformBags | None = None
    teacher: TeacherTargets | None = None

    def __getitem__(self, step: int) -> Batch:
        mine = slice(self.draw.rank, None, self.draw.group)
        chosen = self.chosen(step)[mine]
        places = np.arange(step * self.draw.batch, (step + 1) * self.draw.batch)[mine]
        draws = None
        if self.bags.kind == "waveform":  # embeddings are not augmented, and generators are slow
            draws = [generator(self.draw.seed, 10, int(place)) for place in places]
        inputs, lengths = self._augmented(chosen, draws)
        targets = self._targets[chosen].astype(np.float32)
        if self.augment.mixup_alpha:
            key = generator(self.draw.seed, 11, step, self.draw.rank)
            inputs, lengths, targets = mixup(inputs, lengths, targets, self.augment, key)
        labels, teacher = np.split(targets, [len(self.bags.labels)], axis=1)
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(lengths),
            torch.from_numpy(labels),
            torch.from_numpy(teacher) if self.teacher is not None else None,
        )

    def chosen(self, step: int) -> Indices:
        """The bags of a whole batch, before it is split among ranks."""
        return self._sampler.places(step * self.draw.batch, self.draw.batch)

    @cached_property
    def _sampler(self) -> Sampler:
        return sampler(self.draw.balance, self.bags.targets, self.draw.seed)

    @cached_property
    def _targets(self) -> Targets:
        """(n, classes), followed by the teacher's scores where there is one."""
        if self.teacher is None:
            return self.bags.targets
        soft = self.teacher.soften(self.bags.targets)
        return np.concatenate([soft, self.teacher.scores.astype(np.float32)], axis=1)

    def _augmented(
        self, chosen: Indices, draws: list[np.random.Generator] | None
    ) -> tuple[Inputs, Lengths]:
        inputs, lengths = self.bags.fetch(chosen, draws)
        if draws and isinstance(self.bags, WaveformBags):
            rate, background = self.bags.store.rate, self._draw_background
            for row, n, draw in zip(inputs, lengths, draws, strict=True):
                row[:n] = augment_wave(row[:n], self.augment, rate, draw, background)
        return inputs, lengths

    @property
    def _draw_background(self) -> Background | None:
        pool = self.background
        if pool is None:
            return None

        def background(draw: np.random.Generator) -> Wave:
            return pool.wave(int(draw.integers(len(pool))), draw)

        return background


@dataclass(frozen=True)
class WholeBags(Dataset[tuple[Indices, Batch]]):
    """Whole bags for validation, sorted by length, in batches that fit the memory of training."""

    bags: Bags
    budget: int  # most elements of a batch: longest length times bags (a single bag always fits)

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
        for end in range(1, len(order) + 1):
            last = end == len(order)
            if last or int(lengths[order[end]]) * (end + 1 - first) > self.budget:
                batches.append(order[first:end])
                first = end
        return batches


def loaded(batches: Dataset[Any], steps: Sequence[int], workers: int, pin: bool) -> Iterator[Any]:
    """These batches in order, prefetched by `workers` processes (0: made in this process)."""
    return iter(
        DataLoader(
            batches,
            sampler=steps,
            batch_size=None,
            num_workers=workers,
            pin_memory=pin,
            collate_fn=_unchanged,
        )
    )


def _unchanged(batch: Any) -> Any:
    return batch

"""Where a run computes: device, precision, and its fellow processes when a launcher such as torchrun started several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from av_tagger.errors import UsageError, did_you_mean
from av_tagger.networks import find_device, quick_memory

T = TypeVar("T")
Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class ProcessGroup:
    """One process among `size`, and what it computes with."""

    device: torch.device
    dtype: torch.dtype = torch.float32
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and speaks to the user."""
        return self.rank == 0

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Gradients averaged over all processes."""
        if self.size == 1:
            return network
        return nn.parallel.DistributedDataParallel(
            network, [self.device] if self.device.type == "cuda" else None
        )

    def gather(self, mine: T) -> list[T]:
        """What each process has, in the order of their ranks."""
        if self.size == 1:
            return [mine]
        everyone: list[Any] = [None] * self.size
        dist.all_gather_object(everyone, mine)
        return everyone

    def total(self, number: Tensor) -> float:
        if self.size > 1:
            dist.all_reduce(number)
        return float(number)


@contextmanager
def joined(device: str, chosen: Precision) -> Iterator[ProcessGroup]:
    """The world of this run; fellows are found by the environment that torchrun sets, and let go at the end."""
    size, rank, local = (
        int(os.environ.get(name, default))
        for name, default in (("WORLD_SIZE", "1"), ("RANK", "0"), ("LOCAL_RANK", "0"))
    )
    place = find_device(
        f"cuda:{local}"
        if size > 1 and device in ("auto", "cuda") and torch.cuda.is_available()
        else device
    )
    group = ProcessGroup(place, _dtype(place, chosen), rank, size)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    else:
        quick_memory()  # a training step on a CPU takes 0.64 of the time (bf16), 0.86 (fp32)
    if size == 1:
        yield group
        return
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield group
    finally:
        dist.destroy_process_group()


def precision(name: str) -> Precision:
    """The precision of this name."""
    known: dict[str, Precision] = {
        "auto": "auto",
        "float32": "float32",
        "bfloat16": "bfloat16",
        "float16": "float16",
    }
    if name not in known:
        raise UsageError(f"there is no precision {name!r}; {did_you_mean(name, known)}")
    return known[name]


def _dtype(device: torch.device, chosen: Precision) -> torch.dtype:
    """bfloat16 by itself only where the hardware has it; float16 needs the scaled gradients of a GPU."""
    if chosen == "float16" and device.type != "cuda":
        raise UsageError(
            "float16 training needs a CUDA device; give --precision bfloat16 or float32"
        )
    if chosen == "auto":
        return (
            torch.bfloat16
            if device.type == "cuda" and torch.cuda.is_bf16_supported()
            else torch.float32
        )
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[chosen]

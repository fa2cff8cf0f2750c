"""Optimisers, learning-rate schedules and averaged weights, with state for resumed runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Optimiser:
    name: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.8  # of sgd
    nesterov: bool = True  # of sgd
    betas: tuple[float, float] = (0.9, 0.999)  # of adam and adamw
    weight_decay: float = 0.0
    clip: float = 0.0  # gradient clipping; 0: none
    clip_by: Literal["norm", "value"] = "norm"  # of the whole gradient, or of each element

    def __post_init__(self) -> None:
        if self.lr <= 0 or self.clip < 0 or self.weight_decay < 0:
            raise ValueError(
                "the learning rate is positive, clip and weight decay are not negative:"
                f" {self.lr = }"
            )


@dataclass(frozen=True)
class Schedule:
    name: Literal["none", "plateau", "cosine"] = "none"
    factor: float = 0.8  # plateau: the rate is multiplied by this ...
    patience: int = 3  # ... after so many epochs without a lower validation loss
    warmup_steps: int = 0  # cosine: linear rise from zero ...
    warmup_epochs: float = 0.0  # ... or in epochs
    last: float = 0.0  # cosine: final rate, as a share of the first

    def __post_init__(self) -> None:
        if (
            not 0 < self.factor <= 1
            or self.patience < 1
            or min(self.warmup_steps, self.warmup_epochs) < 0
            or (self.warmup_steps and self.warmup_epochs)
            or not 0 <= self.last <= 1
        ):
            raise ValueError(
                "factor and last are shares, patience is at least 1, the warm-up is in steps or in"
                " epochs and not negative"
            )


class LearningRate(Protocol):
    """A schedule with its state: the factor of the learning rate at each step."""

    def at(self, step: int) -> float: ...

    def validated(self, loss: float) -> None:
        """Called after each epoch with its validation loss."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Constant:
    """A constant learning rate."""

    def __init__(self, schedule: Schedule, steps: int, epoch_steps: int = 1) -> None:
        self.schedule, self.steps = schedule, steps
        self.warmup = schedule.warmup_steps or round(schedule.warmup_epochs * epoch_steps)

    def at(self, step: int) -> float:  # noqa: ARG002
        return 1.0

    def validated(self, loss: float) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class Plateau(Constant):
    """AV §3.2: times 0.8 after 3 epochs without a lower validation loss."""

    share, best, waited = 1.0, math.inf, 0

    def at(self, step: int) -> float:  # noqa: ARG002
        return self.share

    def validated(self, loss: float) -> None:
        self.waited = 0 if loss < self.best else self.waited + 1
        self.best = min(self.best, loss)
        if self.waited >= self.schedule.patience:
            self.share, self.waited = self.share * self.schedule.factor, 0

    def state_dict(self) -> dict[str, Any]:
        return {"share": self.share, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.share, self.best, self.waited = state["share"], state["best"], state["waited"]


class Cosine(Constant):
    """A linear warm-up, then half a cosine down to `last`."""

    def at(self, step: int) -> float:
        s, warmup = self.schedule, self.warmup
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, self.steps - warmup))
        return s.last + (1 - s.last) * (1 + math.cos(math.pi * done)) / 2


class Averaged:
    """Exponential moving average of weights and buffers; the decay rises over the first steps."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.values = {key: value.detach().clone() for key, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 9))
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                self.values[key].lerp_(value, 1 - decay)
            else:
                self.values[key].copy_(value)  # counters of batch normalisation

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "values": self.values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        for key, value in self.values.items():
            value.copy_(state["values"][key])


def make_optimiser(parameters: Iterable[Tensor], how: Optimiser) -> torch.optim.Optimizer:
    return OPTIMISERS[how.name](list(parameters), how)


def make_learning_rate(schedule: Schedule, steps: int, epoch_steps: int = 1) -> LearningRate:
    """The schedule over `steps`, with `epoch_steps` of them per epoch."""
    return SCHEDULES[schedule.name](schedule, steps, epoch_steps)


def clip_gradients(parameters: Iterable[Tensor], how: Optimiser) -> None:
    if how.clip and how.clip_by == "norm":
        nn.utils.clip_grad_norm_(parameters, how.clip)
    elif how.clip:
        nn.utils.clip_grad_value_(parameters, how.clip)


OPTIMISERS: dict[str, Callable[[list[Tensor], Optimiser], torch.optim.Optimizer]] = {
    "sgd": lambda p, o: torch.optim.SGD(
        p, o.lr, o.momentum, weight_decay=o.weight_decay, nesterov=o.nesterov
    ),
    "adam": lambda p, o: torch.optim.Adam(p, o.lr, o.betas, weight_decay=o.weight_decay),
    "adamw": lambda p, o: torch.optim.AdamW(p, o.lr, o.betas, weight_decay=o.weight_decay),
}
SCHEDULES: dict[str, Callable[[Schedule, int, int], LearningRate]] = {
    "none": Constant,
    "plateau": Plateau,
    "cosine": Cosine,
}

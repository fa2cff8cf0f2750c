"""A training run in parts: options, progress, outcome, and the objects that the loop works with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.distributed import ProcessGroup
from av_tagger.learning.learner import Learner
from av_tagger.learning.recipe import Recipe
from av_tagger.learning.run_folder import RunFolder
from av_tagger.learning.validation import Validation

Watch = Callable[[Mapping[str, Any]], None]  # gets every record of the log as it is written


@dataclass(frozen=True)
class TrainingOptions:
    """How a run computes; what it learns is set by the recipe."""

    device: str = "auto"
    precision: str = "auto"
    workers: int = 0  # processes that prefetch batches
    resume: bool = False
    save_steps: int = 500
    log_steps: int = 10
    tensorboard: bool = False
    initial: Path | None = None  # a run whose weights are the first


@dataclass
class TrainingProgress:
    """How far a run is."""

    step: int = 0
    losses: float = 0.0  # sum over the steps of this epoch
    best: float = -math.inf  # of the metric of the recipe
    best_step: int = 0
    waited: int = 0  # epochs since then
    seconds: float = 0.0
    validation: dict[str, Any] = field(default_factory=dict)  # of the best epoch

    def stops_early(self, patience: int) -> bool:
        return bool(patience) and self.waited >= patience


@dataclass(frozen=True)
class Outcome:
    """The result of a run."""

    run: Path
    best: Path  # the weights
    steps: int
    validation: Validation


@dataclass(frozen=True)
class TrainingRun:
    """Everything that the loop works with."""

    recipe: Recipe
    data: TrainingData
    options: TrainingOptions
    group: ProcessGroup
    folder: RunFolder
    learner: Learner
    record: Watch
    identity: dict[str, str]

    @property
    def epoch_steps(self) -> int:
        return self.recipe.length.steps_per_epoch(len(self.data.training), self.recipe.batch)

    @property
    def steps(self) -> int:
        return self.recipe.length.total_steps(len(self.data.training), self.recipe.batch)


def identity_of(recipe: Recipe, data: TrainingData) -> dict[str, str]:
    """What must not change when a run is resumed."""
    return {"recipe": recipe.fingerprint, **data.identity}

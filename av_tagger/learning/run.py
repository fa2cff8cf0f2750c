"""A run in pieces: its data, how it computes, how far it is, and what it came to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from av_tagger.errors import UsageError
from av_tagger.learning.data.bags import Bags, WaveformBags
from av_tagger.learning.data.balance import missing_classes
from av_tagger.learning.distributed import Precision, ProcessGroup
from av_tagger.learning.learner import Learner
from av_tagger.learning.recipe import Recipe
from av_tagger.learning.runfolder import RunFolder
from av_tagger.learning.validation import Validation

Watch = Callable[[Mapping[str, Any]], None]  # gets every record of the log as it is written


@dataclass(frozen=True)
class Data:
    """What a run learns from and is measured on."""

    training: Bags
    validation: Bags
    background: WaveformBags | None = (
        None  # clips without any of the classes, to be mixed beneath others
    )
    ids: tuple[str, ...] = ()  # of the classes, for the weights' header
    origin: str = ""  # the command, for the card
    notes: tuple[str, ...] = ()  # what else is to be known of these data
    embedder: str = ""  # the ear whose embeddings they are

    def __post_init__(self) -> None:
        if self.training.labels != self.validation.labels:
            raise UsageError(
                "training and validation data have different classes; read both with one class list"
            )
        if len(self.training) == 0:
            raise UsageError(
                "there is nothing to learn from: the training data hold no usable clip"
            )
        if len(self.validation) == 0:
            raise UsageError(
                "there is nothing to validate on: the validation data hold no usable clip"
            )
        if not self.training.targets.max(initial=0) > 0:
            raise UsageError(
                "there is nothing to learn from: no training clip has any of the classes"
            )

    @cached_property
    def unlearnt(self) -> tuple[str, ...]:
        """Classes without a training clip."""
        return missing_classes(self.training.targets, self.training.labels)

    @cached_property
    def unmeasured(self) -> tuple[str, ...]:
        """Classes that are learnt, but have no validation clip to tune a threshold on."""
        missing = missing_classes(self.validation.targets, self.validation.labels)
        return tuple(label for label in missing if label not in self.unlearnt)

    @property
    def warnings(self) -> list[str]:
        texts = [
            f"class {label!r} has no training clip: it cannot be learnt and will not be tagged"
            for label in self.unlearnt
        ]
        texts += [
            f"class {label!r} has no validation clip: its threshold cannot be tuned and stays 0.5"
            for label in self.unmeasured
        ]
        return [*texts, *self.notes]


@dataclass(frozen=True)
class Options:
    """How a run computes; what it learns is the recipe's business."""

    device: str = "auto"
    precision: Precision = "auto"
    workers: int = 0  # processes that make batches ahead of time
    resume: bool = False
    save_steps: int = 500
    log_steps: int = 10
    tensorboard: bool = False


@dataclass
class Progress:
    """How far a run is."""

    step: int = 0
    losses: float = 0.0  # sum over the steps of this epoch
    best: float = -math.inf  # figure of the recipe's metric
    best_step: int = 0
    waited: int = 0  # epochs since then
    seconds: float = 0.0
    validation: dict[str, Any] = field(default_factory=dict)  # the best epoch's figures

    def stops_early(self, patience: int) -> bool:
        return bool(patience) and self.waited >= patience


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    run: Path
    best: Path  # the weights
    steps: int
    validation: Validation


@dataclass(frozen=True)
class TrainingRun:
    """Everything a run works with, so that the loop can be read in one piece."""

    recipe: Recipe
    data: Data
    options: Options
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


def identity_of(recipe: Recipe, data: Data) -> dict[str, str]:
    """What must be the same for a run to be resumed."""
    return {
        "recipe": recipe.fingerprint,
        "training data": data.training.sha256,
        "validation data": data.validation.sha256,
    }

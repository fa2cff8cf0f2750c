"""A recipe: everything that shapes a training run except the data, read from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from av_tagger.audio.settings import check_assumption
from av_tagger.errors import UsageError, did_you_mean
from av_tagger.learning.data.augment import Augment
from av_tagger.learning.data.bags import Kind
from av_tagger.learning.data.balance import Balance
from av_tagger.learning.data.teacher import TeacherChoice
from av_tagger.learning.optimise import Optimiser, Schedule
from av_tagger.learning.validation import METRICS, Tuning
from av_tagger.settings import fingerprint, from_table, parse_toml, read_toml, to_table


@dataclass(frozen=True)
class About:
    """The source of a recipe and the published result."""

    paper: str = ""
    row: str = ""  # table row or system
    published: str = ""  # the result, with metric and data
    classes: int = 17  # for which parameters are counted
    note: str = ""  # what the paper does not say, and what was chosen


@dataclass(frozen=True)
class LossChoice:
    """A loss on bags; if `instance` names one, a loss on instances is added."""

    bag: str = "bce"
    bag_settings: dict[str, Any] = field(default_factory=dict)
    # Weights of the bag loss, from the class counts of the training data:
    class_weights: Literal["none", "inverse-frequency"] = "none"
    instance: str = ""
    instance_settings: dict[str, Any] = field(default_factory=dict)
    instance_weight: float = 1.0


@dataclass(frozen=True)
class Length:
    """Epochs, or iterations where a paper gives those. Validation follows each epoch."""

    epochs: int = 100
    iterations: int = 0  # if set, used instead of `epochs`
    epoch_steps: int = 0  # batches per epoch; 0: once through the data
    patience: int = 0  # early stopping after so many epochs without improvement; 0: never

    def __post_init__(self) -> None:
        if self.epochs < 1 or min(self.iterations, self.epoch_steps, self.patience) < 0:
            raise ValueError(
                "epochs is at least 1; iterations, epoch_steps and patience are not negative"
            )

    def steps_per_epoch(self, bags: int, batch: int) -> int:
        return self.epoch_steps or max(1, round(bags / batch))

    def total_steps(self, bags: int, batch: int) -> int:
        return self.iterations or self.epochs * self.steps_per_epoch(bags, batch)


@dataclass(frozen=True)
class Keep:
    """Which weights are kept, and how thresholds are tuned."""

    metric: str = "micro_f1"  # of the validation data; the epoch with the highest value is kept
    ema: float = 0.0  # decay per step of averaged weights, used in their place; 0: no averaging
    thresholds: Tuning = "two-step"  # AV §3.3, or the exact maximum of micro-F1
    # Iterations whose checkpoints are kept, and whose predictions are averaged at the end (ATT):
    average: tuple[int, ...] = ()
    assumption: str = "pooling"  # of bags at inference: pooling, smi, cmi, tmi:N (FUSE §2)

    def __post_init__(self) -> None:
        check_assumption(self.assumption)
        if self.metric not in METRICS:
            hint = did_you_mean(self.metric, METRICS)
            raise ValueError(f"there is no metric {self.metric!r} to choose weights by; {hint}")


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run."""

    name: str
    about: About = field(default_factory=About)
    data: Kind = "waveform"
    embedder: str = ""  # the ear that computes embeddings, by name or file; auto: the best here
    classes: Literal["", "data"] = ""  # default classes: DCASE 2017, or the labels of the data
    background: int = 0  # made clips with none of the classes, for recipes on embeddings
    architecture: dict[str, Any] = field(default_factory=dict)  # of the ear, without `classes`
    normalise_clips: int = 1000  # training clips for the statistics of the bands; 0: none
    loss: LossChoice = field(default_factory=LossChoice)
    teacher: TeacherChoice = field(default_factory=TeacherChoice)  # distillation
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    batch: int = 95
    balance: Balance = "none"
    crop_seconds: float = 10.0
    augment: Augment = field(default_factory=Augment)
    length: Length = field(default_factory=Length)
    keep: Keep = field(default_factory=Keep)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch < 1 or self.crop_seconds <= 0:
            raise ValueError(
                f"batch and crop_seconds are positive: {self.batch = }, {self.crop_seconds = }"
            )

    @property
    def fingerprint(self) -> str:
        return fingerprint(to_table(self))


def read_recipe(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe by name or TOML file; `overrides` are like `optimiser.lr=0.05`."""
    table, where = _table(str(name))
    for word in overrides:
        _override(table, word)
    return from_table(Recipe, {"name": Path(where).stem, **table}, where)


def all_recipes() -> list[Recipe]:
    """The recipes of the package, by name."""
    return [read_recipe(name) for name in recipe_names()]


def recipe_names() -> tuple[str, ...]:
    return tuple(sorted(_shipped()))


def _table(name: str) -> tuple[dict[str, Any], str]:
    path, shipped = Path(name), _shipped()
    if name in shipped:
        table = tomllib.loads(shipped[name].read_text(encoding="utf-8"))
        return {"name": name, **table}, f"recipe {name}"
    if path.suffix == ".toml":
        return read_toml(path), name
    hint = did_you_mean(name, shipped)
    raise UsageError(f"there is no recipe {name!r}; {hint}; or give a TOML file")


def _shipped() -> dict[str, Traversable]:
    root = files("av_tagger.learning").joinpath("recipes")
    return dict(_toml_below(root, ""))


def _toml_below(folder: Traversable, prefix: str) -> Iterable[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _toml_below(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".toml"):
            yield prefix + entry.name.removesuffix(".toml"), entry


def _override(table: dict[str, Any], word: str) -> None:
    """Set `a.b=value` in nested tables; the value is TOML, or else plain text."""
    key, equals, text = word.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {word!r} is not key=value, such as optimiser.lr=0.05")
    *path, last = key.strip().split(".")
    for step in path:
        below = table.setdefault(step, {})
        if not isinstance(below, dict):
            raise UsageError(f"--set {word!r}: {step!r} is a value, not a table of settings")
        table = below
    table[last] = _value(text.strip())


def _value(text: str) -> Any:
    try:
        return parse_toml(f"value = {text}")["value"]
    except ValueError:
        return text

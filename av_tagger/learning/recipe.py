"""A recipe: everything that shapes a training run except the data, read strictly from a small TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from av_tagger.errors import UsageError, did_you_mean
from av_tagger.learning.data.augment import Augment
from av_tagger.learning.data.bags import Kind
from av_tagger.learning.data.balance import Balance
from av_tagger.learning.optimise import Optimiser, Schedule
from av_tagger.learning.validation import METRICS, Tuning
from av_tagger.settings import fingerprint, from_table, read_toml, to_table


@dataclass(frozen=True)
class About:
    """Where a recipe comes from and what its authors reported."""

    paper: str = ""
    row: str = ""  # of which table or system
    published: str = ""  # the figure, with its unit and data
    classes: int = 17  # for which its parameters are counted
    note: str = ""  # what the paper leaves open, and how it was settled


@dataclass(frozen=True)
class LossChoice:
    """A loss on the bag, and one on its instances added to it where `instance` names one."""

    bag: str = "bce"
    bag_settings: dict[str, Any] = field(default_factory=dict)
    class_weights: Literal["none", "inverse-frequency"] = (
        "none"  # counted on the training data, given to the bag loss as `weights`
    )
    instance: str = ""
    instance_settings: dict[str, Any] = field(default_factory=dict)
    instance_weight: float = 1.0


@dataclass(frozen=True)
class Length:
    """How long: epochs, or iterations where a paper counts those. An epoch ends with a validation."""

    epochs: int = 100
    iterations: int = 0  # when set, it wins over `epochs`
    epoch_steps: int = 0  # batches an epoch; 0: as many as the data fill once
    patience: int = 0  # epochs without a better model until it stops early; 0: never

    def __post_init__(self) -> None:
        if self.epochs < 1 or min(self.iterations, self.epoch_steps, self.patience) < 0:
            raise ValueError(
                "a run has at least one epoch; iterations, epoch_steps and patience are not negative"
            )

    def steps_per_epoch(self, bags: int, batch: int) -> int:
        return self.epoch_steps or max(1, round(bags / batch))

    def total_steps(self, bags: int, batch: int) -> int:
        return self.iterations or self.epochs * self.steps_per_epoch(bags, batch)


@dataclass(frozen=True)
class Keep:
    """Which weights come out of it."""

    metric: str = "micro_f1"  # on the validation data: the epoch where it is highest is kept
    ema: float = 0.0  # decay a step of the averaged weights that are validated and kept; 0: the weights themselves
    thresholds: Tuning = "two-step"  # AV §3.3, or the exact maximum of micro-F1
    average: tuple[
        int, ...
    ] = ()  # iterations whose checkpoints stay, and whose predictions are averaged at the end (ATT)

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(
                f"there is no metric {self.metric!r} to keep a model by; {did_you_mean(self.metric, METRICS)}"
            )


@dataclass(frozen=True)
class Recipe:
    """A training run in words and numbers."""

    name: str
    about: About = field(default_factory=About)
    data: Kind = "waveform"
    embedder: str = (
        ""  # the ear whose embeddings are learnt from, by name or file; auto: the best that is here
    )
    classes: Literal["", "data"] = (
        ""  # when no class list is named: DCASE 2017, or the labels that occur in the data
    )
    architecture: dict[str, Any] = field(
        default_factory=dict
    )  # of the ear, without the number of classes
    normalise_clips: int = (
        1000  # how many training clips the band statistics are taken from; 0: none are
    )
    loss: LossChoice = field(default_factory=LossChoice)
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
                f"a batch holds at least one clip of some length: {self.batch = }, {self.crop_seconds = }"
            )

    @property
    def fingerprint(self) -> str:
        return fingerprint(to_table(self))


def read_recipe(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe of the package by its name, or a TOML file; `overrides` are words like `optimiser.lr=0.05`."""
    table, where = _table(str(name))
    for word in overrides:
        _override(table, word)
    return from_table(Recipe, {"name": Path(where).stem, **table}, where)


def all_recipes() -> list[Recipe]:
    """Every recipe of the package, by name."""
    return [read_recipe(name) for name in recipe_names()]


def recipe_names() -> tuple[str, ...]:
    return tuple(sorted(_shipped()))


def _table(name: str) -> tuple[dict[str, Any], str]:
    path, shipped = Path(name), _shipped()
    if name in shipped:
        return {
            "name": name,
            **tomllib.loads(shipped[name].read_text(encoding="utf-8")),
        }, f"recipe {name}"
    if path.suffix == ".toml":
        return read_toml(path), name
    raise UsageError(
        f"there is no recipe {name!r}; {did_you_mean(name, shipped)} Or name a TOML file."
    )


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
    """`a.b=value` set in nested tables; the value is TOML, or text where it is none."""
    key, equals, text = word.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {word!r} is not of the form key=value, such as optimiser.lr=0.05")
    *path, last = key.strip().split(".")
    for step in path:
        below = table.setdefault(step, {})
        if not isinstance(below, dict):
            raise UsageError(f"--set {word!r}: {step!r} holds a value, not further settings")
        table = below
    table[last] = _value(text.strip())


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text

"""Runs that are repeated: with several seeds, or on the folds of a cross-validation; one table."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from av_tagger.audio.ensemble_file import Ensemble, Member, write_ensemble
from av_tagger.errors import StorageError, UsageError, sentence
from av_tagger.learning.data.bags import Bags, EmbeddingBags, WaveformBags
from av_tagger.learning.data.balance import Indices, generator
from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.recipe import Recipe
from av_tagger.learning.run import Outcome, TrainingOptions, Watch
from av_tagger.learning.train import train

SUMMARY = "summary.json"
METRICS = ("micro_f1", "macro_f1", "map", "mauc", "d_prime", "accuracy")


@dataclass(frozen=True)
class Repeats:
    """How often a recipe is trained: `seeds` times, each on `folds` folds (0: as the data are)."""

    seeds: int = 1
    folds: int = 0

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.folds < 0 or self.folds == 1:
            raise ValueError(
                f"seeds is at least 1, folds is 0 or at least 2: {self.seeds}, {self.folds}"
            )

    @property
    def count(self) -> int:
        return self.seeds * max(1, self.folds)


@dataclass(frozen=True)
class RepeatedRuns:
    """Metrics of all runs: mean and sample standard deviation."""

    recipe: str
    runs: tuple[str, ...]  # folders, relative to that of the summary
    rows: tuple[dict[str, float], ...]
    mean: dict[str, float]
    spread: dict[str, float]


def train_repeatedly(
    recipe: Recipe,
    data: TrainingData,
    folder: Path,
    repeats: Repeats,
    options: TrainingOptions,
    watch: Watch | None = None,
) -> RepeatedRuns:
    """Train every repeat in a folder of its own; write the table, and an ear of all of them."""
    outcomes: dict[str, Outcome] = {}
    for name, one, part in _runs(recipe, data, repeats):
        if watch is not None:
            watch({"kind": "repeat", "name": name, "step": 0, "steps": 0})
        outcomes[name] = train(one, part, folder / name, options, watch)
    cards = {name: _figures(outcome.run) for name, outcome in outcomes.items()}
    summary = summarise(recipe.name, cards)
    if int(os.environ.get("RANK", "0")) == 0:
        _write(folder, summary)
        _write_mean(folder, recipe.name, data, outcomes)
    return summary


def summarise(recipe: str, figures: Mapping[str, Mapping[str, float]]) -> RepeatedRuns:
    """Mean and spread over the runs of every metric that all of them have."""
    rows = tuple({k: v for k, v in row.items() if k in METRICS} for row in figures.values())
    shared = [k for k in METRICS if all(k in row for row in rows)]
    columns = {k: np.array([row[k] for row in rows], np.float64) for k in shared}
    mean = {k: float(column.mean()) for k, column in columns.items()}
    many = len(rows) > 1
    spread = {k: float(column.std(ddof=1)) if many else 0.0 for k, column in columns.items()}
    return RepeatedRuns(recipe, tuple(figures), rows, mean, spread)


def read_summary(folder: Path) -> RepeatedRuns:
    """The summary that `av-tag train --seeds` or `--folds` wrote."""
    try:
        table = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        runs, rows = tuple(table.pop("runs")), tuple(table.pop("rows"))
        return RepeatedRuns(runs=runs, rows=rows, **table)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"holds no summary of repeated runs ({error})"
        raise StorageError(sentence(folder, reason, "give a folder of train --seeds")) from error


def single_runs(folder: Path) -> list[Path]:
    """The folder itself if it is a run, or the runs of `av-tag train --seeds` or `--folds`."""
    if (folder / "card.json").is_file() or not (folder / SUMMARY).is_file():
        return [folder]
    return [folder / name for name in read_summary(folder).runs]


def markdown(summary: RepeatedRuns) -> str:
    """The table: a row per run, then the mean with the spread."""
    names = list(summary.mean)
    lines = [f"# {summary.recipe}", "", "| run | " + " | ".join(names) + " |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for run, row in zip(summary.runs, summary.rows, strict=True):
        lines.append(f"| {run} | " + " | ".join(f"{row[n]:.4f}" for n in names) + " |")
    cells = (f"{summary.mean[n]:.4f} ± {summary.spread[n]:.4f}" for n in names)
    lines.append("| **mean ± standard deviation** | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def fold_data(data: TrainingData, folds: int, seed: int) -> list[TrainingData]:
    """The training data split `folds` times; each part is the validation data once.

    Clips of one file stay together; files are dealt to the folds class by class, rarest first.
    """
    bags = data.training
    assert isinstance(bags, WaveformBags | EmbeddingBags)
    files = np.arange(len(bags)) if bags.files is None else bags.files
    count = len(np.unique(files))
    if folds > count:
        raise UsageError(
            f"--folds {folds}: there are only {count} training files; use at most {count} folds"
        )
    number = _dealt(bags, files, folds, seed)
    parts = []
    for fold in range(folds):
        training = bags.subset(np.flatnonzero(number != fold))
        validation = bags.subset(np.flatnonzero(number == fold))
        parts.append(replace(data, training=training, validation=validation))
    return parts


def _dealt(bags: Bags, files: Indices, folds: int, seed: int) -> Indices:
    """The fold of each bag."""
    present = bags.targets > 0.5
    counts = np.append(present.sum(axis=0), len(bags))
    rarest = np.where(present, counts[:-1], len(bags) + 1).min(axis=1, initial=len(bags) + 1)
    first = np.unique(files, return_index=True)[1]
    order = generator(seed, 31).permutation(len(first))
    order = order[np.argsort(rarest[first[order]], kind="stable")]
    of_file = np.empty(len(first), np.int64)
    of_file[order] = np.arange(len(first)) % folds
    return of_file[np.unique(files, return_inverse=True)[1]]


def _runs(
    recipe: Recipe, data: TrainingData, repeats: Repeats
) -> Iterator[tuple[str, Recipe, TrainingData]]:
    parts = fold_data(data, repeats.folds, recipe.seed) if repeats.folds else [data]
    for seed in range(recipe.seed, recipe.seed + repeats.seeds):
        for fold, part in enumerate(parts):
            names = ([f"seed-{seed}"] if repeats.seeds > 1 else []) + (
                [f"fold-{fold}"] if repeats.folds else []
            )
            yield "/".join(names), replace(recipe, seed=seed), part


def _figures(run: Path) -> dict[str, float]:
    figures: dict[str, float] = json.loads((run / "card.json").read_text("utf-8"))["figures"]
    return figures


def _write(folder: Path, summary: RepeatedRuns) -> None:
    (folder / SUMMARY).write_text(json.dumps(asdict(summary), indent=1) + "\n", encoding="utf-8")
    (folder / "summary.md").write_text(markdown(summary), encoding="utf-8")


def _write_mean(
    folder: Path, name: str, data: TrainingData, outcomes: Mapping[str, Outcome]
) -> None:
    """The folder as an ear: the mean score of all runs, at the mean of their thresholds."""
    members = tuple(Member(str(o.run.relative_to(folder))) for o in outcomes.values())
    rows: Sequence[Any] = [o.validation.thresholds for o in outcomes.values()]
    thresholds = tuple(float(t) for t in np.mean([data.tuned(row) for row in rows], axis=0))
    write_ensemble(folder, Ensemble("mean", members, data.training.labels, thresholds, name))

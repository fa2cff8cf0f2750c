"""av-tag train: a recipe and data in; the best weights, a log and a run card out."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from av_tagger.cli.options import command
from av_tagger.flags import RunFlags, argument, option, required, same

if TYPE_CHECKING:
    from rich.console import Console

    from av_tagger.cli.progress import ProgressBar
    from av_tagger.labels import ClassList
    from av_tagger.learning.data.examples import SkippedEntry
    from av_tagger.learning.data.training import TrainingData
    from av_tagger.learning.run import Outcome

DATA, COMPUTING = "Data", "Computing"
NAMED = 5  # skipped files named on the terminal; the run card names all


@dataclass(frozen=True)
class TrainOptions:
    recipe: str = argument("RECIPE", "A recipe's name (av-tag recipes) or a TOML file.")
    output: Path = required("Folder of the run.", "-o", "--output", metavar="FOLDER")
    data: list[Path] = required(
        "Training clips: a manifest, a DCASE list or a folder with a sub-folder per class;"
        " repeatable.",
        group=DATA,
    )
    valid: list[Path] | None = option(
        None,
        "Validation clips, in the same forms. Default: a part of the training clips.",
        group=DATA,
    )
    hold_out: float = option(0.1, "Share held out for validation without --valid.", group=DATA)
    background: list[Path] | None = option(
        None, "Background clips to mix in. Default: training clips without any class.", group=DATA
    )
    media: Path | None = option(
        None,
        "Folder of the files that tables list. Default: the table's folder.",
        metavar="FOLDER",
        group=DATA,
    )
    classes: str | None = option(
        None,
        "A class list, names, all, or data: the labels that occur.",
        metavar="CLASSES",
        group=DATA,
    )
    store: Path | None = option(
        None, "Folder for decoded sound. Default: the cache.", metavar="FOLDER", group=DATA
    )
    embeddings: Path | None = option(
        None,
        "A file of av-tag embed, for recipes on embeddings. Default: computed now.",
        metavar="FILE",
        group=DATA,
    )
    set: list[str] | None = option(
        None,
        "Change a setting of the recipe: optimiser.lr=0.05; repeatable.",
        metavar="KEY=VALUE",
    )
    resume: bool = option(False, "Continue the run in this folder.")
    device: str = same(RunFlags, "device", group=COMPUTING)
    precision: str = option(
        "auto", "auto, float32, bfloat16 or float16.", metavar="NAME", group=COMPUTING
    )
    workers: int = option(0, "Processes that prefetch batches.", low=0, group=COMPUTING)
    decoders: int = option(
        0, "Processes that decode. Default: one per core.", low=0, group=COMPUTING
    )
    tensorboard: bool = option(False, "Also log to TensorBoard.", group=COMPUTING)


def _train(options: TrainOptions) -> int:
    """Train an ear: av-tag train crnn-av --data train.csv --valid valid.csv -o RUN."""
    from rich.console import Console

    from av_tagger.cli.progress import progress_bar
    from av_tagger.learning.prepare import Sources, read_data, skipped
    from av_tagger.learning.recipe import read_recipe
    from av_tagger.learning.run import TrainingOptions
    from av_tagger.learning.train import train
    from av_tagger.settings import from_table

    console = Console(stderr=True, quiet=int(os.environ.get("RANK", "0")) > 0)
    recipe = read_recipe(options.recipe, options.set or ())
    sources = from_table(Sources, _sources(options), "av-tag train")
    computing = TrainingOptions(
        options.device,
        options.precision,
        options.workers,
        options.resume,
        tensorboard=options.tensorboard,
    )
    with progress_bar("reading", "clips", console=console, quiet=console.quiet) as bar:
        data = read_data(sources, _classes(options, recipe.classes), recipe, bar)
    _print_data(console, data, skipped(data))
    with progress_bar("training", "steps", console=console, quiet=console.quiet) as bar:
        outcome = train(recipe, data, options.output, computing, _watch(console, bar))
    _print_outcome(console, outcome)
    return 0


def _sources(options: TrainOptions) -> dict[str, Any]:
    return {
        "training": options.data,
        "validation": options.valid or (),
        "background": options.background or (),
        "media": options.media,
        "hold_out": options.hold_out,
        "store": options.store,
        "embeddings": options.embeddings,
        "workers": options.decoders or os.cpu_count() or 1,
        "origin": shlex.join(["av-tag", *sys.argv[1:]]),
    }


def _classes(options: TrainOptions, default: str) -> ClassList:
    from av_tagger.labels import choose_classes
    from av_tagger.learning.data.manifests import classes_in

    choice = options.classes or default or None
    return classes_in(options.data) if choice == "data" else choose_classes(choice)


def _watch(console: Console, bar: ProgressBar) -> Callable[[Mapping[str, Any]], None]:
    """Print warnings and epochs, and move the bar."""

    def watch(record: Mapping[str, Any]) -> None:
        if record["kind"] == "warning":
            _warn(console, f"warning: {record['text']}")
            return
        bar(record["step"], record["steps"])
        if record["kind"] == "epoch":
            console.print(_epoch_line(record), highlight=False)

    return watch


def _epoch_line(record: Mapping[str, Any]) -> str:
    losses = f"loss {record['loss']:.4f}  validation {record['valid_loss']:.4f}"
    metrics = f"micro-F1 {record['micro_f1']:.3f}  mAP {record['map']:.3f}"
    return f"epoch {record['epoch']:3d}  {losses}  {metrics}{'  best' if record['best'] else ''}"


def _print_data(console: Console, data: TrainingData, left_out: Sequence[SkippedEntry]) -> None:
    from av_tagger.learning.data.examples import summary

    clips = f"{len(data.training)} training clips, {len(data.validation)} validation clips"
    console.print(f"{clips}, {len(data.training.labels)} classes", highlight=False)
    if left_out:
        _warn(console, summary(left_out))
        for each in left_out[:NAMED]:
            _warn(console, f"  {each.name}: {each.reason}")
        if len(left_out) > NAMED:
            _warn(console, f"  ... and {len(left_out) - NAMED} more, all listed in the run card")


def _print_outcome(console: Console, outcome: Outcome) -> None:
    found = outcome.validation
    metrics = f"micro-F1 {found.micro_f1:.3f}, mAP {found.map:.3f}"
    console.print(
        f"best on the validation data: {metrics} ({outcome.steps} steps)", highlight=False
    )
    files = f"weights: {outcome.best}\ncard:    {outcome.run / 'card.md'}"
    command = f"tag with it: av-tag tag --ear {outcome.run} FILE"
    console.print(f"{files}\n{command}", markup=False, soft_wrap=True)


def _warn(console: Console, text: str) -> None:
    console.print(text, style="yellow", markup=False, soft_wrap=True)


train = command(TrainOptions, _train)

"""av-tag train: a recipe and data in, a run folder with the best weights and a run card out."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from av_tagger.cli.options import command

if TYPE_CHECKING:
    from rich.console import Console

    from av_tagger.labels import ClassList
    from av_tagger.learning.data.manifests import Skipped
    from av_tagger.learning.run import Data, Outcome

DATA, COMPUTING = "What it learns from", "How it computes"
NAMED = 5  # skipped files that are named on the terminal; the run card names them all


@dataclass(frozen=True)
class TrainOptions:
    recipe: Annotated[str, typer.Argument(help="A recipe's name (av-tag recipes) or a TOML file.")]
    output: Annotated[Path, typer.Option("-o", "--output", help="The run's folder.")]
    data: Annotated[
        list[Path],
        typer.Option(
            help="A manifest, a DCASE list or a folder named by class; may be repeated.",
            rich_help_panel=DATA,
        ),
    ]
    valid: Annotated[
        list[Path] | None,
        typer.Option(
            help="The same, to validate on. Default: hold out some.", rich_help_panel=DATA
        ),
    ] = None
    hold_out: Annotated[
        float,
        typer.Option(help="Share to hold out when there is no --valid.", rich_help_panel=DATA),
    ] = 0.1
    background: Annotated[
        list[Path] | None,
        typer.Option(
            help="Clips to mix beneath. Default: those without any class.", rich_help_panel=DATA
        ),
    ] = None
    media: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the files that tables name. Default: beside them.", rich_help_panel=DATA
        ),
    ] = None
    classes: Annotated[
        str | None,
        typer.Option(
            help="A class list, names, all, or data: the labels that occur.", rich_help_panel=DATA
        ),
    ] = None
    store: Annotated[
        Path | None,
        typer.Option(
            help="Folder of decoded sound. Default: the user's cache.", rich_help_panel=DATA
        ),
    ] = None
    embeddings: Annotated[
        Path | None,
        typer.Option(
            help="A file of av-tag embed, for recipes on embeddings. Default: made now.",
            rich_help_panel=DATA,
        ),
    ] = None
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change the recipe, such as optimiser.lr=0.05; may be repeated."
        ),
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in this folder.")] = (
        False
    )
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=COMPUTING)
    ] = "auto"
    precision: Annotated[
        str, typer.Option(help="auto, float32, bfloat16 or float16.", rich_help_panel=COMPUTING)
    ] = "auto"
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that prepare batches.", rich_help_panel=COMPUTING)
    ] = 0
    decoders: Annotated[
        int,
        typer.Option(
            min=0, help="Processes that decode; 0: one a core.", rich_help_panel=COMPUTING
        ),
    ] = 0
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Curves for TensorBoard, too.", rich_help_panel=COMPUTING
        ),
    ] = False


def _train(options: TrainOptions) -> int:
    """Train an ear: av-tag train crnn-av --data train.csv --valid valid.csv -o RUN."""
    from rich.console import Console

    from av_tagger.learning.data.prepare import Sources, assemble, skipped
    from av_tagger.learning.distributed import precision
    from av_tagger.learning.recipe import read_recipe
    from av_tagger.learning.run import Options
    from av_tagger.learning.train import train
    from av_tagger.settings import from_table

    console = Console(stderr=True, quiet=int(os.environ.get("RANK", "0")) > 0)
    recipe = read_recipe(options.recipe, options.set or ())
    sources = from_table(Sources, _sources(options), "av-tag train")
    computing = Options(
        options.device,
        precision(options.precision),
        options.workers,
        options.resume,
        tensorboard=options.tensorboard,
    )
    with _bar(console, "decoding", "clips") as decoded:
        data = assemble(sources, _classes(options, recipe.classes), recipe, decoded)
    _say_what_was_found(console, data, skipped(data))
    with _bar(console, "training", "steps") as stepped:
        outcome = train(
            recipe,
            data,
            options.output,
            computing,
            lambda record: _follow(console, stepped, record),
        )
    _say_what_came_out(console, outcome)
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


def _classes(options: TrainOptions, usual: str) -> ClassList:
    from av_tagger.labels import choose_classes
    from av_tagger.learning.data.manifests import classes_in

    choice = options.classes or usual or None
    return classes_in(options.data) if choice == "data" else choose_classes(choice)


class _bar:  # noqa: N801 - used like a function
    """A progress bar that is called with what is done and what there is in all."""

    def __init__(self, console: Console, name: str, unit: str) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn(name),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task(name, total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)


def _follow(console: Console, bar: _bar, record: Mapping[str, Any]) -> None:
    if record["kind"] == "warning":
        console.print(f"warning: {record['text']}", style="yellow", markup=False, soft_wrap=True)
        return
    bar(record["step"], record["steps"])
    if record["kind"] == "epoch":
        mark = "  best" if record["best"] else ""
        losses = f"loss {record['loss']:.4f}  validation {record['valid_loss']:.4f}"
        figures = f"micro-F1 {record['micro_f1']:.3f}  mAP {record['map']:.3f}"
        console.print(f"epoch {record['epoch']:3d}  {losses}  {figures}{mark}", highlight=False)


def _say_what_was_found(console: Console, data: Data, left_out: Sequence[Skipped]) -> None:
    from av_tagger.learning.data.manifests import summary

    counts = f"{len(data.training)} training clips, {len(data.validation)} validation clips, {len(data.training.labels)} classes"
    console.print(counts, highlight=False)
    if left_out:
        console.print(summary(left_out), style="yellow", markup=False)
        for each in left_out[:NAMED]:
            console.print(
                f"  {each.name}: {each.reason}", style="yellow", markup=False, soft_wrap=True
            )
        if len(left_out) > NAMED:
            console.print(
                f"  ... and {len(left_out) - NAMED} more; the run card names them all",
                style="yellow",
                markup=False,
            )


def _say_what_came_out(console: Console, outcome: Outcome) -> None:
    validation = outcome.validation
    figures = f"micro-F1 {validation.micro_f1:.3f}, mAP {validation.map:.3f}"
    console.print(
        f"best {figures} on the validation data, after {outcome.steps} steps", highlight=False
    )
    files = f"weights: {outcome.best}\ncard:    {outcome.run / 'card.md'}"
    console.print(
        f"{files}\ntag with it: av-tag tag --ear {outcome.run} FILE", markup=False, soft_wrap=True
    )


train = command(TrainOptions, _train)

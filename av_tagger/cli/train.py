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
from av_tagger.cli.styles import STRONG, WARNING
from av_tagger.flags import RunFlags, argument, option, required, same

if TYPE_CHECKING:
    from av_tagger.cli.console import Console
    from av_tagger.cli.progress import ProgressBar
    from av_tagger.labels import ClassList
    from av_tagger.learning.data.examples import SkippedEntry
    from av_tagger.learning.data.training import TrainingData
    from av_tagger.learning.repeats import RepeatedRuns
    from av_tagger.learning.run import Outcome

DATA, COMPUTING = "Data", "Computing"
FEW = 10  # validation clips of a class
NAMED = 5  # skipped files named on the terminal; the run card names all


@dataclass(frozen=True)
class TrainOptions:
    recipe: str = argument("RECIPE", "A recipe's name (av-tag recipes) or a TOML file.")
    output: Path = required("Folder of the run.", "-o", "--output", metavar="FOLDER")
    data: list[Path] = required(
        "Training clips: a manifest, a DCASE list, a folder with a sub-folder per class, or"
        " corrected labels of Audacity, Label Studio, ELAN or CSV; repeatable.",
        group=DATA,
    )
    valid: list[Path] | None = option(
        None,
        "Validation clips, in the same forms. Default: a part of the training clips.",
        group=DATA,
    )
    hold_out: float = option(
        0.1,
        "Held out for validation without --valid: a share of all clips, or (1 and more) a number"
        " of clips per class.",
        group=DATA,
    )
    folds: int = option(
        0, "Cross-validation with N folds of the training clips.", low=0, group=DATA
    )
    background: list[Path] | None = option(
        None,
        "Folder of sounds with none of the classes: learnt as such by own-classes, mixed in by"
        " others; repeatable.",
        metavar="FOLDER",
        group=DATA,
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
    seeds: int = option(1, "Train N times, each with another seed.", low=1)
    init: Path | None = option(
        None,
        "Start from the weights of this run; from a run on embeddings with their network.",
        metavar="RUN",
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
    _check(options)
    from av_tagger.cli.console import Console
    from av_tagger.cli.progress import progress_bar
    from av_tagger.learning.prepare import Sources, read_data, skipped
    from av_tagger.learning.recipe import read_recipe
    from av_tagger.learning.repeats import Repeats, train_repeatedly
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
        initial=options.init,
    )
    repeats = from_table(Repeats, {"seeds": options.seeds, "folds": options.folds}, "av-tag train")
    with progress_bar("reading", "clips", console=console, quiet=console.quiet) as bar:
        data = read_data(sources, _classes(options, recipe.classes), recipe, bar)
    _print_data(console, data, skipped(data))
    with progress_bar("training", "steps", console=console, quiet=console.quiet) as bar:
        watch = _watch(console, bar)
        if repeats.count > 1:
            summary = train_repeatedly(recipe, data, options.output, repeats, computing, watch)
            _print_summary(console, options.output, summary)
            return 0
        outcome = train(recipe, data, options.output, computing, watch)
    _print_outcome(console, outcome, held_out(data))
    return 0


def _check(options: TrainOptions) -> None:
    """Refuse what cannot work before torch is imported."""
    from av_tagger.errors import UsageError
    from av_tagger.learning.data.manifests import refuse_missing

    if options.folds and options.valid:
        raise UsageError("--folds makes its own validation sets; leave out --valid")
    for source in (*options.data, *(options.valid or ())):
        refuse_missing(source)


def _sources(options: TrainOptions) -> dict[str, Any]:
    return {
        "training": options.data,
        "validation": options.data if options.folds else options.valid or (),
        "cross_validation": bool(options.folds),
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
            console.say(f"warning: {record['text']}", WARNING)
            return
        if record["kind"] == "repeat":
            console.say(record["name"], STRONG)
            return
        bar(record["step"], record["steps"])
        if record["kind"] == "epoch":
            console.say(_epoch_line(record))

    return watch


def _epoch_line(record: Mapping[str, Any]) -> str:
    losses = f"loss {record['loss']:.4f}  validation {record['valid_loss']:.4f}"
    metrics = f"micro-F1 {record['micro_f1']:.3f}  mAP {record['map']:.3f}"
    return f"epoch {record['epoch']:3d}  {losses}  {metrics}{'  best' if record['best'] else ''}"


def _print_data(console: Console, data: TrainingData, left_out: Sequence[SkippedEntry]) -> None:
    from av_tagger.learning.data.examples import summary

    clips = f"{len(data.training)} training clips, {len(data.validation)} validation clips"
    console.say(f"{clips}, {len(data.training.labels)} classes")
    if left_out:
        console.say(summary(left_out), WARNING)
        for each in left_out[:NAMED]:
            console.say(f"  {each.name}: {each.reason}", WARNING)
        if len(left_out) > NAMED:
            more = f"  ... and {len(left_out) - NAMED} more, all listed in the run card"
            console.say(more, WARNING)


def held_out(data: TrainingData) -> str:
    """How many clips the figures rest on, with a warning where they are few."""
    present = data.validation.targets > 0.5
    counts = sorted(n for n in present.sum(axis=0).tolist() if n)
    each = "" if not counts else f"{counts[0]} to {counts[-1]} per class, "
    few = "; few clips: take the figures as a hint" if not counts or counts[0] < FEW else ""
    return f"on {len(present)} clips ({each}{int((~present.any(axis=1)).sum())} of none){few}"


def _print_outcome(console: Console, outcome: Outcome, clips: str) -> None:
    found = outcome.validation
    metrics = f"micro-F1 {found.micro_f1:.3f}, mAP {found.map:.3f}"
    console.say(f"best on the validation data: {metrics} {clips}; {outcome.steps} steps")
    console.say(f"weights: {outcome.best}")
    console.say(f"card:    {outcome.run / 'card.md'}")
    console.say(_tagging(outcome.run))


def _print_summary(console: Console, folder: Path, summary: RepeatedRuns) -> None:
    for name, mean in summary.mean.items():
        console.say(f"{name} {mean:.4f} ± {summary.spread[name]:.4f}")
    console.say(f"table:   {folder / 'summary.md'} ({len(summary.runs)} runs)")
    console.say(_tagging(folder))


def _tagging(run: Path) -> str:
    """How to tag with a run, or why that is not possible."""
    from av_tagger.audio.ears import resolve
    from av_tagger.errors import AvTaggerError

    try:
        source = resolve(run)
    except AvTaggerError as error:
        return f"it cannot tag yet: {error}"
    missing = [p.file.entry for p in source.all_parts if p.file.path is None]
    note = f"  (downloads {', '.join(missing)})" if missing else ""
    return f"tag with it: av-tag tag --ear {shlex.quote(str(run))} FILE{note}"


train = command(TrainOptions, _train)

"""av-tag analyse: what a run has learnt and how, as a table, figures and, with its data, pictures of its instances."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from av_tagger.cli.options import command

if TYPE_CHECKING:
    from rich.console import Console

    from av_tagger.labels import ClassList
    from av_tagger.learning.analysis.analyse import Analysis, Instances
    from av_tagger.learning.data.bags import Bags


@dataclass(frozen=True)
class AnalyseOptions:
    run: Annotated[Path, typer.Argument(help="A run's folder, made by av-tag train.")]
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the figures.")]
    data: Annotated[
        Path | None,
        typer.Option(
            help="Clips to look into: a table, a folder or features, as for av-tag train."
        ),
    ] = None
    media: Annotated[
        Path | None,
        typer.Option(help="Folder of the files that a table names. Default: beside it."),
    ] = None
    store: Annotated[
        Path | None, typer.Option(help="Folder of decoded sound. Default: the user's cache.")
    ] = None
    clips: Annotated[int, typer.Option(min=1, help="Look into so many clips at most.")] = 200
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            "--with",
            help="Another run on the same validation clips: compared, and they vote; may be repeated.",
        ),
    ] = None
    quality: Annotated[
        Path | None, typer.Option(help="Label quality of classes: a CSV of label, quality.")
    ] = None
    json: Annotated[
        bool, typer.Option("--json", help="Figures as JSON on stdout, nothing else there.")
    ] = False


def _analyse(options: AnalyseOptions) -> None:
    """Look into a trained run: av-tag analyse RUN -o FOLDER [--data valid.csv]."""
    from rich.console import Console

    from av_tagger.learning.analysis.analyse import analyse as look
    from av_tagger.learning.analysis.analyse import hear_instances

    console = Console(stderr=options.json)
    analysis = look(options.run, options.quality)
    figures = _figures(analysis)
    written = _draw(options, analysis)
    if options.beside:
        figures["vote"] = _vote(options)
    if options.data:
        runs = (options.run, *(options.beside or ()))
        instances = {
            run.name: hear_instances(run, _bags(options, run)[0], options.clips) for run in runs
        }
        written += _draw_instances(options.output, analysis.labels, instances)
        figures["instances"] = {
            name: {"found": i.found(), **i.accuracy()} for name, i in instances.items()
        }
        devices = _devices(options, instances[options.run.name])
        figures |= {"devices": devices} if devices else {}
    _say(options, console, analysis, figures)
    console.print(
        f"written: {', '.join(path.name for path in written)} in {options.output}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _figures(analysis: Analysis) -> dict[str, Any]:
    from dataclasses import asdict

    correlations = {"training clips": analysis.by_count, "label quality": analysis.by_quality}
    return {
        "name": analysis.name,
        "map": analysis.mean("ap"),
        "mauc": analysis.mean("auc"),
        "d_prime": analysis.d_prime,
        "correlations": {name: asdict(c) for name, c in correlations.items() if c},
        "classes": [asdict(c) for c in analysis.classes],
    }


def _draw(options: AnalyseOptions, analysis: Analysis) -> list[Path]:
    from av_tagger.learning.analysis.figures import precision_beside_counts
    from av_tagger.reports.plots import confusion, save

    options.output.mkdir(parents=True, exist_ok=True)
    figures = {"average-precision.png": precision_beside_counts(analysis)}
    if len(analysis.labels) <= 60:
        figures["confusion.png"] = confusion(analysis.confusion, analysis.labels)
    for name, figure in figures.items():
        save(figure, options.output / name)
    return [options.output / name for name in figures]


def _draw_instances(
    folder: Path, labels: tuple[str, ...], instances: dict[str, Instances]
) -> list[Path]:
    from av_tagger.learning.analysis.figures import confidences, masked_spectrograms, neighbours
    from av_tagger.reports.plots import save

    first = next(iter(instances.values()))
    figures = {
        "confidences.png": confidences(instances),
        "masked-spectrograms.png": masked_spectrograms(first, labels),
        "neighbours.png": neighbours(first, labels),
    }
    for name, figure in figures.items():
        save(figure, folder / name)
    return [folder / name for name in figures]


def _vote(options: AnalyseOptions) -> dict[str, Any]:
    from av_tagger.learning.analysis.ensemble import read_opinion, vote

    opinions = [read_opinion(run) for run in (options.run, *(options.beside or ()))]
    _, validation = vote(opinions)
    single = {opinion.run.name: opinion.figure for opinion in opinions}
    return {
        "micro_f1": validation.micro_f1,
        "map": validation.map,
        "accuracy": validation.accuracy,
        "alone": single,
    }


def _bags(options: AnalyseOptions, run: Path) -> tuple[Bags, ClassList]:
    from av_tagger.labels import ClassList, SoundClass
    from av_tagger.learning.analysis.analyse import read_card
    from av_tagger.learning.data.prepare import Sources, assemble
    from av_tagger.learning.recipe import Recipe
    from av_tagger.settings import from_table

    assert options.data is not None
    card = read_card(run)
    recipe = from_table(Recipe, card["recipe"], f"{run / 'card.json'}: recipe")
    classes = ClassList(tuple(SoundClass(c["label"]) for c in card["classes"]))
    sources = Sources((options.data,), (options.data,), media=options.media, store=options.store)
    return assemble(sources, classes, recipe).validation, classes


def _devices(options: AnalyseOptions, instances: Instances) -> dict[str, Any]:
    """Accuracy by recording device, where the data are scenes that name it."""
    import numpy as np

    from av_tagger.learning.data.bags import WaveformBags
    from av_tagger.learning.data.manifests import read_examples
    from av_tagger.learning.data.scenes import by_device, device_of, is_meta

    assert options.data is not None
    bags, classes = _bags(options, options.run)
    if not is_meta(options.data) or not isinstance(bags, WaveformBags):
        return {}
    examples = read_examples(options.data, classes, options.media).examples
    devices = [device_of(examples[clip].clip.name) for clip in bags.clips[: len(instances.targets)]]
    scores = np.stack([p.max(axis=0) for p in instances.probabilities])
    return {
        name: {"accuracy": a.share, "clips": a.clips}
        for name, a in by_device(scores, instances.targets, devices).items()
    }


def _say(
    options: AnalyseOptions, console: Console, analysis: Analysis, figures: dict[str, Any]
) -> None:
    import json
    import math
    import sys

    if options.json:
        plain = json.loads(json.dumps(figures), parse_constant=lambda _: None)  # JSON knows no NaN
        sys.stdout.write(json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n")
        return
    shown = {"mAP": figures["map"], "mAUC": figures["mauc"], "d'": figures["d_prime"]}
    line = ", ".join(
        f"{name} {value:.3f}" for name, value in shown.items() if not math.isnan(value)
    )
    console.print(f"{analysis.name}: {line}", highlight=False, markup=False)
    for name, c in figures["correlations"].items():
        console.print(
            f"AP and {name}: PCC {c['r']:.3f}, p = {c['p']:.2g}, {c['classes']} classes",
            highlight=False,
        )
    for name, found in figures.get("instances", {}).items():
        accuracies = ", ".join(
            f"{assumption.upper()} {100 * found[assumption]:.1f}"
            for assumption in ("smi", "cmi", "tmi")
        )
        line = f"{name}: {100 * found['found']:.1f} % of the instances positive; likeliest class right: {accuracies} %"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for device, found in figures.get("devices", {}).items():
        console.print(
            f"device {device}: {100 * found['accuracy']:.1f} % of {found['clips']} clips",
            highlight=False,
        )
    if "vote" in figures:
        console.print(
            f"weighted vote: micro-F1 {figures['vote']['micro_f1']:.3f}; alone: {figures['vote']['alone']}",
            highlight=False,
        )


analyse = command(AnalyseOptions, _analyse)

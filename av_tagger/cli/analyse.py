"""av-tag analyse: metrics per class and figures of a run; with its data also of its instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from av_tagger.cli.options import command
from av_tagger.flags import argument, option, required

if TYPE_CHECKING:
    from av_tagger.cli.console import Console
    from av_tagger.labels import ClassList
    from av_tagger.learning.analysis.by_class import Analysis
    from av_tagger.learning.analysis.instances import Instances
    from av_tagger.learning.data.bags import Bags


@dataclass(frozen=True)
class AnalyseOptions:
    runs: list[Path] = argument(
        "RUN...", "Runs of av-tag train, or folders of train --seeds; the first is described."
    )
    output: Path = required("Folder for the figures.", "-o", "--output", metavar="FOLDER")
    data: Path | None = option(
        None, "Clips whose instances are analysed, in the forms of av-tag train."
    )
    media: Path | None = option(
        None, "Folder of the files that a table lists. Default: its own folder.", metavar="FOLDER"
    )
    store: Path | None = option(
        None, "Folder for decoded sound. Default: the cache.", metavar="FOLDER"
    )
    clips: int = option(0, "At most N clips of --data. Default: all.", low=0)
    assumption: str = option(
        "", "MIL assumption of the device table: pooling, smi, cmi or tmi:N. Default: the run's."
    )
    quality: Path | None = option(
        None, "Label quality per class: a CSV of label, quality.", metavar="FILE.csv"
    )
    json: bool = option(False, "Print JSON on stdout, and nothing else there.")
    beside: list[Path] | None = option(
        None, "Old form of a further RUN; repeatable.", "--with", metavar="RUN"
    )


def _analyse(options: AnalyseOptions) -> None:
    """Analyse runs: av-tag analyse RUN [RUN ...] -o FOLDER [--data valid.csv]."""
    from av_tagger.cli.console import Console
    from av_tagger.learning.analysis import by_class
    from av_tagger.learning.analysis.instances import hear_instances
    from av_tagger.learning.repeats import single_runs

    console = Console(stderr=options.json)
    groups = _named(_runs(options), single_runs)
    first = next(iter(groups.values()))[0]
    analysis = by_class.analyse(first, options.quality)
    figures = _figures(analysis)
    written = _draw(options, analysis)
    if sum(map(len, groups.values())) > 1:
        written += _compare(options, groups, figures)
    if options.data:
        instances = {
            name: hear_instances(runs[0], _bags(options, options.data, runs[0])[0], options.clips)
            for name, runs in groups.items()
        }
        written += _draw_instances(options.output, analysis.labels, instances)
        figures["instances"] = {
            name: {"found": i.found(), **i.accuracy(), "tmi_auc": i.roc().area}
            for name, i in instances.items()
        }
        devices = _devices(options, first, next(iter(instances.values())))
        figures |= {"devices": devices} if devices else {}
    _print(options, console, analysis, figures)
    console.say(f"written: {', '.join(path.name for path in written)} in {options.output}")


def _runs(options: AnalyseOptions) -> list[Path]:
    """All runs, in both forms."""
    from av_tagger.cli.console import stderr_console

    if options.beside:
        notice = "--with is the old form: name all runs as arguments, av-tag analyse RUN RUN"
        stderr_console().say(notice)
    return [*options.runs, *(options.beside or ())]


def _named(
    folders: Sequence[Path], single_runs: Callable[[Path], list[Path]]
) -> dict[str, list[Path]]:
    """The runs of each folder by its name, or by its path where names are not unique."""
    unique = len({folder.name for folder in folders}) == len(folders)
    return {f.name if unique else str(f): single_runs(f) for f in folders}


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
    from av_tagger.learning.analysis.figures import (
        confidences,
        detection_curves,
        masked_spectrograms,
        neighbours,
    )
    from av_tagger.reports.plots import save

    first = next(iter(instances.values()))
    figures = {
        "confidences.png": confidences(instances),
        "masked-spectrograms.png": masked_spectrograms(first, labels),
        "neighbours.png": neighbours(first, labels),
        "tmi-roc.png": detection_curves({name: i.roc() for name, i in instances.items()}),
    }
    for name, figure in figures.items():
        save(figure, folder / name)
    return [folder / name for name in figures]


def _compare(
    options: AnalyseOptions, groups: dict[str, list[Path]], figures: dict[str, Any]
) -> list[Path]:
    """AP per class of all runs on one plot, the mean and spread of each, and their vote."""
    from av_tagger.errors import UsageError
    from av_tagger.learning.analysis import by_class
    from av_tagger.learning.analysis.ensemble import read_scores, vote
    from av_tagger.learning.analysis.figures import classes_of_runs
    from av_tagger.learning.repeats import summarise
    from av_tagger.reports.plots import save

    named = {name: [by_class.analyse(run) for run in runs] for name, runs in groups.items()}
    if len({a.labels for analyses in named.values() for a in analyses}) > 1:
        raise UsageError("the runs know different classes; compare runs on one class list")
    save(classes_of_runs(named), options.output / "classes.png")
    figures["runs"] = {}
    for name, analyses in named.items():
        rows = {
            str(i): {"map": a.mean("ap"), "mauc": a.mean("auc")} for i, a in enumerate(analyses)
        }
        found = summarise(name, rows)
        figures["runs"][name] = {"runs": len(rows), "mean": found.mean, "spread": found.spread}
    if len(groups) > 1 and all(len(runs) == 1 for runs in groups.values()):
        scores = [read_scores(runs[0]) for runs in groups.values()]
        _, validation = vote(scores)
        figures["vote"] = {
            "micro_f1": validation.micro_f1,
            "map": validation.map,
            "accuracy": validation.accuracy,
            "alone": {n: r.metric for n, r in zip(groups, scores, strict=True)},
        }
    return [options.output / "classes.png"]


def _bags(options: AnalyseOptions, data: Path, run: Path) -> tuple[Bags, ClassList]:
    from dataclasses import replace

    from av_tagger.labels import ClassList, SoundClass
    from av_tagger.learning.analysis.by_class import read_card
    from av_tagger.learning.data.teacher import TeacherChoice
    from av_tagger.learning.prepare import Sources, read_data
    from av_tagger.learning.recipe import Recipe
    from av_tagger.settings import from_table

    card = read_card(run)
    recipe = from_table(Recipe, card["recipe"], f"{run / 'card.json'}: recipe")
    recipe = replace(recipe, teacher=TeacherChoice())  # only training needs its scores
    classes = ClassList(tuple(SoundClass(c["label"]) for c in card["classes"]))
    sources = Sources((data,), (data,), media=options.media, store=options.store)
    return read_data(sources, classes, recipe).validation, classes


def _devices(options: AnalyseOptions, run: Path, instances: Instances) -> dict[str, Any]:
    """Accuracy by recording device, for acoustic scenes whose file names give it."""
    data = options.data
    from av_tagger.learning.analysis.by_class import read_card
    from av_tagger.learning.data.bags import WaveformBags
    from av_tagger.learning.data.manifests import read_examples
    from av_tagger.learning.data.scenes import by_device, device_of, is_meta

    if data is None or not is_meta(data):
        return {}
    bags, classes = _bags(options, data, run)
    assumption = options.assumption or read_card(run)["recipe"]["keep"]["assumption"]
    if not isinstance(bags, WaveformBags):
        return {}
    examples = read_examples(data, classes, options.media).examples
    devices = [device_of(examples[clip].clip.name) for clip in bags.clips[: len(instances.targets)]]
    scores = instances.assumed(assumption)
    return {
        name: {"accuracy": a.share, "clips": a.clips}
        for name, a in by_device(scores, instances.targets, devices).items()
    }


def _print(
    options: AnalyseOptions, console: Console, analysis: Analysis, figures: dict[str, Any]
) -> None:
    import json
    import sys

    if options.json:
        plain = json.loads(json.dumps(figures), parse_constant=lambda _: None)  # JSON has no NaN
        sys.stdout.write(json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n")
        return
    for line in _lines(analysis, figures):
        console.say(line)


def _lines(analysis: Analysis, figures: dict[str, Any]) -> Iterator[str]:
    import math

    named = {"mAP": figures["map"], "mAUC": figures["mauc"], "d'": figures["d_prime"]}
    shown = ", ".join(f"{name} {v:.3f}" for name, v in named.items() if not math.isnan(v))
    yield f"{analysis.name}: {shown}"
    for name, c in figures["correlations"].items():
        yield f"AP and {name}: PCC {c['r']:.3f}, p = {c['p']:.2g}, {c['classes']} classes"
    for name, found in figures.get("runs", {}).items():
        mean, spread = found["mean"], found["spread"]
        cells = ", ".join(f"{key} {mean[key]:.4f} ± {spread[key]:.4f}" for key in mean)
        yield f"{name}: {cells} ({found['runs']} run{'s' if found['runs'] > 1 else ''})"
    for name, found in figures.get("instances", {}).items():
        kinds = ("smi", "cmi")
        accuracies = ", ".join(f"{kind.upper()} {100 * found[kind]:.1f}" for kind in kinds)
        positive = f"{100 * found['found']:.1f} % of the instances positive"
        area = f"TMI: AUC {found['tmi_auc']:.3f}"
        yield f"{name}: {positive}; highest score right: {accuracies} %; {area}"
    for device, found in figures.get("devices", {}).items():
        yield f"device {device}: {100 * found['accuracy']:.1f} % of {found['clips']} clips"
    if "vote" in figures:
        vote = figures["vote"]
        yield f"weighted vote: micro-F1 {vote['micro_f1']:.3f}; single runs: {vote['alone']}"


analyse = command(AnalyseOptions, _analyse)

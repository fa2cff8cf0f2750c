"""av-tag tune: from labelled results to a fusion file, with honest figures."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from av_tagger.cli.options import command

if TYPE_CHECKING:
    from rich.console import Console

    from av_tagger.evaluation.tuning import Tuning


@dataclass(frozen=True)
class TuneOptions:
    results: Annotated[
        Path, typer.Argument(help="A run's folder, or the JSON lines of `av-tag --json`.")
    ]
    truth: Annotated[
        Path, typer.Option("--truth", help="Ground truth: tab-separated `file, start, end, label`.")
    ]
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The fusion file to write (.json or .toml).")
    ] = Path("fusion.json")
    method: Annotated[
        str, typer.Option(help="logit, joint, paper-rule, stacked, even, max, ear or eye.")
    ] = "logit"
    point: Annotated[
        str, typer.Option(help="Operating point: precision (F0.5), f1 or recall (F2).")
    ] = "f1"
    folds: Annotated[int, typer.Option(min=2, help="Folds of the cross-validation.")] = 5
    few: Annotated[
        int, typer.Option(min=0, help="Classes with fewer positives are drawn towards neutral.")
    ] = 10
    seed: Annotated[int, typer.Option(help="Of folds and random order.")] = 0
    compare: Annotated[bool, typer.Option("--compare", help="Also measure every other method.")] = (
        False
    )
    classes: Annotated[
        str | None,
        typer.Option(help="A file with one class a line; the 17 of DCASE 2017 by default."),
    ] = None
    json: Annotated[
        bool, typer.Option("--json", help="Figures as JSON on stdout, nothing else there.")
    ] = False


def _tune(options: TuneOptions) -> None:
    """Fit weights and thresholds of every class to results whose truth is known."""
    from av_tagger.evaluation.report import plain
    from av_tagger.evaluation.tuning import tune as fit
    from av_tagger.fusion import write_fusion
    from av_tagger.fusion.fit import FitSettings
    from av_tagger.labels import dcase2017, read_classes

    classes = read_classes(Path(options.classes)) if options.classes else dcase2017()
    settings = FitSettings(options.method, options.point, options.few, seed=options.seed)
    tuning = fit(
        options.results,
        options.truth,
        classes,
        settings,
        folds=options.folds,
        compare=options.compare,
    )
    write_fusion(tuning.fusion, options.output)
    if options.json:
        sys.stdout.write(
            json.dumps(plain(tuning.as_json()), ensure_ascii=False, allow_nan=False) + "\n"
        )
    else:
        from rich.console import Console

        _show(tuning, options.output, Console())


def _show(tuning: Tuning, output: Path, console: Console) -> None:
    from rich.table import Table

    table = Table(title=f"Fusion by {tuning.settings.method}, point {tuning.settings.point}")
    table.add_column("class")
    for heading in (
        "ear's weight",
        "threshold",
        "ear alone",
        "eye alone",
        "F1 heard",
        "F1 seen",
        "F1 fused",
        "clips",
    ):
        table.add_column(heading, justify="right")
    for row in tuning.rows():
        numbers = [
            row["both"],
            row["ear"],
            row["eye"],
            row["f1_heard"],
            row["f1_seen"],
            row["f1_fused"],
        ]
        weight = "" if row["weight"] is None else f"{row['weight']:.2f}"
        table.add_row(row["label"], weight, *(f"{n:.3f}" for n in numbers), str(row["positives"]))
    console.print(table)
    _show_points(tuning, console)
    _show_words(tuning, output, console)


def _show_points(tuning: Tuning, console: Console) -> None:
    from rich.table import Table

    table = Table(title=f"On held-out clips, {tuning.honest.folds} folds")
    table.add_column("")
    for heading in ("precision", "recall", "F1"):
        table.add_column(heading, justify="right")
    named = {
        "heard alone": tuning.honest.heard,
        "seen alone": tuning.honest.seen,
        "fused": tuning.honest.fused,
    }
    named |= {f"fused, point {name}": counts for name, counts in tuning.points.items()}
    named |= {
        f"fused, method {name}": counts
        for name, counts in tuning.methods.items()
        if len(tuning.methods) > 1
    }
    for name, counts in named.items():
        table.add_row(
            name, *(f"{100 * value:.1f}" for value in (counts.precision, counts.recall, counts.f1))
        )
    console.print(table)


def _show_words(tuning: Tuning, output: Path, console: Console) -> None:
    trusted = ", ".join(tuning.trusts_eye) or "none"
    console.print(f"The eye beats the ear on: {trusted}", highlight=False)
    inside = f"{100 * tuning.inside.f1:.1f}"
    console.print(
        f"F1 on the clips that were fitted: {inside} (flattering; believe the held-out figure)",
        highlight=False,
    )
    if tuning.unanswered:
        console.print(
            f"{tuning.unanswered} clips of the truth have no scores and took no part",
            highlight=False,
        )
    console.print(f"written: {output}", highlight=False, markup=False)


tune = command(TuneOptions, _tune)

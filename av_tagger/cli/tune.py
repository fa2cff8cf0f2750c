"""av-tag tune: fits a fusion file to labelled results."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.cli.options import command
from av_tagger.errors import UsageError
from av_tagger.flags import RunFlags, argument, option, same

if TYPE_CHECKING:
    from rich.console import Console

    from av_tagger.evaluation.tuning import Tuning


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    results: Path = argument("RESULTS", "JSON lines from av-tag --json, or a run's folder.")
    truth: Path | None = option(
        None, "Ground truth: tab-separated columns file, start, end, label.", metavar="TABLE"
    )
    alarms: float | None = option(
        None,
        "RESULTS is a journal of av-tag listen: choose thresholds with at most N alarms per hour"
        " and class, for av-tag listen --alarms.",
        metavar="N",
    )
    output: Path = option(
        Path("fusion.json"), "The fusion file, .json or .toml.", "-o", "--output", metavar="FILE"
    )
    method: str = option(
        "logit", "logit, joint, paper-rule, stacked, even, max, ear or eye.", metavar="NAME"
    )
    point: str = option(
        "f1", "What thresholds maximise: precision (F0.5), f1 or recall (F2).", metavar="NAME"
    )
    folds: int = option(5, "Folds of the cross-validation.", low=2)
    few: int = option(
        10, "Classes with fewer positives are shrunk towards the default weight.", low=0
    )
    seed: int = option(0, "Seed of the folds and of random choices.")
    compare: bool = option(False, "Also cross-validate every other method.")
    classes: str | None = same(RunFlags, "classes", group=None)
    json: bool = option(False, "Print figures as JSON on stdout, and nothing else there.")


def _tune(options: TuneOptions) -> None:
    """Fit fusion weights and thresholds per class to results with known labels."""
    if options.alarms is not None:
        _tune_alarms(options, options.alarms)
        return
    if options.truth is None:
        raise UsageError("tune needs ground truth (--truth TABLE), or --alarms N for a journal")
    from av_tagger.evaluation.report import without_nan
    from av_tagger.evaluation.tuning import tune as fit
    from av_tagger.fusion import write_fusion
    from av_tagger.fusion.fit import FitSettings
    from av_tagger.labels import choose_classes

    tuning = fit(
        options.results,
        options.truth,
        choose_classes(options.classes),
        FitSettings(options.method, options.point, options.few, seed=options.seed),
        folds=options.folds,
        compare=options.compare,
    )
    write_fusion(tuning.fusion, options.output)
    if options.json:
        figures = without_nan(tuning.as_json())
        sys.stdout.write(json.dumps(figures, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        from rich.console import Console

        _show(tuning, options.output, Console())


def _tune_alarms(options: TuneOptions, per_hour: float) -> None:
    """Thresholds from a recorded day, as rules for `av-tag listen`."""
    from av_tagger.live.choose import as_rules, tune_alarms

    tuning = tune_alarms(options.results, per_hour)
    same_name = options.output == Path("fusion.json")
    output = Path("alarms.toml") if same_name else options.output
    output.write_text(as_rules(tuning), encoding="utf-8")
    for c in tuning.choices:
        limit = "no threshold" if c.threshold is None else f"threshold {c.threshold:.4f}"
        print(f"{c.label:<40.40} {c.kept:5d} of {c.events:5d} events, {limit}")
    print(f"wrote {output}, from {tuning.hours:.2f} h of recording")


def _show(tuning: Tuning, output: Path, console: Console) -> None:
    _show_classes(tuning, console)
    _show_held_out(tuning, console)
    _show_summary(tuning, output, console)


def _show_classes(tuning: Tuning, console: Console) -> None:
    """One row per class; a threshold for clips with both branches, and for clips with one."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    weighted = any(weight is not None for weight in tuning.weights)
    title = f"Fusion: method {tuning.settings.method}, point {tuning.settings.point}"
    table = Table(title=title, box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("class", overflow="fold")
    thresholds = ("both", "ear", "eye")
    for head in (
        *(("weight",) if weighted else ()),
        *thresholds,
        "heard",
        "seen",
        "fused",
        "clips",
    ):
        table.add_column(head, justify="right")
    for row in tuning.rows():
        weight = (_number(row["weight"]),) if weighted else ()
        marks = (_threshold(row[key]) for key in ("both", "ear", "eye"))
        scores = (f"{row[key]:.2f}" for key in ("f1_heard", "f1_seen", "f1_fused"))
        table.add_row(row["label"], *weight, *marks, *scores, str(row["positives"]))
    console.print(table)
    legend = ["both, ear, eye: thresholds for clips with both branches, or with one"]
    legend = ["weight: of the ear", *legend] if weighted else legend
    for line in (*legend, "heard, seen, fused: F1 on held-out clips"):
        console.print(line, style="dim")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _threshold(value: float) -> str:
    """A threshold above 1 is never reached."""
    return "never" if value > 1 else f"{value:.2f}"


def _show_held_out(tuning: Tuning, console: Console) -> None:
    from rich.table import Table

    table = Table(title=f"On held-out clips, {tuning.held_out.folds} folds")
    table.add_column("")
    for head in ("precision", "recall", "F1"):
        table.add_column(head, justify="right")
    scored = {"ear only": tuning.held_out.heard, "eye only": tuning.held_out.seen}
    scored |= {"fused": tuning.held_out.fused}
    scored |= {f"fused, point {name}": counts for name, counts in tuning.points.items()}
    if len(tuning.methods) > 1:
        scored |= {f"fused, method {name}": counts for name, counts in tuning.methods.items()}
    for name, c in scored.items():
        table.add_row(name, *(f"{100 * value:.1f}" for value in (c.precision, c.recall, c.f1)))
    console.print(table)


def _show_summary(tuning: Tuning, output: Path, console: Console) -> None:
    better = ", ".join(tuning.eye_beats_ear) or "none"
    lines = [
        f"Classes in which the eye beats the ear: {better}",
        f"F1 on the fitted clips: {100 * tuning.fitted.f1:.1f} (optimistic; use the held-out F1)",
    ]
    if tuning.unanswered:
        lines.append(f"{tuning.unanswered} clips of the ground truth have no scores; not used")
    for line in (*lines, f"wrote {output}"):
        console.print(line, highlight=False, markup=False)


tune = command(TuneOptions, _tune)

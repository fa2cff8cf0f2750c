"""av-tag evaluate: answers against the truth, as the challenge scores them."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from av_tagger.cli.options import command

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from av_tagger.evaluation.report import EventReport, OfficialReport, TagReport


@dataclass(frozen=True)
class EvaluateOptions:
    predictions: Annotated[
        Path, typer.Argument(help="A submission, JSON lines of results, or a run's folder.")
    ]
    truth: Annotated[
        Path, typer.Option("--truth", help="Ground truth: tab-separated `file, start, end, label`.")
    ]
    task: Annotated[
        str, typer.Option(help="a: tags of whole clips; b: when the sounds happen.")
    ] = "a"
    official: Annotated[
        bool,
        typer.Option("--official", help="As the challenge's own script counts, oddities included."),
    ] = False
    json: Annotated[
        bool, typer.Option("--json", help="Everything as JSON on stdout, nothing else there.")
    ] = False
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Also write everything, curves included, as JSON."),
    ] = None
    classes: Annotated[
        str | None,
        typer.Option(help="A file with one class a line; the 17 of DCASE 2017 by default."),
    ] = None


def _evaluate(options: EvaluateOptions) -> None:
    """Score answers against ground truth; no model is run."""
    from av_tagger.evaluation.report import plain, score
    from av_tagger.labels import dcase2017, read_classes
    from av_tagger.reports.files import write_text

    classes = read_classes(Path(options.classes)) if options.classes else dcase2017()
    report = score(
        options.predictions, options.truth, classes, options.task, official=options.official
    )
    text = json.dumps(plain(report.as_json()), ensure_ascii=False, allow_nan=False) + "\n"
    if options.output:
        write_text(options.output, [text])
    if options.json:
        sys.stdout.write(text)
    else:
        _show(report)


def _show(report: TagReport | EventReport | OfficialReport) -> None:
    from rich.console import Console

    from av_tagger.evaluation.report import EventReport, TagReport

    console = Console()
    if isinstance(report, TagReport):
        _show_tags(report, console)
    elif isinstance(report, EventReport):
        _show_events(report, console)
    else:
        _show_official(report, console)


def _show_tags(report: TagReport, console: Console) -> None:
    content, scores = report.as_json(), report.scores
    ranking = content["ranking"].get("fused", {"classes": {}})
    heads = ("P", "R", "F1", "right", "said", "true", *(("AP", "AUC") if report.rankings else ()))
    rows = [
        (
            label,
            *_percent(c["precision"], c["recall"], c["f1"]),
            c["right"],
            c["predicted"],
            c["positives"],
            *_ranked(ranking, label),
        )
        for label, c in content["classes"].items()
    ]
    _print(console, "Tags, class by class", ("class", *heads), rows)
    _averages(
        console, {"micro-average (ranking)": content["micro"], "class-based": content["macro"]}
    )
    for branch, r in report.rankings.items():
        console.print(
            f"{branch}: mAP {r.mean_ap:.3f}, mAUC {r.mean_auc:.3f}, d' {r.d_prime:.2f}",
            highlight=False,
        )
    _coverage(
        console,
        scores.coverage.answered,
        scores.coverage.clips,
        scores.coverage.other,
        report.failed,
    )
    if report.repeated:
        console.print(f"{report.repeated} repeated rows were counted once", highlight=False)


def _show_events(report: EventReport, console: Console) -> None:
    content = report.as_json()
    rows = [
        (label, f"{c['error_rate']:.2f}", *_percent(c["f1"]), c["active"], c["predicted"])
        for label, c in content["classes"].items()
    ]
    _print(
        console, "Segments of 1 s, class by class", ("class", "ER", "F1", "active", "said"), rows
    )
    total = content["overall"]
    parts = ", ".join(
        f"{name} {total[name]:.2f}" for name in ("substitutions", "deletions", "insertions")
    )
    console.print(f"error rate {total['error_rate']:.2f} ({parts})", highlight=False)
    _averages(console, {"segment-based": total})
    coverage = report.scores.coverage
    _coverage(console, coverage.answered, coverage.clips, coverage.other, report.failed)


def _show_official(report: OfficialReport, console: Console) -> None:
    content = report.as_json()
    rows = [
        (label, *_percent(c["precision"], c["recall"], c["f1"]))
        for label, c in content["classes"].items()
    ]
    _print(console, "As the official script counts", ("class", "P", "R", "F1"), rows)
    _averages(
        console,
        {"class-based": content["macro"], "instance-based (ranking)": content["micro"]},
        digits=10,
    )
    console.print(f"audio files in the predictions: {content['files']}", highlight=False)


def _print(
    console: Console, title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    from rich.table import Table

    table = Table(title=title)
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place else "left")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console.print(table)


def _averages(console: Console, averages: dict[str, Any], digits: int = 1) -> None:
    for name, a in averages.items():
        values = (
            f"{head} {100 * a[key]:.{digits}f}"
            for head, key in (("precision", "precision"), ("recall", "recall"), ("F1", "f1"))
        )
        console.print(f"{name}: " + ", ".join(values), highlight=False)


def _coverage(console: Console, answered: int, clips: int, other: int, failed: int) -> None:
    share = f"{100 * answered / clips:.1f} %"
    console.print(
        f"{answered} of {clips} clips of the truth were answered ({share}); the rest count as silent",
        highlight=False,
    )
    if other or failed:
        console.print(
            f"{other} answered clips are not in the truth, {failed} clips failed", highlight=False
        )


def _percent(*values: float) -> tuple[str, ...]:
    return tuple(f"{100 * value:.1f}" for value in values)


def _ranked(ranking: dict[str, Any], label: str) -> tuple[str, ...]:
    row = ranking["classes"].get(label)
    return (f"{row['ap']:.3f}", f"{row['auc']:.3f}") if row else ()


evaluate = command(EvaluateOptions, _evaluate)

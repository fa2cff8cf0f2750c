"""av-tag evaluate: scores predictions against ground truth, as the DCASE 2017 challenge does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from av_tagger.cli.options import command
from av_tagger.flags import RunFlags, argument, option, required, same

if TYPE_CHECKING:
    from rich.console import Console

    from av_tagger.evaluation.report import EventReport, OfficialReport, TagReport


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    predictions: Path = argument(
        "PREDICTIONS", "A submission, JSON lines of results, or a run's folder."
    )
    truth: Path = required(
        "Ground truth: tab-separated columns file, start, end, label.", metavar="TABLE"
    )
    task: str = option("a", "a: tags per clip; b: events per second.", metavar="a|b")
    compare: Path | None = option(
        None, "Older predictions: is the difference to them real? (paired)", metavar="OLD"
    )
    official: bool = option(False, "Task a as the challenge's own script scores it.")
    classes: str | None = same(RunFlags, "classes", group=None)
    json: bool = option(False, "Print everything as JSON on stdout, and nothing else there.")
    output: Path | None = option(
        None, "Also write everything to this JSON file.", "-o", "--output", metavar="FILE.json"
    )


def _evaluate(options: EvaluateOptions) -> None:
    """Score predictions against ground truth. No model is run."""
    from av_tagger.evaluation.report import score, without_nan
    from av_tagger.labels import choose_classes
    from av_tagger.reports.files import write_text

    classes = choose_classes(options.classes)
    report = score(
        options.predictions,
        options.truth,
        classes,
        options.task,
        official=options.official,
        old=options.compare,
    )
    text = json.dumps(without_nan(report.as_json()), ensure_ascii=False, allow_nan=False) + "\n"
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


NOT_USED = {
    "fused": "no clip has a score",
    "heard": "the run had no ear (sound was not used)",
    "seen": "the run had no eye (pictures were not used)",
}


def _show_tags(report: TagReport, console: Console) -> None:
    content = report.as_json()
    ranking = content["ranking"].get("fused", {"classes": {}})["classes"]
    heads = ("P", "R", "F1", "TP", "said", "true", *(("AP", "AUC") if ranking else ()))
    _print(
        console,
        "Tags per class",
        ("class", *heads),
        [
            (
                label,
                *_percent(c["precision"], c["recall"], c["f1"]),
                *(c[key] for key in ("right", "predicted", "positives")),
                *_ranked(ranking.get(label)),
            )
            for label, c in content["classes"].items()
        ],
    )
    _averages(console, {"micro-average": content["micro"], "class average": content["macro"]})
    for branch, r in report.rankings.items():
        summary = f"mAP {r.mean_ap:.3f}, mAUC {r.mean_auc:.3f}, d' {r.d_prime:.2f}"
        console.print(f"{branch}: {summary}", highlight=False)
    for branch in report.unused:
        console.print(f"{branch}: {NOT_USED[branch]}", highlight=False)
    compared = [] if report.comparison is None else report.comparison.lines()
    u = report.uncertainty
    for line in (*u.lines(), *u.reliability_lines(), *compared):
        console.print(line, highlight=False, markup=False)
    _coverage(console, content)
    if report.repeated:
        console.print(f"{report.repeated} repeated rows were counted once", highlight=False)


def _show_events(report: EventReport, console: Console) -> None:
    content = report.as_json()
    rows = [
        (label, f"{c['error_rate']:.2f}", *_percent(c["f1"]), c["active"], c["predicted"])
        for label, c in content["classes"].items()
    ]
    _print(console, "Segments of 1 s per class", ("class", "ER", "F1", "active", "said"), rows)
    total = content["overall"]
    parts = ", ".join(
        f"{name} {total[name]:.2f}" for name in ("substitutions", "deletions", "insertions")
    )
    console.print(f"error rate {total['error_rate']:.2f} ({parts})", highlight=False)
    _averages(console, {"segments": total})
    _coverage(console, content)


def _show_official(report: OfficialReport, console: Console) -> None:
    content = report.as_json()
    rows = [
        (label, *_percent(c["precision"], c["recall"], c["f1"]))
        for label, c in content["classes"].items()
    ]
    _print(console, "As the official script scores", ("class", "P", "R", "F1"), rows)
    averages = {"class-based": content["macro"], "instance-based (ranking)": content["micro"]}
    _averages(console, averages, digits=10)
    console.print(f"audio files in the predictions: {content['files']}", highlight=False)


def _print(
    console: Console, title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, box=SIMPLE_HEAD, padding=0, show_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place else "left")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console.print(table)


def _averages(console: Console, averages: dict[str, Any], digits: int = 1) -> None:
    heads = {"precision": "precision", "recall": "recall", "f1": "F1"}
    for name, average in averages.items():
        values = (f"{head} {100 * average[key]:.{digits}f}" for key, head in heads.items())
        console.print(f"{name}: " + ", ".join(values), highlight=False, soft_wrap=True)


def _coverage(console: Console, content: dict[str, Any]) -> None:
    c, failed = content["coverage"], content["failed"]
    console.print(
        f"{c['answered']} of {c['clips']} clips have predictions ({100 * c['share']:.1f} %);"
        " the rest count as untagged",
        highlight=False,
    )
    if c["other"] or failed:
        console.print(
            f"{c['other']} predicted clips are not in the ground truth, {failed} clips failed",
            highlight=False,
        )


def _percent(*values: float) -> tuple[str, ...]:
    return tuple(f"{100 * value:.1f}" for value in values)


def _ranked(row: dict[str, float] | None) -> tuple[str, ...]:
    return (f"{row['ap']:.3f}", f"{row['auc']:.3f}") if row else ()


evaluate = command(EvaluateOptions, _evaluate)

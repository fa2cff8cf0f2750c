"""av-tag evaluate: scores predictions against ground truth, as the DCASE 2017 challenge does."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from av_tagger.cli.options import command
from av_tagger.flags import RunFlags, argument, option, required, same

if TYPE_CHECKING:
    from av_tagger.cli.console import Console
    from av_tagger.evaluation.report import EventReport, OfficialReport, TagReport


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    predictions: Path = argument(
        "PREDICTIONS", "A submission, JSON lines of results, or a run's folder."
    )
    truth: Path = required(
        "Ground truth: tab-separated file, start, end, label; or a manifest file,labels; or"
        " corrected labels of Audacity, Label Studio, ELAN or CSV.",
        metavar="TABLE",
    )
    task: str = option("a", "a: tags per clip; b: events per second.", metavar="a|b")
    compare: Path | None = option(
        None, "Older predictions; a paired test says whether the difference is real.", metavar="OLD"
    )
    event_scores: bool = option(
        False, "Task b: also collar-based F1, and PSDS of results with --detail (extra events)."
    )
    official: bool = option(False, "Task a as the challenge's own script scores it.")
    classes: str | None = same(RunFlags, "classes", group=None)
    json: bool = option(False, "Print everything as JSON on stdout, and nothing else there.")
    output: Path | None = option(
        None, "Also write everything to this JSON file.", "-o", "--output", metavar="FILE.json"
    )
    diagram: Path | None = option(
        None, "Task a: draw the reliability diagrams of heard and fused.", metavar="FILE.svg"
    )


def _evaluate(options: EvaluateOptions) -> None:
    """Score predictions against ground truth. No model is run."""
    from av_tagger.evaluation.report import score, without_nan
    from av_tagger.labels import choose_classes
    from av_tagger.reports.files import write_text

    classes = None if options.classes is None else choose_classes(options.classes)
    report = score(
        options.predictions,
        options.truth,
        classes,
        options.task,
        official=options.official,
        old=options.compare,
        event_scores=options.event_scores,
    )
    content = without_nan(report.as_json())
    if options.diagram is not None:
        draw(content.get("intervals", {}).get("calibration", {}), options.diagram)
    text = json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"
    if options.output:
        write_text(options.output, [text])
    if options.json:
        sys.stdout.write(text)
    else:
        _show(report)


def draw(calibration: dict[str, Any], target: Path) -> None:
    """Reliability diagrams, one per name, side by side."""
    from av_tagger.errors import UsageError
    from av_tagger.reports.files import write_text
    from av_tagger.reports.reliability import reliability_svg

    if not calibration:
        raise UsageError(f"{target}: nothing to draw; reliability needs scores of task a")
    write_text(target, [reliability_svg(calibration)])


def _show(report: TagReport | EventReport | OfficialReport) -> None:
    from av_tagger.cli.console import stdout_console
    from av_tagger.evaluation.report import EventReport, TagReport

    console = stdout_console()
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
    from av_tagger.cli.tables import print_table
    from av_tagger.evaluation.modality import modality_lines

    content = report.as_json()
    ranking = content["ranking"].get("fused", {"classes": {}})["classes"]
    heads = ("P", "R", "F1", "TP", "said", "true", *(("AP", "AUC") if ranking else ()))
    rows = [
        (
            label,
            *_percent(c["precision"], c["recall"], c["f1"]),
            *(c[key] for key in ("right", "predicted", "positives")),
            *_ranked(ranking.get(label)),
        )
        for label, c in content["classes"].items()
    ]
    print_table(console, "Tags per class", ("class", *heads), rows)
    _averages(console, {"micro-average": content["micro"], "class average": content["macro"]})
    for branch, r in report.rankings.items():
        summary = f"mAP {r.mean_ap:.3f}, mAUC {r.mean_auc:.3f}, d' {r.d_prime:.2f}"
        console.say(f"{branch}: {summary} over {_scored(report, branch)}")
    for branch in report.unused:
        console.say(f"{branch}: {NOT_USED[branch]}")
    compared = [] if report.comparison is None else report.comparison.lines()
    u = report.uncertainty
    looked = modality_lines(report.modality)
    for line in (*u.lines(), *u.reliability_lines(), *looked, *compared):
        console.say(line)
    _coverage(console, content)
    if report.repeated:
        console.say(f"{report.repeated} repeated rows were counted once")
    _remarks(console, content)


def _scored(report: TagReport, branch: str) -> str:
    """The clips that AP and AUC are about: those with any score; the others rank last."""
    count, ranked = report.scored[branch], report.scored["fused"]
    clips = f"{ranked} clips"
    return clips if count >= ranked else f"{clips}, {ranked - count} of them without its score"


def _show_events(report: EventReport, console: Console) -> None:
    from av_tagger.cli.tables import print_table

    content = report.as_json()
    rows = [
        (label, f"{c['error_rate']:.2f}", *_percent(c["f1"]), c["active"], c["predicted"])
        for label, c in content["classes"].items()
    ]
    print_table(console, "Segments of 1 s per class", ("class", "ER", "F1", "active", "said"), rows)
    total = content["overall"]
    parts = ", ".join(
        f"{name} {total[name]:.2f}" for name in ("substitutions", "deletions", "insertions")
    )
    console.say(f"error rate {total['error_rate']:.2f} ({parts})")
    _averages(console, {"segments": total})
    if "collar" in content:
        _averages(console, {f"events within {content['collar']['collar']} s": content["collar"]})
    for name, value in content.get("psds", {}).items():
        console.say(f"{name.upper()} {value:.3f}")
    _coverage(console, content)
    _remarks(console, content)
    console.say("differs from the challenge:")
    for line in content["differences"]:
        console.say(f"- {line}")


def _show_official(report: OfficialReport, console: Console) -> None:
    from av_tagger.cli.tables import print_table

    content = report.as_json()
    rows = [
        (label, *_percent(c["precision"], c["recall"], c["f1"]))
        for label, c in content["classes"].items()
    ]
    print_table(console, "As the official script scores", ("class", "P", "R", "F1"), rows)
    for name, key in (("ranking F1 (instance-based)", "micro"), ("class-based F1", "macro")):
        f1, precision, recall = (
            f"{100 * content[key][part]:.10f}" for part in ("f1", "precision", "recall")
        )
        console.say(f"{name}: {f1}, P {precision}, R {recall}")
    console.say(f"audio files in the predictions: {content['files']}")
    c = content["coverage"]
    console.say(
        f"scored {c['answered']} of {c['clips']} clips ({100 * c['share']:.1f} %);"
        " the script ignores all others",
    )
    _ignored(console, content)


def _ignored(console: Console, content: dict[str, Any]) -> None:
    """Predicted names that the ground truth does not have, and why, where that can be told."""
    if not (ignored := content["ignored"]):
        return
    console.say(f"ignored {len(ignored)} names, such as {ignored[0]}")
    if respelt := content["respelt"]:
        console.say(
            f"{len(respelt)} of them are in the ground truth in another spelling, such as"
            f" {respelt[0]}: write names without the leading Y, as id_30.000_40.000.wav",
        )


def _remarks(console: Console, content: dict[str, Any]) -> None:
    for line in content["remarks"]:
        console.say(line)


def _averages(console: Console, averages: dict[str, Any]) -> None:
    heads = {"precision": "precision", "recall": "recall", "f1": "F1"}
    for name, average in averages.items():
        values = (f"{head} {100 * average[key]:.1f}" for key, head in heads.items())
        console.say(f"{name}: " + ", ".join(values))


def _coverage(console: Console, content: dict[str, Any]) -> None:
    c, failed = content["coverage"], content["failed"]
    console.say(
        f"{c['answered']} of {c['clips']} clips have predictions ({100 * c['share']:.1f} %);"
        " the rest count as untagged",
    )
    if c["other"] or failed:
        console.say(
            f"{c['other']} predicted clips are not in the ground truth, {failed} clips failed",
        )


def _percent(*values: float) -> tuple[str, ...]:
    return tuple(f"{100 * value:.1f}" for value in values)


def _ranked(row: dict[str, float] | None) -> tuple[str, ...]:
    return (f"{row['ap']:.3f}", f"{row['auc']:.3f}") if row else ()


evaluate = command(EvaluateOptions, _evaluate)

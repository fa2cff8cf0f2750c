"""The part of av-tag tune that guarantees a precision, a recall or a rate of false tags."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from av_tagger.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from av_tagger.cli.console import Console
    from av_tagger.cli.tune_options import TuneOptions
    from av_tagger.evaluation.certified import Certified
    from av_tagger.evaluation.guarantees import Goal

HEADS = {"precision": "precision >", "recall": "recall >", "alarms-per-hour": "per hour <"}


def guaranteed(options: TuneOptions, truth: Path) -> bool:
    """Write a fusion with guaranteed thresholds and show it; False if no flag asks for one."""
    from av_tagger.evaluation.certified import certify, refuse_failed
    from av_tagger.evaluation.report import without_nan
    from av_tagger.fusion import write_fusion
    from av_tagger.fusion.fit import FitSettings
    from av_tagger.labels import choose_classes

    if (goal := _goal(options)) is None:
        return False
    settings = FitSettings(options.method, options.point, options.few, seed=options.seed)
    classes = None if options.classes is None else choose_classes(options.classes)
    done = certify(options.results, truth, classes, settings, goal)
    if not options.where_possible or len(done.failed) == len(done.classes):
        refuse_failed(done, options.results)
    write_fusion(done.fusion, options.output)
    if options.json:
        text = json.dumps(without_nan(done.as_json()), ensure_ascii=False, allow_nan=False)
        sys.stdout.write(text + "\n")
    else:
        _show(done, options.output)
    return True


def _goal(options: TuneOptions) -> Goal | None:
    from av_tagger.evaluation.guarantees import ALARMS, PRECISION, RECALL, Goal

    values = (options.precision, options.recall, options.alarms_per_hour)
    asked = {
        k: v for k, v in zip((PRECISION, RECALL, ALARMS), values, strict=True) if v is not None
    }
    if len(asked) > 1:
        raise UsageError(f"give one of --{', --'.join(asked)}; thresholds can hold one goal")
    return next((Goal(kind, v, options.confidence) for kind, v in asked.items()), None)


def _show(done: Certified, output: Path) -> None:
    from av_tagger.cli.console import stdout_console
    from av_tagger.cli.tables import plain_table

    console = stdout_console()
    title = f"Guaranteed {done.goal.kind} {done.goal.value:g}"
    table = plain_table(title=title, padding=0)
    table.add_column("class", overflow="fold")
    for head in ("threshold", HEADS[done.goal.kind], "tagged", "right", "clips"):
        table.add_column(head, justify="right")
    for c in done.classes:
        threshold = f"{c.result.threshold:.3f}" if c.result.holds else "off"
        bound = f"{c.result.bound:.3f}"
        table.add_row(c.label, threshold, bound, str(c.tagged), str(c.right), str(c.positives))
    console.print(table)
    _explain(done, output, console)


def _explain(done: Certified, output: Path, console: Console) -> None:
    lines = [
        f"{HEADS[done.goal.kind]}: bound with {100 * done.goal.confidence:g} % confidence",
        f"tagged, right, clips: among {done.test_clips} test clips, one per recording",
        f"weights were fitted to {done.fit_clips} clips of other recordings",
        done.statement,
        f"wrote {output}",
    ]
    for line in lines:
        console.say(line)

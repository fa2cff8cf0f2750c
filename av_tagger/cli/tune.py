"""av-tag tune: fits a fusion file to labelled results."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.cli.evaluate import draw
from av_tagger.cli.guarantee import guaranteed
from av_tagger.cli.options import command
from av_tagger.cli.tune_options import TuneOptions
from av_tagger.errors import UsageError

if TYPE_CHECKING:
    from av_tagger.cli.console import Console
    from av_tagger.evaluation.tuning import Tuning


def _tune(options: TuneOptions) -> None:
    """Fit fusion weights and thresholds per class to results with known labels."""
    if options.truth is None:
        _tune_alarms(options)
        return
    from av_tagger.evaluation.report import without_nan
    from av_tagger.evaluation.tuning import tune as fit
    from av_tagger.fusion import write_fusion
    from av_tagger.fusion.fit import FitSettings
    from av_tagger.labels import choose_classes

    if guaranteed(options, options.truth):
        return
    tuning = fit(
        options.results,
        options.truth,
        None if options.classes is None else choose_classes(options.classes),
        FitSettings(options.method, options.point, options.few, seed=options.seed),
        folds=options.folds,
        compare=options.compare,
        scale=options.calibrate,
    )
    write_fusion(tuning.fusion, options.output)
    figures = without_nan(tuning.as_json())
    if options.diagram is not None:
        draw(figures["calibration"], options.diagram)
    if options.json:
        sys.stdout.write(json.dumps(figures, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        from av_tagger.cli.console import stdout_console

        _show(tuning, options.output, stdout_console())


def _tune_alarms(options: TuneOptions) -> None:
    """Thresholds from a recorded day, as rules for `av-tag listen`."""
    from av_tagger.cli.console import stdout_console
    from av_tagger.live.choose import as_rules, tune_alarms

    if options.alarms_per_hour is None and options.all_alarms_per_hour is None:
        raise UsageError(
            "tune needs ground truth (--truth TABLE), or --alarms-per-hour for a journal"
        )
    tuning = tune_alarms(options.results, options.alarms_per_hour, options.all_alarms_per_hour)
    same_name = options.output == Path("fusion.json")
    output = Path("alarms.toml") if same_name else options.output
    output.write_text(as_rules(tuning), encoding="utf-8")
    console = stdout_console()
    for c in tuning.choices:
        limit = "no threshold" if c.threshold is None else f"threshold {c.threshold:.4f}"
        console.say(f"{c.label:<40.40} {c.kept:5d} of {c.events:5d} events, {limit}")
    kept = f"{tuning.kept} events are left"
    console.say(f"wrote {output}, from {tuning.hours:.2f} h of recording: {kept}")


def _show(tuning: Tuning, output: Path, console: Console) -> None:
    _show_classes(tuning, console)
    _show_held_out(tuning, console)
    _show_summary(tuning, output, console)


ROWS = {"both": ("heard", "seen"), "ear": ("heard",), "eye": ("seen",)}  # branches with scores


def _show_classes(tuning: Tuning, console: Console) -> None:
    """One row per class; nothing of a branch that scored no clip."""
    from av_tagger.cli.tables import print_table

    used = set(tuning.branches)
    thresholds = [row for row, needs in ROWS.items() if used >= set(needs)]
    scores = [b for b in ("heard", "seen", "fused") if b in used or len(used) > 1]
    weighted = len(used) > 1 and any(weight is not None for weight in tuning.weights)
    heads = ("class", *(("weight",) if weighted else ()), *thresholds, *scores, "clips")
    rows = [
        (
            row["label"],
            *((_number(row["weight"]),) if weighted else ()),
            *(_threshold(row[key]) for key in thresholds),
            *(f"{row[f'f1_{key}']:.2f}" for key in scores),
            row["positives"],
        )
        for row in tuning.rows()
    ]
    title = f"Fusion: method {tuning.settings.method}, point {tuning.settings.point}"
    print_table(console, title, heads, rows)
    for line in _legend(thresholds, scores, weighted=weighted):
        console.say(line)


def _legend(thresholds: list[str], scores: list[str], *, weighted: bool) -> list[str]:
    meant = {"both": "for clips with both branches", "ear": "ear alone", "eye": "eye alone"}
    parts = ["weight: of the ear"] if weighted else []
    parts.append(f"thresholds: {', '.join(f'{name} ({meant[name]})' for name in thresholds)}")
    parts.append(f"{', '.join(scores)}: F1 on held-out clips")
    return parts


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _threshold(value: float) -> str:
    """A threshold above 1 is never reached."""
    return "never" if value > 1 else f"{value:.2f}"


def _show_held_out(tuning: Tuning, console: Console) -> None:
    from av_tagger.cli.tables import print_table

    held_out = {"ear only": "heard", "eye only": "seen"}
    scored = {
        name: getattr(tuning.held_out, branch)
        for name, branch in held_out.items()
        if branch in tuning.branches
    }
    scored |= {"fused": tuning.held_out.fused} if len(scored) > 1 else {}
    scored |= {f"point {name}": counts for name, counts in tuning.points.items()}
    if len(tuning.methods) > 1:
        scored |= {f"method {name}": counts for name, counts in tuning.methods.items()}
    rows = [
        (name, *(f"{100 * value:.1f}" for value in (c.precision, c.recall, c.f1)))
        for name, c in scored.items()
    ]
    title = f"On held-out clips, {tuning.held_out.folds} folds"
    print_table(console, title, ("", "precision", "recall", "F1"), rows)


def _show_summary(tuning: Tuning, output: Path, console: Console) -> None:
    lines = [
        f"{tuning.clips} clips: {tuning.heard} heard, {tuning.seen} seen",
        *tuning.intervals,
        *tuning.calibration_lines,
    ]
    if len(tuning.branches) > 1:
        better = ", ".join(tuning.eye_beats_ear) or "none"
        lines.append(f"Classes in which the eye beats the ear: {better}")
        lines += tuning.looking_lines
    fitted = f"{100 * tuning.fitted.f1:.1f}"
    lines.append(f"F1 on the fitted clips: {fitted} (optimistic; use the held-out F1)")
    if tuning.never:
        lines.append(f"Never tagged, as no threshold gave a better F1: {', '.join(tuning.never)}")
    if tuning.unanswered:
        lines.append(f"{tuning.unanswered} clips of the ground truth have no scores; not used")
    for line in (*lines, *tuning.remarks, f"wrote {output}"):
        console.say(line)


tune = command(TuneOptions, _tune)

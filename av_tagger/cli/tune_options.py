"""The flags of av-tag tune."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from av_tagger.flags import RunFlags, argument, option, same

HOLDS = "Guarantees"


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    results: Path = argument("RESULTS", "JSON lines from av-tag --json, or a run's folder.")
    truth: Path | None = option(
        None,
        "Ground truth: tab-separated file, start, end, label; or a manifest file,labels; or"
        " corrected labels of Audacity, Label Studio, ELAN or CSV. Not for a journal.",
        metavar="TABLE",
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
    calibrate: str = option(
        "auto", "Probabilities per class: auto, platt, isotonic or none.", metavar="NAME"
    )
    diagram: Path | None = option(
        None, "Draw the held-out reliability before and after.", metavar="FILE.svg"
    )
    precision: float | None = option(
        None, "Thresholds that guarantee this precision of each class on new clips.", group=HOLDS
    )
    recall: float | None = option(None, "Thresholds that guarantee this recall.", group=HOLDS)
    alarms_per_hour: float | None = option(
        None,
        "Thresholds that guarantee at most N false tags per hour. With a journal of av-tag"
        " listen as RESULTS: alarm rules with at most N events per hour and class.",
        group=HOLDS,
    )
    all_alarms_per_hour: float | None = option(
        None,
        "With a journal of av-tag listen: at most so many events per hour of all classes together.",
        group=HOLDS,
    )
    confidence: float = option(0.95, "Confidence of the guarantee, for each class.", group=HOLDS)
    where_possible: bool = option(
        False, "Switch off classes with too few clips instead of refusing.", group=HOLDS
    )
    classes: str | None = same(RunFlags, "classes", group=None)
    json: bool = option(False, "Print figures as JSON on stdout, and nothing else there.")

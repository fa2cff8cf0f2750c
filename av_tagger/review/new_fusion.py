"""A fusion file with the thresholds that the answers suggest, in place of those of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from av_tagger.errors import UsageError, sentence
from av_tagger.fusion import Weighing, file_for_ear, load_fusion, write_fusion
from av_tagger.fusion.scales import ROWS
from av_tagger.review.thresholds import ThresholdAdvice
from av_tagger.review.units import FoundUnits, ReviewUnit

TOLERANCE = 2e-3  # results and files are rounded
CHECKED = 2000  # candidates whose scores the fusion must give again


def write_suggested(
    found: FoundUnits, advice: Sequence[ThresholdAdvice], base: str, target: Path
) -> list[ThresholdAdvice]:
    """The classes that changed: those that are better held-out. `base`: auto, a name or a file.

    Refuses where the fusion does not give the scores of the run: thresholds of one fusion mean
    nothing for another.
    """
    changed = [a for a in advice if a.better]
    if not changed:
        reason = "no class has a threshold that is better on held-out recordings"
        raise UsageError(sentence(target, f"was not written: {reason}", "answer more"))
    units = [unit for unit in found.units if not unit.live]
    fusion = _with_those_of_the_run(_base(base, found), units)
    _check(fusion, units, base)
    rows = {name: getattr(fusion.rows, name).copy() for name in ROWS}
    for a in changed:
        assert a.suggested is not None
        rows[a.row][fusion.labels.index(a.label)] = a.suggested
    note = f"{fusion.note} Thresholds from a review: {', '.join(map(_noted, changed))}.".strip()
    write_fusion(replace(fusion.with_thresholds(**rows), note=note), target)
    return changed


def _noted(a: ThresholdAdvice) -> str:
    return f"{a.label} ({a.present} yes, {a.absent} no)"


def _base(base: str, found: FoundUnits) -> Weighing:
    if base != "auto":
        return load_fusion(base, found.labels)
    names = [name for name in found.ears if name != "off"]
    if len(names) == 1:
        return load_fusion(file_for_ear(names[0].partition(" (")[0]), found.labels)
    return load_fusion("logit", found.labels)


def _with_those_of_the_run(fusion: Weighing, units: Sequence[ReviewUnit]) -> Weighing:
    rows = {name: getattr(fusion.rows, name).copy() for name in ROWS}
    column = {label: k for k, label in enumerate(fusion.labels)}
    for unit in units:
        rows[unit.row][column[unit.label]] = unit.threshold
    return fusion.with_thresholds(**rows)


def _check(fusion: Weighing, units: Sequence[ReviewUnit], base: str) -> None:
    column = {label: k for k, label in enumerate(fusion.labels)}
    some = units[:CHECKED]
    heard, seen = (np.full((len(some), len(column)), np.nan) for _ in range(2))
    for i, unit in enumerate(some):
        k = column[unit.label]
        heard[i, k] = np.nan if unit.heard is None else unit.heard
        seen[i, k] = np.nan if unit.seen is None else unit.seen
    fused = fusion.scaled(heard, seen, np.isfinite(seen).any(1))
    mine = fused[np.arange(len(some)), [column[unit.label] for unit in some]]
    wrong = ~np.isclose(mine, [unit.score for unit in some], atol=TOLERANCE)
    if wrong.any():
        reason = f"the fusion {base} does not give the scores of these results"
        raise UsageError(
            f"{reason} ({int(wrong.sum())} of {len(some)} differ);"
            " name the one that the run used with --fusion"
        )

"""Intervals of an evaluation's figures, and whether two sets of predictions really differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError
from av_tagger.evaluation.intervals import (
    FEWEST,
    Interval,
    Resamples,
    mean_over_classes,
    recordings_of,
    resampled_ap,
    resampled_f1,
)
from av_tagger.evaluation.labelled import LabelledScores, labelled_scores
from av_tagger.evaluation.predictions import BRANCHES, Predictions
from av_tagger.evaluation.reliability import Reliability, reliability
from av_tagger.evaluation.tagging import label_matrix, score_tags
from av_tagger.metrics import Counts, class_average_precision, mean_average_precision

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Truth = Mapping[str, Sequence[str]]

SWAPS = 2000  # random exchanges of the two sets of predictions
LEVEL = 0.05


@dataclass(frozen=True)
class Uncertainty:
    """95 % intervals of the figures of subtask A."""

    recordings: int
    micro: Interval
    macro: Interval
    class_f1: Mapping[str, Interval]
    mean_ap: Mapping[str, Interval]  # by branch
    gain: Interval | None  # mAP fused minus heard, paired
    class_ap: Mapping[str, Interval]  # of the fused scores
    calibration: Mapping[str, Reliability]  # by branch

    def as_json(self) -> dict[str, Any]:
        return {
            "method": "percentile bootstrap over recordings, 95 %, 1,000 replicates",
            "recordings": self.recordings,
            "micro_f1": self.micro.as_json(),
            "macro_f1": self.macro.as_json(),
            "map": {branch: i.as_json() for branch, i in self.mean_ap.items()},
            "map_gain_of_looking": None if self.gain is None else self.gain.as_json(),
            "calibration": {branch: r.as_json() for branch, r in self.calibration.items()},
            "classes": {
                label: {
                    "f1": interval.as_json(),
                    "ap": self.class_ap[label].as_json() if self.class_ap else None,
                }
                for label, interval in self.class_f1.items()
            },
        }

    def lines(self) -> list[str]:
        """What a person reads."""
        if self.recordings < FEWEST:
            return [f"no intervals: {self.recordings} recordings are too few"]
        f1 = f"micro-F1 {self.micro}, class F1 {self.macro}"
        lines = [f"95 % intervals over {self.recordings} recordings: {f1}"]
        lines += [f"{branch}: mAP {interval}" for branch, interval in self.mean_ap.items()]
        if self.gain is not None:
            lines.append(f"looking adds {self.gain} mAP: {_verdict(self.gain)}")
        return lines

    def reliability_lines(self) -> list[str]:
        return [line for b, r in self.calibration.items() for line in r.lines(b)]


def uncertainty(
    read: Predictions,
    truth: Truth,
    labels: Sequence[str],
    recordings: Mapping[str, str] | None = None,
) -> Uncertainty:
    """Decisions over every clip of the truth, AP over the clips with scores."""
    tags = {name: clip.tags for name, clip in read.clips.items()}
    said, real = _decisions(tags, truth, labels)
    draws = Resamples(recordings_of(list(truth), recordings))
    scores, f1 = score_tags(truth, tags, labels), resampled_f1(said, real, draws)
    table = labelled_scores(read, truth, labels, recordings) if read.has_scores else None
    ranked = {} if table is None else _ranked(table)
    return Uncertainty(
        draws.recordings,
        draws.interval(scores.micro.f1, f1.micro),
        draws.interval(scores.macro.f1, f1.macro),
        _by_class(draws, labels, scores.counts.class_f1, f1.classes, real),
        {branch: _map_interval(table, branch, ap) for branch, ap in ranked.items() if table},
        _gain(table, ranked) if table is not None else None,
        _class_ap(table, ranked["fused"]) if table is not None and "fused" in ranked else {},
        _calibration(table, list(ranked)),
    )


def held_out_lines(
    said: Mapping[str, Bools], truth: Bools, groups: Sequence[str]
) -> tuple[str, ...]:
    """Intervals of held-out decisions of `heard`, `seen` and `fused`, and of what looking adds."""
    draws = Resamples(tuple(groups))
    if draws.recordings < FEWEST:
        return (f"no intervals: {draws.recordings} recordings are too few",)
    drawn = {name: resampled_f1(values, truth, draws).micro for name, values in said.items()}
    f1 = {name: Counts.of(values, truth).f1 for name, values in said.items()}
    fused = draws.interval(f1["fused"], drawn["fused"])
    gain = draws.interval(f1["fused"] - f1["heard"], drawn["fused"] - drawn["heard"])
    return (
        f"F1 fused {fused}, 95 % interval over {draws.recordings} recordings",
        f"fused minus ear only {gain.value:+.3f} {gain.bounds}: {_verdict(gain)}",
    )


def looking(
    said: Mapping[str, Bools], truth: Bools, labels: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Per class: held-out decisions of the ear that fusion corrected or spoiled."""
    heard, fused = (said[name] == truth for name in ("heard", "fused"))
    helped, misled = (fused & ~heard).sum(0), (heard & ~fused).sum(0)
    rows = zip(labels, helped, misled, strict=True)
    return {label: {"helped": int(h), "misled": int(m)} for label, h, m in rows}


@dataclass(frozen=True)
class Comparison:
    """New predictions against old ones on the same clips: differences are new minus old."""

    clips: int
    recordings: int
    old_f1: float
    f1: Interval
    f1_p: float  # two-sided randomisation test: predictions exchanged by recording
    old_map: float
    mean_ap: Interval | None

    def as_json(self) -> dict[str, Any]:
        ap = self.mean_ap
        return {
            "clips": self.clips,
            "recordings": self.recordings,
            "micro_f1": {
                "old": self.old_f1,
                "difference": self.f1.value,
                "interval": self.f1.as_json(),
                "p": self.f1_p,
            },
            "map": None
            if ap is None
            else {"old": self.old_map, "difference": ap.value, "interval": ap.as_json()},
        }

    def lines(self) -> list[str]:
        real = self.f1_p < LEVEL and self.f1.excludes_zero
        verdict = "a real difference" if real else "may be chance"
        change = f"{self.f1.value:+.3f} {self.f1.bounds}, p = {self.f1_p:.4f}"
        lines = [
            f"compared on {self.clips} clips of {self.recordings} recordings, paired:",
            f"micro-F1 {self.old_f1:.3f} before, {change}: {verdict}",
        ]
        if self.mean_ap is not None:
            ap = self.mean_ap
            lines.append(
                f"mAP {self.old_map:.3f} before, {ap.value:+.3f} {ap.bounds}: {_verdict(ap)}"
            )
        return lines


def compare(
    old: Predictions,
    new: Predictions,
    truth: Truth,
    labels: Sequence[str],
    recordings: Mapping[str, str] | None = None,
) -> Comparison:
    """On the clips of the truth that both have; those of one recording are drawn together."""
    names = [n for n in truth if n in old.clips and n in new.clips]
    if not names:
        raise UsageError(f"{old.path} and {new.path} have no clip of the ground truth in common")
    real = {name: truth[name] for name in names}
    before, y = _decisions({n: old.clips[n].tags for n in names}, real, labels)
    after, _ = _decisions({n: new.clips[n].tags for n in names}, real, labels)
    draws = Resamples(recordings_of(names, recordings))
    counts = Counts.of(before, y).f1, Counts.of(after, y).f1
    change = resampled_f1(after, y, draws).micro - resampled_f1(before, y, draws).micro
    old_map, ap = _compare_ap((old, new), real, labels, recordings)
    return Comparison(
        len(names),
        draws.recordings,
        counts[0],
        draws.interval(counts[1] - counts[0], change),
        swap_test(before, after, y, draws),
        old_map,
        ap,
    )


def swap_test(before: Bools, after: Bools, truth: Bools, draws: Resamples) -> float:
    """p of "the two are interchangeable": decisions are exchanged at random, by recording."""
    tables = [_by_recording(said, truth, draws) for said in (before, after)]
    rng = np.random.default_rng(draws.seed)
    swap = rng.random((SWAPS, draws.recordings)) < 0.5
    totals = [
        np.where(swap[..., None], other, one).sum(1)
        for one, other in ((tables[0], tables[1]), (tables[1], tables[0]))
    ]
    found = abs(_f1(tables[1].sum(0)) - _f1(tables[0].sum(0)))
    chance = np.abs(_f1(totals[1]) - _f1(totals[0]))
    return float((1 + (chance >= found - 1e-12).sum()) / (1 + SWAPS))


def _by_recording(said: Bools, truth: Bools, draws: Resamples) -> Floats:
    """(recordings, 2): right, and predicted plus positive pairs."""
    table = np.zeros((draws.recordings, 2))
    per_clip = np.stack([(said & truth).sum(1), said.sum(1) + truth.sum(1)], axis=1)
    np.add.at(table, draws.member, per_clip)
    return table


def _f1(totals: Floats) -> Floats:
    f1: Floats = 2 * totals[..., 0] / np.maximum(totals[..., 1], 1)
    return f1


def _compare_ap(
    pair: tuple[Predictions, Predictions],
    truth: Truth,
    labels: Sequence[str],
    recordings: Mapping[str, str] | None,
) -> tuple[float, Interval | None]:
    scored = {n: t for n, t in truth.items() if all(p.clips[n].scores for p in pair)}
    if not scored:
        return math.nan, None
    one, two = (labelled_scores(p, scored, labels, recordings) for p in pair)
    draws = Resamples(one.groups)
    before, after = (mean_average_precision(t.fused, t.truth) for t in (one, two))
    old_ap, new_ap = (resampled_ap(t.fused, t.truth, draws) for t in (one, two))
    change = mean_over_classes(new_ap) - mean_over_classes(old_ap)
    return before, draws.interval(after - before, change)


def _decisions(
    tags: Mapping[str, Sequence[str]], truth: Truth, labels: Sequence[str]
) -> tuple[Bools, Bools]:
    said = label_matrix((tags.get(name, ()) for name in truth), labels)
    return said, label_matrix(truth.values(), labels)


def _ranked(table: LabelledScores) -> dict[str, Floats]:
    """Resampled AP by branch that was used."""
    draws = Resamples(table.groups)
    used = [b for b in BRANCHES if np.isfinite(getattr(table, b)).any()]
    return {b: resampled_ap(getattr(table, b), table.truth, draws) for b in used}


def _calibration(table: LabelledScores | None, used: Sequence[str]) -> dict[str, Reliability]:
    """Of what was heard and fused; what is seen is evidence, no probability."""
    found = {b: reliability(getattr(table, b), table.truth) for b in used if table and b != "seen"}
    return {branch: r for branch, r in found.items() if r is not None}


def _map_interval(table: LabelledScores, branch: str, ap: Floats) -> Interval:
    value = mean_average_precision(getattr(table, branch), table.truth)
    return Resamples(table.groups).interval(value, mean_over_classes(ap))


def _gain(table: LabelledScores, ranked: Mapping[str, Floats]) -> Interval | None:
    if not {"fused", "heard", "seen"} <= set(ranked):
        return None
    fused, heard = (
        mean_average_precision(getattr(table, b), table.truth) for b in ("fused", "heard")
    )
    change = mean_over_classes(ranked["fused"]) - mean_over_classes(ranked["heard"])
    return Resamples(table.groups).interval(fused - heard, change)


def _class_ap(table: LabelledScores, ap: Floats) -> dict[str, Interval]:
    values = class_average_precision(table.fused, table.truth)
    return _by_class(Resamples(table.groups), table.labels, values, ap, table.truth)


def _by_class(
    draws: Resamples, labels: Sequence[str], values: Floats, replicates: Floats, truth: Bools
) -> dict[str, Interval]:
    having = draws.having(truth)
    return {
        label: draws.interval(float(values[k]), replicates[:, k], int(having[k]))
        for k, label in enumerate(labels)
    }


def _verdict(difference: Interval) -> str:
    return "a real difference" if difference.excludes_zero else "may be chance"

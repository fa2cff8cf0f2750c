"""Tuning: a fusion fitted to labelled results, with cross-validated scores."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from av_tagger.evaluation.labelled import Floats, LabelledScores, labelled_scores
from av_tagger.evaluation.modality import Counted, modality_lines, sight_counts
from av_tagger.evaluation.predictions import matched, read_predictions, without_unknown
from av_tagger.evaluation.reliability import Reliability, reliability
from av_tagger.evaluation.truth import WeakTruth, read_truth
from av_tagger.evaluation.uncertainty import held_out_lines, looking
from av_tagger.fusion.calibrate import CalibratedRow, calibrate, check_choice, with_scales
from av_tagger.fusion.cross import Honest, cross_validate
from av_tagger.fusion.fit import FITS, DevelopmentScores, FitSettings, FusionFitter
from av_tagger.fusion.thresholds import OPERATING_POINTS
from av_tagger.metrics import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from av_tagger.fusion import Weighing
    from av_tagger.labels import ClassList


@dataclass(frozen=True)
class Tuning:
    """A fitted fusion and its scores."""

    fusion: Weighing
    settings: FitSettings
    clips: int
    unanswered: int
    fitted: Counts  # on the clips it was fitted to: optimistic
    held_out: Honest  # cross-validated
    points: Mapping[str, Counts]  # by operating point, cross-validated
    methods: Mapping[str, Counts]  # by fit method, cross-validated; the chosen one, or all
    heard: int = 0  # clips that the ear scored
    seen: int = 0
    remarks: tuple[str, ...] = ()
    intervals: tuple[str, ...] = ()  # in words, of the held-out figures
    looking: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # helped, misled
    scales: Mapping[str, str] = field(default_factory=dict)  # by class: platt, isotonic or none
    calibration: Mapping[str, Reliability] = field(default_factory=dict)  # held-out: before, after

    @property
    def labels(self) -> tuple[str, ...]:
        return self.fusion.labels

    @property
    def branches(self) -> tuple[str, ...]:
        """Branches that scored any clip: heard, seen."""
        return tuple(b for b in ("heard", "seen") if getattr(self, b))

    @property
    def never(self) -> tuple[str, ...]:
        """Classes that no clip can get from the branches that were there."""
        rows = {("heard", "seen"): "both", ("heard",): "ear", ("seen",): "eye"}
        row = getattr(self.fusion.rows, rows.get(self.branches, "both"))
        return tuple(label for label, t in zip(self.labels, row, strict=True) if t > 1)

    @property
    def eye_beats_ear(self) -> tuple[str, ...]:
        """Classes with a higher held-out F1 of the eye than of the ear: the rule of AV §3.4."""
        better = self.held_out.seen.class_f1 > self.held_out.heard.class_f1
        return tuple(label for label, eye in zip(self.labels, better, strict=True) if eye)

    @property
    def weights(self) -> tuple[float | None, ...]:
        """The ear's weight per class; None if the method has no weights."""
        weights = getattr(self.fusion, "weights", None)
        if weights is None:
            return (None,) * len(self.labels)
        return tuple(float(weight) for weight in weights)

    @property
    def looking_lines(self) -> list[str]:
        """How often looking helped and misled, and the classes in which it misled more."""
        return modality_lines(self.looking)

    @property
    def calibration_lines(self) -> list[str]:
        """Held-out calibration error before and after, and how many classes got which scale."""
        counts = Counter(self.scales.values())
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        lines = [line for name, r in self.calibration.items() for line in r.lines(name)]
        return [f"held-out calibration of the fused scores (classes: {kinds})", *lines]

    def as_json(self) -> dict[str, Any]:
        rows = {row.pop("label"): row for row in self.rows()}
        return {
            "method": self.settings.method,
            "point": self.settings.point,
            "clips": self.clips,
            "unanswered": self.unanswered,
            "heard": self.heard,
            "seen": self.seen,
            "never_tagged": list(self.never),
            "remarks": list(self.remarks),
            "folds": self.held_out.folds,
            "cross_validated": {name: _averages(c) for name, c in self._branches().items()},
            "on_fitted_clips": {"f1": self.fitted.f1},
            "points": {name: _averages(c) for name, c in self.points.items()},
            "methods": {name: counts.f1 for name, counts in self.methods.items()},
            "intervals": list(self.intervals),
            "looking": {label: dict(row) for label, row in self.looking.items()},
            "scales": dict(self.scales),
            "calibration": {name: r.as_json() for name, r in self.calibration.items()},
            "trusts_eye": list(self.eye_beats_ear),
            "classes": rows,
        }

    def rows(self) -> list[dict[str, Any]]:
        """Per class: weight, thresholds, held-out F1 of each branch, number of positives."""
        f1 = {name: counts.class_f1 for name, counts in self._branches().items()}
        return [
            {
                "label": label,
                "weight": weight,
                **{r: float(getattr(self.fusion.rows, r)[k]) for r in ("both", "ear", "eye")},
                **{f"f1_{name}": float(values[k]) for name, values in f1.items()},
                "positives": int(self.held_out.fused.positives[k]),
            }
            for k, (label, weight) in enumerate(zip(self.labels, self.weights, strict=True))
        ]

    def _branches(self) -> dict[str, Counts]:
        return {name: getattr(self.held_out, name) for name in ("heard", "seen", "fused")}


def tune(
    results: Path,
    truth: Path,
    classes: ClassList | None,
    settings: FitSettings,
    *,
    folds: int = 5,
    compare: bool = False,
    scale: str = "auto",
) -> Tuning:
    """Fit to the clips with both scores and truth; clips of one video stay in one fold.

    `scale`: auto, platt, isotonic or none, the calibration of the fused scores per class.
    """
    check_choice(scale)
    real = read_truth(truth, classes, partly=True)
    read = read_predictions(results, real.classes, others=real.manifest)
    data = labelled_scores(
        without_unknown(matched(read, real.tags), real.unknown),
        real.tags,
        real.classes.labels,
        real.recordings,
    )
    table = DevelopmentScores.of(data.heard, data.seen, data.truth, data.labels)
    fusion = FusionFitter(settings).fit(data.heard, data.seen, data.truth, data.labels).fusion_
    held_out = cross_validate(table, settings, data.groups, folds)
    calibrated = _calibrated(table, held_out, scale)
    methods = {m: replace(settings, method=m) for m in (FITS if compare else [settings.method])}
    points = {p: replace(settings, point=p) for p in OPERATING_POINTS}
    return Tuning(
        fusion=replace(
            with_scales(fusion, calibrated),
            note=_note(settings, data, held_out),
            fitted_ear=_only(read.branches.get("heard", ())),
            fitted_eye=_only(read.branches.get("seen", ())),
        ),
        settings=settings,
        clips=len(data.names),
        unanswered=data.unanswered,
        fitted=Counts.of(fusion.decide(data.heard, data.seen), data.truth),
        held_out=held_out,
        points=_fused(table, points, data, folds),
        methods=_fused(table, methods, data, folds),
        heard=int(np.isfinite(data.heard).any(1).sum()),
        seen=int(np.isfinite(data.seen).any(1).sum()),
        remarks=(*real.remarks, *_mixed(read.branches)),
        intervals=held_out_lines(held_out.said, data.truth, data.groups),
        looking=_looked(held_out, data, real),
        scales=_names(calibrated, data.labels),
        calibration=_reliabilities(held_out.scores, calibrated["both"].held_out, data),
    )


def _looked(held_out: Honest, data: LabelledScores, real: WeakTruth) -> Counted:
    """Held-out decisions; of silent sights where the truth has a column `visible`."""
    counts = looking(held_out.said, data.truth, data.labels)
    sights = sight_counts(held_out.said["fused"], data.names, real)
    return {label: row | sights.get(label, {}) for label, row in counts.items()}


def _only(names: Sequence[str]) -> str:
    """The one ear or eye of all results; empty if there were several."""
    return names[0] if len(names) == 1 else ""


def _mixed(branches: Mapping[str, Sequence[str]]) -> list[str]:
    what = {"heard": "ears", "seen": "eyes"}
    return [
        f"results of {len(names)} {what[branch]}: {'; '.join(names)}"
        for branch, names in branches.items()
        if len(names) > 1
    ]


def _calibrated(table: DevelopmentScores, held: Honest, choice: str) -> dict[str, CalibratedRow]:
    """Scales per row; those of `both` from scores of fits that never saw the clip."""
    rows = {"both": held.scores, "ear": table.heard, "eye": table.seen}
    return {row: calibrate(s, table.truth, held.parts, choice) for row, s in rows.items()}


def _names(rows: Mapping[str, CalibratedRow], labels: Sequence[str]) -> dict[str, str]:
    return dict(zip(labels, rows["both"].names, strict=True))


def _reliabilities(before: Floats, after: Floats, data: LabelledScores) -> dict[str, Reliability]:
    found = {"before": reliability(before, data.truth), "after": reliability(after, data.truth)}
    return {name: r for name, r in found.items() if r is not None}


def _fused(
    table: DevelopmentScores, settings: Mapping[str, FitSettings], data: LabelledScores, folds: int
) -> dict[str, Counts]:
    return {
        name: cross_validate(table, s, data.groups, folds).fused for name, s in settings.items()
    }


def _averages(counts: Counts) -> dict[str, float]:
    return {"f1": counts.f1, "precision": counts.precision, "recall": counts.recall}


def _note(settings: FitSettings, data: LabelledScores, held_out: Honest) -> str:
    both = int((np.isfinite(data.heard) & np.isfinite(data.seen)).any(1).sum())
    return (
        f"Fitted with method {settings.method}, point {settings.point}, to {len(data.names)} clips"
        f" ({both} both heard and seen). Micro-F1 on held-out clips, {held_out.folds} folds:"
        f" {held_out.fused.f1:.3f} fused, {held_out.heard.f1:.3f} ear only,"
        f" {held_out.seen.f1:.3f} eye only."
    )

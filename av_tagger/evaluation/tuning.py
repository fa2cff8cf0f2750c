"""From labelled results to a fusion: fitted on all of them, measured honestly on held-out folds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from av_tagger.dcase import read_weak
from av_tagger.evaluation.development import Development, side_by_side
from av_tagger.evaluation.predictions import read_predictions
from av_tagger.fusion.counts import Counts
from av_tagger.fusion.cross import Honest, cross_validate
from av_tagger.fusion.fit import FITS, DevelopmentScores, FitSettings, FusionFitter
from av_tagger.fusion.thresholds import OPERATING_POINTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from av_tagger.fusion import Weighing
    from av_tagger.labels import ClassList


@dataclass(frozen=True)
class Tuning:
    """A fitted fusion, and what it is worth."""

    fusion: Weighing
    settings: FitSettings
    clips: int
    unanswered: int
    inside: Counts  # on the very clips that it was fitted to: flattering
    honest: Honest
    points: Mapping[str, Counts]  # by operating point, honest
    methods: Mapping[
        str, Counts
    ]  # by fit method, honest; only the chosen one unless a comparison was asked for

    @property
    def labels(self) -> tuple[str, ...]:
        return self.fusion.labels

    @property
    def trusts_eye(self) -> tuple[str, ...]:
        """Classes where the eye's honest F1 beats the ear's: the rule of AV §3.4."""
        better = self.honest.seen.class_f1 > self.honest.heard.class_f1
        return tuple(label for label, eye in zip(self.labels, better, strict=True) if eye)

    @property
    def weights(self) -> tuple[float | None, ...]:
        """The ear's share of every class, where the method has such a thing."""
        shares = getattr(self.fusion, "weights", None)
        return (
            tuple(None for _ in self.labels) if shares is None else tuple(float(a) for a in shares)
        )

    def as_json(self) -> dict[str, Any]:
        sides = {
            name: {"f1": counts.f1, "precision": counts.precision, "recall": counts.recall}
            for name, counts in self._sides().items()
        }
        points = {
            name: {"f1": c.f1, "precision": c.precision, "recall": c.recall}
            for name, c in self.points.items()
        }
        return {
            "method": self.settings.method,
            "point": self.settings.point,
            "clips": self.clips,
            "unanswered": self.unanswered,
            "folds": self.honest.folds,
            "cross_validated": sides,
            "on_fitted_clips": {"f1": self.inside.f1},
            "points": points,
            "methods": {name: counts.f1 for name, counts in self.methods.items()},
            "trusts_eye": list(self.trusts_eye),
            "classes": {
                row["label"]: {k: v for k, v in row.items() if k != "label"} for row in self.rows()
            },
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row a class: weight, thresholds, honest F1 of each side, positives."""
        rows, sides = (
            self.fusion.rows,
            {name: counts.class_f1 for name, counts in self._sides().items()},
        )
        return [
            {
                "label": label,
                "weight": weight,
                **{row: float(getattr(rows, row)[k]) for row in ("both", "ear", "eye")},
                **{f"f1_{name}": float(f1[k]) for name, f1 in sides.items()},
                "positives": int(self.honest.fused.positives[k]),
            }
            for k, (label, weight) in enumerate(zip(self.labels, self.weights, strict=True))
        ]

    def _sides(self) -> dict[str, Counts]:
        return {"heard": self.honest.heard, "seen": self.honest.seen, "fused": self.honest.fused}


def tune(
    results: Path,
    truth: Path,
    classes: ClassList,
    settings: FitSettings,
    *,
    folds: int = 5,
    compare: bool = False,
) -> Tuning:
    """Fit to the clips that have both scores and truth; clips of one video stay on one side of every fold."""
    data = side_by_side(
        read_predictions(results, classes), read_weak(truth, classes), classes.labels
    )
    table = DevelopmentScores.of(data.heard, data.seen, data.truth, data.labels)
    fusion = FusionFitter(settings).fit(data.heard, data.seen, data.truth, data.labels).fusion_
    honest = cross_validate(table, settings, data.groups, folds)
    others = {
        m: settings if m == settings.method else replace(settings, method=m)
        for m in (FITS if compare else [settings.method])
    }
    return Tuning(
        fusion=replace(fusion, note=_note(settings, data, honest)),
        settings=settings,
        clips=len(data.names),
        unanswered=data.unanswered,
        inside=Counts.of(fusion.decide(data.heard, data.seen), data.truth),
        honest=honest,
        points=_fused(
            table, {p: replace(settings, point=p) for p in OPERATING_POINTS}, data, folds
        ),
        methods=_fused(table, others, data, folds),
    )


def _fused(
    table: DevelopmentScores, settings: Mapping[str, FitSettings], data: Development, folds: int
) -> dict[str, Counts]:
    return {
        name: cross_validate(table, s, data.groups, folds).fused for name, s in settings.items()
    }


def _note(settings: FitSettings, data: Development, honest: Honest) -> str:
    both = int((np.isfinite(data.heard) & np.isfinite(data.seen)).any(1).sum())
    return (
        f"Fitted with method {settings.method}, point {settings.point}, to {len(data.names)} clips ({both} both heard and seen). "
        f"Micro-F1 on held-out clips, {honest.folds} folds: "
        f"{honest.fused.f1:.3f} fused, {honest.heard.f1:.3f} ear alone, {honest.seen.f1:.3f} eye alone."
    )

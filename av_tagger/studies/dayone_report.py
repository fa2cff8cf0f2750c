"""What the day-one ears are worth on clips that nothing was fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.calibration import Calibration, column_of
from av_tagger.evaluation.reliability import diagram, reliability
from av_tagger.labels import dcase2017
from av_tagger.metrics import average_precision
from av_tagger.studies import dayone_audioset, dayone_fit
from av_tagger.studies.dayone_audioset import NamedClips

Floats = NDArray[np.float64]

LABELS = dcase2017().labels
SIRENS = np.array(["iren" in label for label in LABELS])
LEAST = 3  # positives of a class whose average precision counts


@dataclass(frozen=True)
class Worth:
    """One ear on one set of clips."""

    ear: str
    mean_ap: float
    siren_ap: float
    micro_f1: float
    precision: float  # at the operating point `precision`
    false_tags: float  # share of the clips without any class that get a tag
    found: float  # of named clips: their AudioSet class is tagged
    others: float  # and so many tags have nothing to do with the name

    def line(self) -> str:
        numbers = (self.mean_ap, self.siren_ap, self.micro_f1, self.precision)
        shares = f"{100 * self.false_tags:.1f} % | {self.found:.2f} | {self.others:.2f}"
        return f"| {self.ear} | " + " | ".join(f"{v:.3f}" for v in numbers) + f" | {shares} |"


HEADER = (
    "| ear | mean AP | any siren | micro-F1 | precision | false tags | found | others |\n"
    "|---|---|---|---|---|---|---|---|"
)


def worth(calibration: Calibration, p: Floats, truth: Floats, named: NamedClips) -> Worth:
    """`p` (clips, labels of the calibration), `truth` (clips, 17)."""
    ours = column_of(LABELS, calibration.labels)
    q, rows = p[:, ours], {k: v[ours] for k, v in calibration.thresholds.items()}
    told = dayone_audioset.told(p >= calibration.thresholds["f1"], named, calibration.labels)
    return Worth(
        calibration.name,
        dayone_fit.mean_precision(q, truth, LEAST),
        any_siren(q, truth),
        dayone_fit.micro_f1(q, truth, rows["f1"]),
        dayone_fit.precision(q, truth, rows["precision"]),
        dayone_fit.false_tags(q, truth, rows["f1"]),
        told.found,
        told.others,
    )


def any_siren(p: Floats, truth: Floats) -> float:
    """Average precision of the highest siren score; clips that may hold a siren do not count."""
    yes = (truth[:, SIRENS] == 1).any(axis=1)
    known = yes | (truth[:, SIRENS] == 0).all(axis=1)
    return average_precision(p[known][:, SIRENS].max(axis=1), yes[known])


def per_class(p: Floats, truth: Floats, labels: Sequence[str] = LABELS) -> dict[str, float]:
    """Average precision by class, of classes with enough positives."""
    return {
        label: average_precision(p[:, k], truth[:, k])
        for k, label in enumerate(labels)
        if np.nansum(truth[:, k]) >= LEAST
    }


def reliability_lines(p: Floats, truth: Floats) -> list[str]:
    """Calibration of the 17 classes over the pairs whose label is known, with the diagram."""
    found = reliability(p, truth)
    if found is None:
        return ["no pair is known"]
    classes = f"mean of the classes {found.class_ece:.3f}"
    return [*found.lines("heard"), f"{found.pairs} pairs, {classes}", *diagram(found)]

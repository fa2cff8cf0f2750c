"""Marks of a class where ear and eye disagree: "heard, not seen" and "seen, silent"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from av_tagger.fusion.logit import LOOKED, LogitFusion, or_zero
from av_tagger.fusion.scales import ROWS
from av_tagger.fusion.thresholds import Floats
from av_tagger.fusion.weighing import Weighing
from av_tagger.scores import HEARD_NOT_SEEN, SEEN_SILENT, Scores

MARKS = ("", HEARD_NOT_SEEN, SEEN_SILENT)
UNSEEN = 0.1  # evidence below it is none


def marks_of(
    fusion: object, heard: Sequence[Scores], seen: Sequence[Scores]
) -> list[tuple[str, ...]]:
    """For each window one mark per class, empty where the two agree or one had nothing to look at
    or listen to.

    Heard: the ear alone reaches its threshold. Seen: the eye alone reaches its own. Classes that
    cannot be seen are never "not seen".
    """
    pairs = zip(heard, seen, strict=True)
    both = [h.status in LOOKED and s.status in LOOKED for h, s in pairs]
    if not any(both) or not isinstance(fusion, Weighing):
        return [("",) * len(one.labels) for one in heard]
    ear, eye = (np.array([one.probabilities for one in side]) for side in (heard, seen))
    known, hears = np.isfinite(ear), or_zero(ear) >= fusion.rows.ear
    evidence = or_zero(eye)
    sees = _eye_alone(fusion, evidence) >= fusion.rows.eye
    visible = fusion.gain > 0 if isinstance(fusion, LogitFusion) else np.isfinite(eye)
    unseen, silent = hears & visible & (evidence < UNSEEN), known & sees & ~hears
    which = np.where(unseen, 1, np.where(silent, 2, 0)) * np.array(both)[:, None]
    return [tuple(MARKS[mark] for mark in row) for row in which.tolist()]


def ear_limits(
    ear_thresholds: Floats | None, scores: Iterable[tuple[float | None, float, bool]]
) -> list[float | None]:
    """For each class the ear's own threshold, where another one decided.

    `scores`: what was heard, the threshold that decided, and whether the eye could look.
    """
    if ear_thresholds is None:
        return [None for _ in scores]
    return [
        ear if heard is not None and looked and threshold != ear <= 1 else None
        for ear, (heard, threshold, looked) in zip(ear_thresholds.tolist(), scores, strict=True)
    ]


def _eye_alone(fusion: Weighing, evidence: Floats) -> Floats:
    """On the scale of the thresholds of the eye alone."""
    if fusion.scales is None:
        return evidence
    return fusion.scales.apply(evidence, np.full(evidence.shape, ROWS.index("eye")))

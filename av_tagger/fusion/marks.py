"""Marks of a class where ear and eye disagree: "heard, not seen" and "seen, silent"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from av_tagger.fusion.logit import LOOKED, LogitFusion
from av_tagger.fusion.scales import ROWS
from av_tagger.fusion.thresholds import Floats
from av_tagger.fusion.weighing import Weighing
from av_tagger.scores import HEARD_NOT_SEEN, SEEN_SILENT, ClassScore, Scores

UNSEEN = 0.1  # evidence below it is none


def marks_of(fusion: object, heard: Scores, seen: Scores) -> tuple[str, ...]:
    """One per class, empty where the two agree or one had nothing to look at or listen to.

    Heard: the ear alone reaches its threshold. Seen: the eye alone reaches its own. Classes that
    cannot be seen are never "not seen".
    """
    agree = ("",) * len(heard.labels)
    if not isinstance(fusion, Weighing) or not {heard.status, seen.status} <= set(LOOKED):
        return agree
    hears = np.nan_to_num(heard.probabilities) >= fusion.rows.ear
    evidence = np.nan_to_num(seen.probabilities)
    sees = _eye_alone(fusion, evidence) >= fusion.rows.eye
    visible = (
        fusion.gain > 0 if isinstance(fusion, LogitFusion) else np.isfinite(seen.probabilities)
    )
    known = np.isfinite(heard.probabilities)
    unseen, silent = hears & visible & (evidence < UNSEEN), known & sees & ~hears
    marks = np.where(unseen, HEARD_NOT_SEEN, np.where(silent, SEEN_SILENT, ""))
    return tuple(marks.tolist())


def marked(
    found: Sequence[ClassScore],
    pairs: Sequence[tuple[Scores, Scores]],
    fusion: object,
    ear_thresholds: Floats | None,
) -> list[ClassScore]:
    """Each class with its mark, and the ear's own threshold where another one decided.

    `pairs`: what was heard and seen in the window that decided the class.
    """
    windows = {(id(heard), id(seen)): (heard, seen) for heard, seen in pairs}
    marks = {key: marks_of(fusion, heard, seen) for key, (heard, seen) in windows.items()}
    classes = []
    for k, (score, (heard, seen)) in enumerate(zip(found, pairs, strict=True)):
        mark = marks[id(heard), id(seen)][k]
        limit = _other(ear_thresholds, k, score, seen)
        same = mark == score.mark and limit == score.ear_threshold
        classes.append(score if same else replace(score, mark=mark, ear_threshold=limit))
    return classes


def _other(rows: Floats | None, k: int, score: ClassScore, seen: Scores) -> float | None:
    if rows is None or score.heard is None or seen.status not in LOOKED:
        return None
    ear = float(rows[k])
    return ear if ear != score.threshold and ear <= 1 else None


def _eye_alone(fusion: Weighing, evidence: Floats) -> Floats:
    """On the scale of the thresholds of the eye alone."""
    if fusion.scales is None:
        return evidence
    row = np.full((1, len(evidence)), ROWS.index("eye"))
    scaled: Floats = fusion.scales.apply(evidence[None], row)[0]
    return scaled

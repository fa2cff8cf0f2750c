"""What the answers say about thresholds: held-out figures, weighted by how units were drawn.

Units near their threshold are asked first, so that answered units are no random sample. Within the
range of margins that was asked in order all units are answered, beyond it only random ones are.
Each unit counts as many as it stands for: units of its range over answered units of its range.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from av_tagger.fusion.thresholds import NOTHING, simplest_between
from av_tagger.review.state import ReviewState, UnitState
from av_tagger.review.units import ReviewUnit

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

FEWEST = 10  # answers yes, and answers no
FEWEST_RECORDINGS = 5
FEWEST_RANDOM = 5  # beyond the range that was asked in order
FOLDS = 5


@dataclass(frozen=True)
class ThresholdAdvice:
    """One class; `refusal` says why there is no advice."""

    label: str
    row: str  # of thresholds: both, ear, eye
    present: int  # answers yes
    absent: int
    units: int  # candidates
    threshold: float  # now
    suggested: float | None = None
    f1: float = float("nan")  # now, weighted
    held_out: float = float("nan")  # of thresholds chosen without the recording
    precision: float = float("nan")  # held-out
    recall: float = float("nan")  # held-out, among the candidates
    refusal: str = ""

    @property
    def better(self) -> bool:
        return self.suggested is not None and self.held_out > self.f1


@dataclass(frozen=True)
class _Sample:
    scores: Floats
    thresholds: Floats  # of the run
    truth: Bools
    weights: Floats
    folds: Ints


def advise(state: ReviewState, seed: int = 0) -> list[ThresholdAdvice]:
    """For each class with an answer; events of live journals have no fusion and take no part."""
    columns: dict[str, list[ReviewUnit]] = defaultdict(list)
    for unit in state.units.values():
        if not unit.live:
            columns[unit.label].append(unit)
    asked = sorted({unit.label for unit, _ in state.known if not unit.live})
    return [_of_class(label, columns[label], state, seed) for label in asked]


def _of_class(
    label: str, units: Sequence[ReviewUnit], state: ReviewState, seed: int
) -> ThresholdAdvice:
    """Units of the commonest row of thresholds."""
    rows = [unit.row for unit in units]
    row = max(sorted(set(rows)), key=rows.count)
    mine = [unit for unit in units if unit.row == row]
    states = [state.of_unit(unit.key) for unit in mine]
    known = np.array([s.present is not None for s in states])
    present = np.array([bool(s.present) for s in states])
    advice = ThresholdAdvice(
        label, row, int(present.sum()), int((known & ~present).sum()), len(mine), mine[0].threshold
    )
    weights = _weights(mine, states)
    counted = weights > 0
    recordings = [u.recording for u, c in zip(mine, counted, strict=True) if c]
    refusal = _refusal(advice, mine, states, len(set(recordings)))
    if refusal:
        return replace(advice, refusal=refusal)
    used = [unit for unit, counts in zip(mine, counted, strict=True) if counts]
    scores, now = (np.array([getattr(u, key) for u in used]) for key in ("score", "threshold"))
    folds = _folds(recordings, seed)
    return _measured(advice, _Sample(scores, now, present[counted], weights[counted], folds))


def _range(units: Sequence[ReviewUnit], states: Sequence[UnitState]) -> float:
    """The largest margin, in absolute value, that was asked in order; -1 if none was."""
    asked = [abs(u.margin) for u, s in zip(units, states, strict=True) if s.sample == "uncertain"]
    return max(asked, default=-1.0)


def _weights(units: Sequence[ReviewUnit], states: Sequence[UnitState]) -> Floats:
    """How many units each answered one stands for; 0 for the others."""
    near = np.array([abs(u.margin) for u in units]) <= _range(units, states)
    known = np.array([s.present is not None for s in states])
    told = np.array([s.sample == "told" for s in states])
    weights = np.zeros(len(units))
    for part, usable in ((near, known), (~near, known & ~told)):
        mine = part & usable
        if mine.any():
            weights[mine] = (part & ~(told & ~near)).sum() / mine.sum()
    return weights


def _refusal(
    advice: ThresholdAdvice, units: Sequence[ReviewUnit], states: Sequence[UnitState], groups: int
) -> str:
    reach = _range(units, states)
    far = [s for u, s in zip(units, states, strict=True) if abs(u.margin) > reach]
    drawn = sum(s.present is not None and s.sample == "random" for s in far)
    missing = [
        f"{FEWEST - count} more {word}"
        for count, word in ((advice.present, "yes"), (advice.absent, "no"))
        if count < FEWEST
    ]
    if groups < FEWEST_RECORDINGS:
        missing.append(f"{FEWEST_RECORDINGS - groups} more recordings")
    if drawn < min(FEWEST_RANDOM, len(far)):
        missing.append(f"{min(FEWEST_RANDOM, len(far)) - drawn} more random answers")
    return "needs " + ", ".join(missing) if missing else ""


def _folds(recordings: Sequence[str], seed: int) -> Ints:
    """A fold per unit; units of one recording share it."""
    names = sorted(set(recordings))
    order = np.random.default_rng(seed).permutation(len(names))
    fold = {name: int(k) % FOLDS for name, k in zip(names, order, strict=True)}
    return np.array([fold[name] for name in recordings], np.int64)


def _measured(advice: ThresholdAdvice, sample: _Sample) -> ThresholdAdvice:
    """The threshold with the best weighted F1, and its figures where it was not fitted."""
    said = np.zeros(len(sample.truth), np.bool_)
    for fold in np.unique(sample.folds):
        mine = sample.folds == fold
        chosen = best_threshold(sample.scores[~mine], sample.truth[~mine], sample.weights[~mine])
        said[mine] = sample.scores[mine] >= chosen
    precision, recall, f1 = figures(said, sample.truth, sample.weights)
    now = figures(sample.scores >= sample.thresholds, sample.truth, sample.weights)[2]
    return replace(
        advice,
        suggested=best_threshold(sample.scores, sample.truth, sample.weights),
        f1=now,
        held_out=f1,
        precision=precision,
        recall=recall,
    )


def best_threshold(scores: Floats, truth: Bools, weights: Floats) -> float:
    """The cut between scores with the highest weighted F1; above 1 where nothing is right."""
    values = np.unique(scores)[::-1]
    order = np.argsort(-scores, kind="stable")
    ends = np.searchsorted(-scores[order], -values, side="right") - 1
    predicted = np.cumsum(weights[order])[ends]
    right = np.cumsum((weights * truth)[order])[ends]
    total = float((weights * truth).sum())
    if not len(values) or not total:
        return NOTHING
    best = int(np.argmax(2 * right / (predicted + total)))
    below = float(values[best + 1]) if best + 1 < len(values) else -np.inf
    return simplest_between(below, float(values[best]))


def figures(said: Bools, truth: Bools, weights: Floats) -> tuple[float, float, float]:
    """Weighted precision, recall and F1."""
    right = float((weights * (said & truth)).sum())
    predicted, total = float((weights * said).sum()), float((weights * truth).sum())
    precision = right / predicted if predicted else 0.0
    recall = right / total if total else 0.0
    return precision, recall, 2 * right / (predicted + total) if predicted + total else 0.0

"""From object probabilities to sound classes, numpy only: evidence, or the paper's assignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


How = Literal["evidence", "hard", "soft"]


@dataclass(frozen=True)
class Assignment:
    """How objects give their probability to sound classes.

    evidence: to every class that they prove, to others nothing; a class without any has no score.
    hard: all of it to the most similar class (AV section 2.2). soft: shared among all classes.
    """

    how: How = "evidence"
    floor: float | None = None  # less similar or weaker: an object gives nothing; None: the default
    temperature: float = 0.05  # soft: shares are proportional to exp(similarity / temperature)

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"a temperature is positive: {self.temperature = }")

    @property
    def least(self) -> float:
        """The floor as a number. That of evidence keeps out what rests on a mere synonym's end."""
        if self.floor is not None:
            return self.floor
        return EVIDENCE_FLOOR if self.how == "evidence" else -np.inf


EVIDENCE_FLOOR = 0.5
LEAST_EVIDENCE = 0.05  # of a class in the best key frame: below it there is none


def rectify(probabilities: NDArray[np.floating], keep: int = 10) -> Floats:
    """Keep the most probable objects of each row and renormalise them to sum to 1 (AV section 2.2);
    ties: the first.
    """
    rows = np.atleast_2d(np.asarray(probabilities, dtype=np.float64))
    if rows.size and not (rows.min() >= 0 and rows.max() < np.inf):  # false for NaN
        raise ValueError("probabilities are finite and not negative")
    kept = np.where(_largest(rows, keep), rows, 0.0)
    total = kept.sum(axis=1, keepdims=True)
    kept = np.divide(kept, total, out=np.zeros_like(kept), where=total > 0)
    rectified: Floats = kept.reshape(np.shape(probabilities))
    return rectified


def summarise(probabilities: NDArray[np.floating], keep: int = 10) -> Floats:
    """The objects of a clip from those of its key frames: rectify, sum, rectify; exactly the same
    in any order of frames.
    """
    frames = np.sort(
        rectify(np.atleast_2d(probabilities), keep), axis=0
    )  # sorted: floating-point sums depend on order
    return rectify(frames.sum(axis=0), keep)


def _largest(rows: Floats, keep: int) -> NDArray[np.bool_]:
    """Which numbers are the `keep` largest of their row; of equal ones the first."""
    width = rows.shape[1]
    if keep >= width:
        return np.ones(rows.shape, dtype=bool)
    least = np.partition(rows, width - keep, axis=1)[:, width - keep, None]
    largest: NDArray[np.bool_] = rows >= least
    if np.count_nonzero(largest) == keep * len(rows):  # none equal to the least one is left over
        return largest
    above, equal = rows > least, rows == least
    left = keep - above.sum(axis=1, keepdims=True)
    return np.asarray(above | (equal & (equal.cumsum(axis=1) <= left)))


def evidence(
    objects: Floats, strength: NDArray[np.floating], assignment: Assignment
) -> tuple[Floats, Floats]:
    """What (key frames, objects) prove of classes: (classes,) and (objects, classes) parts of it.

    A class counts in the key frame that proves it best. NaN: nothing seen speaks of the class, or
    it has no visible form; that is no opinion, and no "no".
    """
    return evidence_of(objects, proof_of(strength, assignment))


def proof_of(strength: NDArray[np.floating], assignment: Assignment) -> Floats:
    """(objects, classes) strengths of evidence, 0 below the floor: the same for all clips."""
    known = np.nan_to_num(np.asarray(strength, dtype=np.float64))
    return np.where(known >= assignment.least, known, 0.0)


def evidence_of(objects: Floats, proof: Floats) -> tuple[Floats, Floats]:
    """As `evidence`, with the table of `proof_of`."""
    by_frame = np.minimum(np.maximum(objects @ proof, 0.0), 1.0)  # (key frames, classes)
    best, found = by_frame.argmax(axis=0), by_frame.max(axis=0)
    parts = objects[best].T * proof  # (objects, classes)
    return np.where(found >= LEAST_EVIDENCE, found, np.nan), parts


def shares(similarity: NDArray[np.floating], assignment: Assignment) -> Floats:
    """(objects, classes) part of its probability that each object gives to each class; a row sums
    to 1 or to 0.
    """
    if assignment.how not in SHARING:
        raise ValueError(f"{assignment.how} is not shared out; see the function of that name")
    near = np.where(np.isfinite(similarity), similarity, -np.inf).astype(np.float64)
    best = near.max(axis=1, keepdims=True)
    speaks = np.isfinite(best) & (best >= assignment.least)
    given = SHARING[assignment.how](near - np.where(np.isfinite(best), best, 0.0), assignment)
    return np.asarray(np.where(speaks, given, 0.0), dtype=np.float64)


def _hard(distance: Floats, _: Assignment) -> Floats:
    given: Floats = np.eye(distance.shape[1])[distance.argmax(axis=1)]
    return given


def _soft(distance: Floats, assignment: Assignment) -> Floats:
    grown = np.exp(distance / assignment.temperature)
    total = grown.sum(axis=1, keepdims=True)
    given: Floats = np.divide(grown, total, out=np.zeros_like(grown), where=total > 0)
    return given


SHARING = {"hard": _hard, "soft": _soft}

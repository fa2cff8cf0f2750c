"""Arithmetic of the eye's verdict, numpy only: rectify object probabilities, sum them, hand them to sound classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Assignment:
    """How objects give their probability to sound classes."""

    how: Literal["hard", "soft"] = (
        "hard"  # hard: all of it to the most similar class (AV section 2.2)
    )
    floor: float | None = (
        None  # an object less similar than this to every class gives nothing; None as in the paper
    )
    temperature: float = (
        0.05  # soft only: classes share in proportion to exp(similarity / temperature)
    )

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"a temperature is positive: {self.temperature = }")


def rectify(probabilities: NDArray[np.floating], keep: int = 10) -> Floats:
    """Keep the most probable objects of each row and renormalise them to sum to 1 (AV section 2.2); ties: the first."""
    rows = np.atleast_2d(np.asarray(probabilities, dtype=np.float64))
    if not np.isfinite(rows).all() or (rows < 0).any():
        raise ValueError("probabilities are finite and not negative")
    order = np.argsort(-rows, axis=1, kind="stable")[:, :keep]
    kept = np.zeros_like(rows)
    np.put_along_axis(kept, order, np.take_along_axis(rows, order, axis=1), axis=1)
    total = kept.sum(axis=1, keepdims=True)
    kept = np.divide(kept, total, out=np.zeros_like(kept), where=total > 0)
    rectified: Floats = kept.reshape(np.shape(probabilities))
    return rectified


def summarise(probabilities: NDArray[np.floating], keep: int = 10) -> Floats:
    """The objects of a clip from those of its key frames: rectify, sum, rectify; exactly the same in any order of frames."""
    frames = np.sort(
        rectify(np.atleast_2d(probabilities), keep), axis=0
    )  # sorted: floating-point sums depend on order
    return rectify(frames.sum(axis=0), keep)


def shares(similarity: NDArray[np.floating], assignment: Assignment) -> Floats:
    """(objects, classes) part of its probability that each object gives to each class; a row sums to 1 or to 0."""
    near = np.where(np.isfinite(similarity), similarity, -np.inf).astype(np.float64)
    best = near.max(axis=1, keepdims=True)
    speaks = np.isfinite(best) & (
        best >= (-np.inf if assignment.floor is None else assignment.floor)
    )
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

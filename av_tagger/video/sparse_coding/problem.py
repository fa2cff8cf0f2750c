"""Input and output of the solvers: validated dissimilarities, and a coding with its certificate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError
from av_tagger.protocols import Representatives

Matrix = NDArray[np.float64]  # (n, n): row i represents column j at cost d_ij
Dissimilarity = NDArray[np.floating[Any]]  # the same, perhaps in float32
Batch = Matrix | Sequence[Dissimilarity]  # (b, n, n), or matrices of one size
Rows = NDArray[np.int64]
Norm = Literal["inf", "l2"]

TINY, HUGE = 1e-150, 1e150  # between them a sum of all entries stays in the range of a double


@dataclass(frozen=True)
class Effort:
    """Limits of a proof, in steps rather than seconds, so that results do not depend on the
    machine.
    """

    iterations: int = 500  # of the dual ascent
    tolerance: float = 1e-6  # relative gap at which a proof is complete
    nodes: int = 600  # of the branching that finishes what the dual alone cannot


@dataclass(frozen=True)
class Coding(Representatives):
    """Representatives, and the penalties lambda (in the units of D) at which the paper's program
    chooses just these rows.
    """

    lambdas: tuple[float, float] | None = None

    def in_units_of(self, scale: float) -> Coding:
        """The answer for a matrix that is so many times this one."""
        low, high = self.lambdas or (0.0, 0.0)
        return Coding(
            self.rows,
            self.weights,
            self.objective * scale,
            self.lower_bound * scale,
            self.lambdas and (low * scale, high * scale),
        )


def checked(D: NDArray[np.generic]) -> Matrix:
    """A batch (b, n, n) of finite, non-negative float64 dissimilarities, or a sentence that says
    what is wrong.
    """
    D = np.asarray(D)
    if D.dtype.kind not in "fiub":
        raise UsageError(f"dissimilarities are real numbers, not {D.dtype}")
    batch = np.ascontiguousarray(D, dtype=np.float64)
    batch = batch[None] if batch.ndim == 2 else batch
    if batch.ndim != 3 or batch.shape[1] != batch.shape[2]:
        raise UsageError(f"dissimilarities are one (n, n) or a batch (b, n, n), not {D.shape}")
    if batch.shape[1] == 0:
        raise UsageError("there is nothing to represent: the matrix of dissimilarities is empty")
    for b, one in enumerate(batch):
        low, high = one.min(), one.max()  # a NaN shows in both, an infinity in one
        if not (np.isfinite(low) and np.isfinite(high)):
            raise UsageError(
                f"matrix {b} of the dissimilarities holds NaN or infinity; "
                "look at the features that it was made from"
            )
        if low < 0:
            raise UsageError(
                f"matrix {b} of the dissimilarities holds a negative value ({low:g}); "
                "take distances, not similarities"
            )
    return batch


def checked_count(count: int) -> int:
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
        raise UsageError(f"count must be an integer of at least 1, not {count!r}")
    return int(count)


def normalised(
    D: Matrix, out: Matrix | None = None, top: float | None = None
) -> tuple[Matrix, float]:
    """D over its mean: tiny or huge units make solvers call a wrong answer optimal.

    The result is written into `out`, if there is one; `top` is the largest entry, if it is known.
    """
    top = float(D.max()) if top is None else top
    out = np.empty(D.shape) if out is None else out
    if top == 0.0:
        out[:] = D
        return out, 1.0
    if TINY < top < HUGE:
        scale = float(D.mean())
    else:  # in two steps, so that neither 1e-300 nor 1e300 leaves the range of a double
        scale = max(top * float(np.divide(D, top, out=out).mean()), np.finfo(float).tiny)
    return np.divide(D, scale, out=out), scale


def scaled(D: Dissimilarity, out: Matrix, top: float) -> float:
    """Write D over a power of two into `out`, so that its mean is 1 to 2; returns that power.

    As good as `normalised`, at a third of the cost, and nothing is rounded. `top` > 0 is the
    largest entry.
    """
    if TINY < top < HUGE:
        mean = float(np.einsum("ij->", D)) / D.size  # a third of the time of `mean`
    else:
        mean = max(top * float(np.divide(D, top, out=out).mean()), np.finfo(float).tiny)
    power = math.ldexp(1.0, math.frexp(mean)[1] - 1)
    out[...] = D
    out *= 1.0 / power
    return power


def assign(D: Matrix, rows: Rows) -> tuple[Rows, NDArray[np.float64]]:
    """For every column which of the rows is nearest (the first of equals), and how near."""
    part = D[rows]
    return part.argmin(axis=0), part.min(axis=0)


def shares(D: Matrix, rows: Rows) -> NDArray[np.float64]:
    """Row sums of the binary Z over n: every frame goes to its nearest representative."""
    return _shares(assign(D, rows)[0], len(rows))


def _shares(nearest: Rows, count: int) -> NDArray[np.float64]:
    return np.asarray(np.bincount(nearest, minlength=count) / len(nearest))


def cost(D: Matrix, rows: Rows) -> float:
    return float(D[rows].min(axis=0).sum())


def coded(
    D: Matrix, rows: Rows, lower_bound: float = 0.0, lambdas: tuple[float, float] | None = None
) -> Coding:
    """Each frame with its nearest of these rows, as an answer; a baseline proves nothing but cost
    >= 0.
    """
    rows = np.sort(np.asarray(rows, dtype=np.int64))
    nearest, apart = assign(D, rows)
    objective = float(apart.sum())
    lower_bound = min(max(lower_bound, 0.0), objective)
    return Coding(rows, _shares(nearest, len(rows)), objective, lower_bound, lambdas)


def evenly(n: int, count: int) -> Rows:
    """The middles of `count` equal parts of n frames."""
    count = min(n, count)
    return ((2 * np.arange(count, dtype=np.int64) + 1) * n) // (2 * count)


def fill_evenly(rows: Rows, n: int, count: int) -> Rows:
    """More rows, each time the middle (earliest of equals) of the widest stretch of time without
    one.
    """
    chosen = sorted(int(r) for r in rows)
    while len(chosen) < min(n, count):
        edges = [-1, *chosen, n]
        gaps = [b - a for a, b in pairwise(edges)]
        widest = int(np.argmax(gaps))
        chosen.insert(widest, (edges[widest] + edges[widest + 1]) // 2)
    return np.array(chosen, dtype=np.int64)


def fill_by_coverage(D: Matrix, rows: Rows, count: int) -> Rows:
    """More rows, each time the one that lowers the cost most (the first of equals)."""
    chosen = [int(r) for r in rows]
    reach = D[chosen].min(axis=0) if chosen else np.full(D.shape[1], 2.0 * D.max() + 1.0)
    while len(chosen) < min(len(D), count):
        gain = np.maximum(0.0, reach - D).sum(axis=1)
        gain[chosen] = -1.0
        chosen.append(int(gain.argmax()))
        reach = np.minimum(reach, D[chosen[-1]])
    return np.array(sorted(chosen), dtype=np.int64)

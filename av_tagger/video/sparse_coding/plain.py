"""The search in plain numpy, one matrix at a time: swaps for the primal, prices for the dual, each
feeding the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from av_tagger.video.sparse_coding.problem import Matrix, Rows, fill_by_coverage

EPSILON = 1e-12  # per column of a D with mean 1: what counts as equal cost
MOMENTUM = 0.5  # of the dual's direction: the deflection of a subgradient by the one before it
PATIENCE = 20  # steps without a better bound before the step is halved
MAX_SWAPS = 1000

Prices = NDArray[np.float64]


def search(D: Matrix, count: int, iterations: int, tolerance: float) -> tuple[Rows, Prices]:
    """k medoids of a normalised D (k < n) and the prices v that prove how good they are."""
    rows, d1, d2 = swap(D, greedy(D, count))
    ascent = Ascent(0.5 * (d1 + d2))
    for step in range(iterations):
        boxed = (
            step < iterations // 2
        )  # an optimal v lies in [d1, d2] when the k-median relaxation is integral; later: anywhere
        bound, top, slope = _look(D, ascent.v, count)
        ascent.note(bound)
        upper = float(d1.sum())
        if upper - ascent.best <= tolerance * upper:
            break
        if float(D[top].min(axis=0).sum()) < upper - EPSILON * len(D):
            rows, d1, d2 = swap(D, top)
        ascent.climb(slope, float(d1.sum()) - bound)
        if boxed:
            ascent.v = np.clip(ascent.v, d1, d2)
    return np.sort(rows), ascent.best_v


class Ascent:
    """Deflected subgradient steps, scaled by the gap (Polyak), halved from the best point when they
    stall.
    """

    def __init__(self, v: Prices) -> None:
        self.v = v
        self.best_v = v
        self.best = -np.inf
        self._theta = 1.0
        self._stalled = 0
        self._direction = np.zeros_like(v)

    def note(self, bound: float) -> None:
        if bound > self.best:
            self.best, self.best_v, self._stalled = bound, self.v.copy(), 0
        else:
            self._stalled += 1

    def climb(self, slope: Prices, gap: float) -> None:
        if self._stalled >= PATIENCE:
            self._theta, self._stalled = 0.5 * self._theta, 0
            self.v = self.best_v.copy()
            self._direction = np.zeros_like(slope)
            return
        self._direction = slope + MOMENTUM * self._direction
        self.v = (
            self.v
            + self._theta
            * gap
            / (float(self._direction @ self._direction) + 1e-30)
            * self._direction
        )


def _look(D: Matrix, v: Prices, count: int) -> tuple[float, Rows, Prices]:
    """LB_k at v, the k rows that are worth most there, and the slope of LB_k: 1 - how many of them
    j pays.
    """
    room = v - D
    rho = np.maximum(room, 0.0).sum(axis=1)
    top = np.argsort(-rho, kind="stable")[:count]
    return float(v.sum() - rho[top].sum()), top, 1.0 - (room[top] > 0.0).sum(axis=0)


def greedy(D: Matrix, count: int) -> Rows:
    """The best single row, then each time the row that lowers the cost most."""
    return fill_by_coverage(D, np.array([D.sum(axis=1).argmin()], dtype=np.int64), count)


def nearest_two(D: Matrix, rows: Rows) -> tuple[NDArray[np.int64], Prices, Prices]:
    """For each column: which row is nearest, how near, and how near the second is (worse than any
    row when there is none).
    """
    part = D[rows]
    near = part.argmin(axis=0)
    d1 = np.take_along_axis(part, near[None], axis=0)[0]
    if len(rows) == 1:
        return near, d1, np.full(D.shape[1], 2.0 * D.max() + 1.0)
    np.put_along_axis(part, near[None], np.inf, axis=0)
    return near, d1, part.min(axis=0)


def swap_costs(D: Matrix, rows: Rows) -> tuple[NDArray[np.float64], Prices, Prices]:
    """(n, k): by how much the cost changes when row i takes the place of medoid m, in one pass over
    D (FasterPAM's sums).
    """
    near, d1, d2 = nearest_two(D, rows)
    close = np.minimum(D, d1)
    belongs = (near[:, None] == np.arange(len(rows))).astype(np.float64)
    change = (np.minimum(D, d2) - close) @ belongs
    change += (close.sum(axis=1) - d1.sum())[:, None]
    change[rows] = np.inf  # a medoid cannot come in
    return change, d1, d2


def swap(D: Matrix, rows: Rows) -> tuple[Rows, Prices, Prices]:
    """The best swap until none helps; then, among swaps that cost nothing, the lowest index."""
    rows = rows.copy()
    for _ in range(MAX_SWAPS):
        change, d1, d2 = swap_costs(D, rows)
        i, m = divmod(int(change.argmin()), len(rows))
        if change[i, m] >= -EPSILON * len(D):
            ties = np.argwhere((change <= EPSILON * len(D)) & (np.arange(len(D))[:, None] < rows))
            if not len(ties):
                break
            i, m = (int(x) for x in ties[0])
        rows[m] = i
    return rows, d1, d2

"""The fixed penalty, infinity norm: the paper's relaxed program at a given lambda, solved to proof,
the number of rows free.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from av_tagger.video.sparse_coding.bounds import gains, penalty_bound
from av_tagger.video.sparse_coding.plain import (
    EPSILON,
    MAX_SWAPS,
    Ascent,
    Prices,
    nearest_two,
    swap_costs,
)
from av_tagger.video.sparse_coding.problem import Coding, Effort, Matrix, Rows, assign, cost, shares
from av_tagger.video.sparse_coding.program import linear_program

_ROUNDS = 60  # of adding columns to the restricted linear program


def penalise(D: Matrix, lambda_: float, effort: Effort) -> Coding:
    """An optimum of min_Z lambda sum_i max_j z_ij + sum_ij z_ij d_ij for a normalised D; binary
    whenever a binary optimum is proven.
    """
    rows = local_search(D, lambda_)
    rows, v = _ascend(D, rows, lambda_, effort)
    objective, lower = _value(D, rows, lambda_), penalty_bound(D, v, lambda_)
    if objective - lower <= effort.tolerance * objective:
        return Coding(rows, shares(D, rows), objective, min(lower, objective), (lambda_, lambda_))
    return _restricted(D, rows, v, lambda_, effort)


def _value(D: Matrix, rows: Rows, lambda_: float) -> float:
    return cost(D, rows) + lambda_ * len(rows)


def local_search(D: Matrix, lambda_: float, rows: Rows | None = None) -> Rows:
    """Add, drop or swap a row, whichever lowers the objective most, until nothing does."""
    rows = np.array([D.sum(axis=1).argmin()], dtype=np.int64) if rows is None else rows.copy()
    for _ in range(MAX_SWAPS + 4 * len(D)):
        change, d1, d2 = swap_costs(D, rows)
        near = D[rows].argmin(axis=0)
        add = lambda_ - gains(D, d1)
        add[rows] = np.inf
        drop = np.bincount(near, weights=d2 - d1, minlength=len(rows)) - lambda_
        best = min(
            float(change.min()), float(add.min()), float(drop.min()) if len(rows) > 1 else np.inf
        )
        if best >= -EPSILON * len(D):
            break
        rows = _moved(rows, change, add, drop, best)
    return np.sort(rows)


def _moved(
    rows: Rows, change: Matrix, add: NDArray[np.float64], drop: NDArray[np.floating], best: float
) -> Rows:
    if add.min() == best:
        return np.append(rows, add.argmin())
    if drop.min() == best and len(rows) > 1:
        return np.delete(rows, drop.argmin())
    i, m = divmod(int(change.argmin()), len(rows))
    rows[m] = i
    return rows


def _ascend(D: Matrix, rows: Rows, lambda_: float, effort: Effort) -> tuple[Rows, Prices]:
    """The dual ascent of the fixed count, with sum_i max(0, rho_i - lambda) in place of the k
    largest rho_i.
    """
    _, d1, d2 = nearest_two(D, rows)
    d2 = np.minimum(d2, d1 + lambda_ + D.max())
    ascent = Ascent(np.minimum(0.5 * (d1 + d2), d1 + lambda_))
    upper = _value(D, rows, lambda_)
    for step in range(effort.iterations):
        room = ascent.v - D
        rho = np.maximum(room, 0.0).sum(axis=1)
        over = np.flatnonzero(rho > lambda_)
        bound = float(ascent.v.sum() - (rho[over] - lambda_).sum())
        ascent.note(bound)
        if upper - ascent.best <= 0.5 * effort.tolerance * upper:
            break
        if len(over) and _value(D, over, lambda_) < upper - EPSILON * len(D):
            rows = local_search(D, lambda_, over)
            upper = _value(D, rows, lambda_)
            _, d1, d2 = nearest_two(D, rows)
        ascent.climb(1.0 - (room[over] > 0.0).sum(axis=0), upper - bound)
        if step < effort.iterations // 2:
            ascent.v = np.clip(ascent.v, d1, d2)
    return rows, ascent.best_v


def _restricted(D: Matrix, rows: Rows, v: Prices, lambda_: float, effort: Effort) -> Coding:
    """The linear program itself on the entries that matter, more entries where its prices say so,
    until the bound holds for all.
    """
    use = v + 1e-9 >= D
    use |= assign(D, rows)[1] >= D
    lower, answer = penalty_bound(D, v, lambda_), None
    for _ in range(_ROUNDS):
        Z, prices = linear_program(D, lambda_, use)
        lower = max(lower, penalty_bound(D, prices, lambda_))
        objective = float(lambda_ * Z.max(axis=1).sum() + (Z * D).sum())
        answer = (Z, objective)
        if objective - lower <= effort.tolerance * objective:
            break
        use |= (prices > D) & (gains(D, prices) > lambda_ * (1.0 - 1e-9))[:, None]
    assert answer is not None
    Z, objective = answer
    kept = np.flatnonzero(Z.sum(axis=1) > 1e-9)
    return Coding(
        kept, Z[kept].sum(axis=1) / len(D), objective, min(lower, objective), (lambda_, lambda_)
    )

"""The relaxed program as a linear program for HiGHS, over the entries of Z that are in use: the last resort of a proof."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from av_tagger.video.sparse_coding.bounds import gains
from av_tagger.video.sparse_coding.plain import Prices
from av_tagger.video.sparse_coding.problem import Matrix, Rows, assign

_ROUNDS = 30  # of adding entries

Used = NDArray[np.bool_]


def linear_program(D: Matrix, lambda_: float, use: Used, count: int | None = None) -> tuple[Matrix, Prices]:
    """min lambda sum_i y_i + sum d_ij z_ij, sum_i z_ij = 1, z_ij <= y_i, and with a count sum_i y_i = k; Z and the prices of the columns."""
    from scipy import optimize, sparse  # noqa: PLC0415

    i, j = np.nonzero(use)
    n, m = len(D), len(i)
    at = np.arange(m)
    equal = sparse.csr_array((np.ones(m), (j, at)), shape=(n, m + n))
    below = sparse.csr_array((np.r_[np.ones(m), -np.ones(m)], (np.r_[at, at], np.r_[at, m + i])), shape=(m, m + n))
    right = np.ones(n)
    if count is not None:
        rows = sparse.csr_array((np.ones(n), (np.zeros(n, dtype=np.int64), m + np.arange(n))), shape=(1, m + n))
        equal, right = sparse.vstack([equal, rows], format="csr"), np.append(right, count)
    costs = np.r_[D[i, j], np.full(n, lambda_)]
    solved = optimize.linprog(costs, A_ub=below, b_ub=np.zeros(m), A_eq=equal, b_eq=right, bounds=(0, None), method="highs")
    Z = np.zeros_like(D)
    Z[i, j] = np.maximum(0.0, solved.x[:m])
    return Z / Z.sum(axis=0), np.asarray(solved.eqlin.marginals[:n])


def count_prices(D: Matrix, rows: Rows, v: Prices, allowed: Used) -> Prices:
    """The prices of the best bound on k rows out of the allowed ones, by entries that are added until none is missing."""
    count = len(rows)
    use = allowed[:, None] & ((v + 1e-9 >= D) | (assign(D, rows)[1] >= D))
    best, prices = -np.inf, v
    for _ in range(_ROUNDS):
        Z, found = linear_program(D, 0.0, use, count)
        rho = np.where(allowed, gains(D, found), 0.0)
        bound = float(found.sum() - np.sort(rho)[-count:].sum())
        if bound > best:
            best, prices = bound, found
        missing = allowed[:, None] & (found > D) & ~use
        if not missing.any() or float((Z * D).sum()) - best <= 1e-9 * float((Z * D).sum()):
            break
        use |= missing
    return prices

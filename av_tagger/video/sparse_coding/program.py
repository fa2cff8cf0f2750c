"""The relaxed program as a linear program for HiGHS, over the entries of Z that are in use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from av_tagger.video.sparse_coding.plain import Prices
from av_tagger.video.sparse_coding.problem import Matrix

Used = NDArray[np.bool_]


def linear_program(D: Matrix, lambda_: float, use: Used) -> tuple[Matrix, Prices]:
    """min lambda sum_i y_i + sum d_ij z_ij, sum_i z_ij = 1, z_ij <= y_i; Z and the prices of the
    columns.
    """
    from scipy import optimize, sparse

    i, j = np.nonzero(use)
    n, m = len(D), len(i)
    at = np.arange(m)
    equal = sparse.csr_array((np.ones(m), (j, at)), shape=(n, m + n))
    below = sparse.csr_array(
        (np.r_[np.ones(m), -np.ones(m)], (np.r_[at, at], np.r_[at, m + i])), shape=(m, m + n)
    )
    costs = np.r_[D[i, j], np.full(n, lambda_)]
    solved = optimize.linprog(
        costs,
        A_ub=below,
        b_ub=np.zeros(m),
        A_eq=equal,
        b_eq=np.ones(n),
        bounds=(0, None),
        method="highs",
    )
    Z = np.zeros_like(D)
    Z[i, j] = np.maximum(0.0, solved.x[:m])
    return Z / Z.sum(axis=0), np.asarray(solved.eqlin.marginals)

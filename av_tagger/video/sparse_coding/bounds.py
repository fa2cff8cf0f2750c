"""Proofs: lower bounds from a price v_j per column, and the penalties lambda that they certify
(numpy, any float64 matrix).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from av_tagger.video.sparse_coding.problem import Matrix, Rows, cost

_BLOCK = 32  # rows at a time, which stay in a core's cache
_ROUNDING = 4e-15  # a few ulp: no bound may exceed the optimum by rounding


def gains(D: Matrix, v: NDArray[np.float64]) -> NDArray[np.float64]:
    """rho_i = sum_j max(0, v_j - d_ij): what row i is worth when column j pays v_j."""
    rho, room = np.empty(len(D)), np.empty((min(len(D), _BLOCK), len(v)))
    for begin in range(0, len(D), _BLOCK):
        part = D[begin : begin + _BLOCK]
        block = np.subtract(v, part, out=room[: len(part)])
        np.maximum(block, 0.0, out=block).sum(axis=1, out=rho[begin : begin + _BLOCK])
    return rho


def _careful(bound: float, v: NDArray[np.float64], rho: NDArray[np.float64]) -> float:
    return bound - _ROUNDING * float(np.abs(v).sum() + rho.max(initial=0.0) * np.sqrt(len(v)))


def count_bound(
    D: Matrix, v: NDArray[np.float64], count: int, rho: NDArray[np.float64] | None = None
) -> float:
    """LB_k = sum_j v_j - (the k largest rho_i) <= the cost of any k rows, and of the k-row linear
    relaxation.
    """
    rho = gains(D, v) if rho is None else rho
    return _careful(
        float(v.sum() - np.partition(rho, len(rho) - count)[len(rho) - count :].sum()), v, rho
    )


def penalty_bound(D: Matrix, v: NDArray[np.float64], lambda_: float) -> float:
    """LB = sum_j v_j - sum_i max(0, rho_i - lambda) <= the program at lambda, relaxed (infinity
    norm) or binary.
    """
    rho = gains(D, v)
    return _careful(float(v.sum() - np.maximum(0.0, rho - lambda_).sum()), v, rho)


def lambda_interval(
    D: Matrix, v: NDArray[np.float64], count: int, rho: NDArray[np.float64] | None = None
) -> tuple[float, float]:
    """[rho_(k+1), rho_(k)]: for any lambda within, LB(lambda) = LB_k + k lambda, so k medoids that
    close the gap of LB_k are an optimum of the paper's relaxed program at that lambda.
    """
    rho = np.sort(gains(D, v) if rho is None else rho)[::-1]
    return (float(rho[count]) if count < len(rho) else 0.0), float(rho[count - 1])


def certified(D: Matrix, rows: Rows, v: NDArray[np.float64]) -> tuple[float, float]:
    """Objective and lower bound of these rows, computed anew from D: no search is believed."""
    return cost(D, rows), max(0.0, count_bound(D, v, len(rows)))


def lambda_necessary(D: Matrix) -> float:
    """C_1 - C_2: with a smaller lambda two rows beat one (C_2 here over exact pairs, so the figure
    is exact).
    """
    if len(D) == 1:
        return 0.0
    best_pair = min(
        float(np.minimum(D[i], D[i + 1 :]).sum(axis=1).min()) for i in range(len(D) - 1)
    )
    return max(0.0, float(D.sum(axis=1).min()) - best_pair)


def lambda_max(D: Matrix) -> float:
    """sum_j (max_i d_ij - d_l*j), l* the best single row: from here on one representative explains
    all (infinity norm).

    Proof: spread lambda over v_j = d_l*j + s_j so that every v_j >= max_i d_ij; then rho_i = sum_j
    v_j - sum_j d_ij <= lambda for every row (l* has the least row sum), and the bound is sum_j v_j
    = C_1 + lambda, which l* reaches. The published max_i ||d_i - d_l*||_1 / 2 is wrong in both
    directions.
    """
    best = int(D.sum(axis=1).argmin())
    return float((D.max(axis=0) - D[best]).sum())

"""The fixed penalty, l2 row norm: ADMM with a certificate, the relaxation that the paper's authors
solve.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from av_tagger.video.sparse_coding.problem import Coding, Matrix

TOLERANCE = 1e-4  # relative gap at which ADMM stops
ROW = 1e-3  # of a frame: a row with a smaller sum is a zero of the solver, not a representative
_ITERATIONS = 20_000
_LOOK = 10  # iterations between two computations of the gap
_RELAXATION = 1.6


def group_sparse(D: Matrix, lambda_: float, tolerance: float = TOLERANCE) -> Coding:
    """min_Z lambda sum_i ||z_i||_2 + sum_ij z_ij d_ij, columns of Z on the simplex, for a
    normalised D.
    """
    n = len(D)
    Y, U = np.full((n, n), 1.0 / n), np.zeros((n, n))
    rho = 1.0 / max(1.0, np.sqrt(n))
    lower, upper, best = -np.inf, np.inf, Y
    tau = None
    for step in range(1, _ITERATIONS + 1):
        Z, tau = on_simplex(Y - U - D / rho, tau)
        before, mixed = Y, _RELAXATION * Z + (1.0 - _RELAXATION) * Y
        Y = shrink(mixed + U, lambda_ / rho)
        U = U + mixed - Y  # rho U lies in the dual ball by construction of Y
        if step % _LOOK:
            continue
        lower = max(lower, ball_bound(D, rho * U, lambda_))
        for candidate in (
            Z,
            _supported(D, Y, Z),
        ):  # the sparse one last: it is what closes the gap, unless it costs too much
            value = objective(D, candidate, lambda_)
            if value < upper or value - lower <= tolerance * value:
                upper, best = value, candidate
        if upper - lower <= tolerance * upper:
            break
        rho, U = _balanced(
            rho, U, float(np.linalg.norm(Z - Y)), rho * float(np.linalg.norm(Y - before))
        )
    rows = np.flatnonzero(best.sum(axis=1) > ROW)
    return Coding(
        rows, best[rows].sum(axis=1) / n, upper, min(max(lower, 0.0), upper), (lambda_, lambda_)
    )


def objective(D: Matrix, Z: Matrix, lambda_: float) -> float:
    return float(lambda_ * np.linalg.norm(Z, axis=1).sum() + (Z * D).sum())


def ball_bound(D: Matrix, W: Matrix, lambda_: float) -> float:
    """LB = sum_j min_i (d_ij + w_ij) for any W whose rows lie in the ball of radius lambda (they
    are pulled into it).
    """
    size = np.linalg.norm(W, axis=1, keepdims=True)
    inside = W * np.minimum(1.0, lambda_ / np.maximum(size, 1e-300))
    return float((D + inside).min(axis=0).sum()) * (1.0 - 1e-14)


def prices_bound(D: Matrix, v: NDArray[np.float64], lambda_: float) -> float:
    """The bound from column prices: w_ij = max(0, v_j - d_ij), projected into the ball."""
    return ball_bound(D, np.maximum(0.0, v - D), lambda_)


def on_simplex(
    X: Matrix, start: NDArray[np.float64] | None = None
) -> tuple[Matrix, NDArray[np.float64]]:
    """Every column's nearest point max(0, x - tau) with entries >= 0 that sum to 1, and tau.

    Newton on sum_i max(0, x_i - tau) = 1, convex and piecewise linear in tau: from any start with
    something above it, the first step lands at or below the root and the others rise to it; a start
    from the last iteration needs two or three.
    """
    lowest = X.max(axis=0) - 1.0
    tau = (
        lowest if start is None else np.minimum(start, lowest + 1.0 - 1.0 / len(X))
    )  # the root lies between the two
    for _ in range(len(X) + 1):
        over = np.maximum(X - tau, 0.0)
        active = np.count_nonzero(over, axis=0)
        step = (over.sum(axis=0) - 1.0) / np.maximum(active, 1)
        tau = np.where(active > 0, tau + step, lowest)
        if np.all(np.abs(step) <= 1e-14 * (1.0 + np.abs(tau))):
            break
    Z = np.maximum(X - tau, 0.0)
    return Z / Z.sum(axis=0), tau


def shrink(X: Matrix, by: float) -> Matrix:
    """Rows shortened by `by`; the short ones vanish: the proximal step of the row norm."""
    size = np.linalg.norm(X, axis=1, keepdims=True)
    return np.asarray(X * np.maximum(0.0, 1.0 - by / np.maximum(size, 1e-300)))


def _supported(D: Matrix, Y: Matrix, Z: Matrix) -> Matrix:
    """Z with only the rows that Y keeps, each column brought back to sum 1: the sparse answer
    rather than the nearly sparse one.
    """
    keep = np.flatnonzero(np.any(Y != 0.0, axis=1))
    if not len(keep):
        return Z
    inside = np.zeros_like(Z)
    inside[keep] = Z[keep]
    total = inside.sum(axis=0)
    bare = total < 1e-3
    inside[keep[D[keep][:, bare].argmin(axis=0)], bare] = 1.0
    return np.asarray(inside / inside.sum(axis=0))


def _balanced(rho: float, U: Matrix, primal: float, dual: float) -> tuple[float, Matrix]:
    """Both residuals kept within a factor of ten of each other."""
    if primal > 10.0 * dual:
        return 2.0 * rho, U / 2.0
    if dual > 10.0 * primal:
        return rho / 2.0, U * 2.0
    return rho, U

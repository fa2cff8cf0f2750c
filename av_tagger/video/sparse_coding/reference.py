"""The paper's relaxed program stated in cvxpy: a reference for tests, never the hot path."""

from __future__ import annotations

import os
import sys
from functools import cache
from types import ModuleType

import numpy as np

from av_tagger.errors import AvTaggerError, MissingExtra, UsageError, did_you_mean
from av_tagger.video.sparse_coding.bounds import penalty_bound
from av_tagger.video.sparse_coding.l2 import ROW, prices_bound
from av_tagger.video.sparse_coding.problem import Coding, Matrix, Norm

_SOLVERS = {"highs": "HIGHS", "clarabel": "CLARABEL", "scs": "SCS"}


def solve(D: Matrix, lambda_: float, solver: str, norm: Norm) -> Coding:
    """min_Z lambda sum_i ||z_i|| + sum_ij z_ij d_ij, sum_i z_ij = 1, 0 <= z_ij <= 1, for a
    normalised D.
    """
    chosen, cp = _solver(solver, norm), _cvxpy()
    Z = cp.Variable(D.shape, nonneg=True)
    sizes = cp.max(Z, axis=1) if norm == "inf" else cp.norm(Z, 2, axis=1)
    whole = cp.sum(Z, axis=0) == 1
    program = cp.Problem(cp.Minimize(lambda_ * cp.sum(sizes) + cp.sum(cp.multiply(D, Z))), [whole])
    if chosen == "HIGHS":
        _swallow_banner()
    try:
        program.solve(solver=chosen)
    except cp.error.SolverError as error:
        raise AvTaggerError(
            f"cvxpy's {chosen} did not solve the key-frame program ({error}); use solver='sparse'"
        ) from error
    if program.status not in ("optimal", "optimal_inaccurate"):
        raise AvTaggerError(f"cvxpy's {chosen} ended with {program.status!r}; use solver='sparse'")
    return _answer(D, np.maximum(0.0, Z.value), np.asarray(whole.dual_value), lambda_, norm)


def _answer(D: Matrix, Z: Matrix, dual: Matrix, lambda_: float, norm: Norm) -> Coding:
    """Z made exactly feasible, and the bound that the solver's dual prices prove."""
    Z = Z / Z.sum(axis=0)
    sizes = Z.max(axis=1) if norm == "inf" else np.linalg.norm(Z, axis=1)
    objective = float(lambda_ * sizes.sum() + (Z * D).sum())
    bound = penalty_bound if norm == "inf" else prices_bound
    lower = max(
        0.0, bound(D, dual, lambda_), bound(D, -dual, lambda_)
    )  # the sign of a dual is a convention
    rows = np.flatnonzero(Z.sum(axis=1) > ROW)
    return Coding(
        rows, Z[rows].sum(axis=1) / len(D), objective, min(lower, objective), (lambda_, lambda_)
    )


def _solver(name: str, norm: Norm) -> str:
    name = name.lower() or ("highs" if norm == "inf" else "clarabel")
    if name == "osqp":
        raise UsageError(
            "OSQP stops at its iteration limit on key-frame programs, with a wrong answer; "
            "use cvxpy:highs or cvxpy:clarabel"
        )
    if name not in _SOLVERS:
        raise UsageError(
            f"cvxpy's solver {name!r} is not supported here; {did_you_mean(name, _SOLVERS)}"
        )
    if name == "highs" and norm == "l2":
        raise UsageError(
            "HiGHS solves linear programs, and the l2 row norm is not linear; use cvxpy:clarabel"
        )
    return _SOLVERS[name]


@cache
def _swallow_banner() -> None:
    """HiGHS prints a banner to the stdout of the process with its first object: make that here."""
    import highspy

    sys.stdout.flush()
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
        highspy.Highs()
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)


def _cvxpy() -> ModuleType:
    try:
        import cvxpy
    except Exception as error:
        raise MissingExtra(
            f"cvxpy cannot be loaded ({error}); install it, or use the default solver 'sparse'"
        ) from error
    return cvxpy  # type: ignore[no-any-return]

"""The search compiled by numba: importing this module compiles it (or loads it from the cache that
`compiled` points at).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from av_tagger.video.sparse_coding.problem import Matrix, Rows

F = TypeVar("F", bound=Callable[..., object])
Vector = NDArray[np.float64]
_EPSILON = 1e-12  # the constants of `plain`, whose steps these are; a test holds the two together
_MOMENTUM = 0.5
_PATIENCE = 20
_MAX_SWAPS = 1000


def _compiled(signature: str) -> Callable[[F], F]:
    fast = {
        "reassoc",
        "nsz",
        "contract",
        "arcp",
    }  # sums in any order, so that they vectorise; NaN and infinity stay honest
    jit: Callable[[F], F] = numba.njit(
        signature, cache=True, nogil=True, error_model="numpy", fastmath=fast
    )
    return jit


@_compiled("float64(float64[:, ::1])")
def _most(D: Matrix) -> float:
    """The largest entry, column by column: such a loop vectorises, that of `D.max()` does not."""
    columns = D[0].copy()
    for i in range(len(D)):
        for j in range(len(columns)):
            columns[j] = max(columns[j], D[i, j])
    return float(columns.max())


@_compiled("float64(float64[:, ::1], int64[::1], int64[::1], float64[::1], float64[::1])")
def _nearest_two(D: Matrix, rows: Rows, near: Rows, d1: Vector, d2: Vector) -> float:
    n, count = len(D), len(rows)
    for j in range(n):
        near[j], d1[j], d2[j] = 0, D[rows[0], j], np.inf
    for m in range(1, count):
        for j in range(n):
            d = D[rows[m], j]
            if d < d1[j]:
                near[j], d2[j], d1[j] = m, d1[j], d
            elif d < d2[j]:
                d2[j] = d
    if count == 1:
        d2[:] = 2.0 * _most(D) + 1.0
    total = 0.0
    for j in range(n):
        total += d1[j]
    return total


@_compiled(
    "void(float64[:, ::1], int64[::1], int64[::1], float64[::1], float64[::1], float64, "
    "float64[:, ::1])"
)
def _swap_costs(  # buffers that are filled
    D: Matrix, rows: Rows, near: Rows, d1: Vector, d2: Vector, total: float, change: Matrix
) -> None:
    n, count = len(D), len(rows)
    mine = np.zeros((count, n))  # 1 for the columns of each row: sums need no scatter
    for j in range(n):
        mine[near[j], j] = 1.0
    removed = np.empty(n)
    for i in range(n):
        gain = 0.0
        for j in range(n):
            d = D[i, j]
            close = min(d, d1[j])
            gain += close
            removed[j] = min(d, d2[j]) - close
        for m in range(count):
            removal = 0.0
            for j in range(n):
                removal += mine[m, j] * removed[j]
            change[i, m] = removal + gain - total
    for m in range(count):
        change[rows[m], :] = np.inf


@_compiled("UniTuple(int64, 2)(float64[:, ::1], int64[::1], float64)")
def _best_swap(change: Matrix, rows: Rows, slack: float) -> tuple[int, int]:
    n, count = change.shape
    best, at, out = -slack, -1, -1
    for i in range(n):
        for m in range(count):
            if change[i, m] < best:
                best, at, out = change[i, m], i, m
    if at >= 0:
        return at, out
    for i in range(n):
        for m in range(count):
            if i < rows[m] and change[i, m] <= slack:
                return i, m
    return -1, -1


@_compiled(
    "float64(float64[:, ::1], int64[::1], int64[::1], float64[::1], float64[::1], float64[:, ::1])"
)
def _swap(  # buffers that are filled
    D: Matrix, rows: Rows, near: Rows, d1: Vector, d2: Vector, change: Matrix
) -> float:
    total = _nearest_two(D, rows, near, d1, d2)
    for _ in range(_MAX_SWAPS):
        _swap_costs(D, rows, near, d1, d2, total, change)
        i, m = _best_swap(change, rows, _EPSILON * len(D))
        if i < 0:
            break
        rows[m] = i
        total = _nearest_two(D, rows, near, d1, d2)
    return total


@_compiled("float64(float64[:, ::1], int64, float64[::1])")
def _worth(D: Matrix, i: int, v: Vector) -> float:
    """What row i is worth when column j pays v_j."""
    total = 0.0
    for j in range(len(v)):
        total += max(0.0, v[j] - D[i, j])
    return total


def gains(D: Matrix, v: Vector) -> Vector:
    """As `bounds.gains`."""
    rho = np.empty(len(D))
    _gains(D, v, rho)
    return rho


@_compiled("void(float64[:, ::1], float64[::1], float64[::1])")
def _gains(D: Matrix, v: Vector, rho: Vector) -> None:
    for i in range(len(D)):
        rho[i] = _worth(D, i, v)


# Most rows are far from the best, and need not be looked at again in every step: prices that rise
# by r in all raise no worth by more than r, and prices that fall raise none. So `most`, the last
# worth of each row less what prices had risen by until then, tells which rows may be among the best
# now; these alone are computed. The same rows and sums come out as if all had been.


@_compiled("float64(float64[::1], float64[::1])")
def _rise(before: Vector, after: Vector) -> float:
    total = 0.0
    for j in range(len(after)):
        total += max(0.0, after[j] - before[j])
    return total


@_compiled("void(float64[:, ::1], float64[::1], float64, float64[::1], int64[::1], float64[::1])")
def _leaders(  # buffers that are filled
    D: Matrix, v: Vector, risen: float, most: Vector, top: Rows, worth: Vector
) -> None:
    """The rows that are worth most at v, the first of equals first; `top` holds some to start."""
    n, count, filled = len(D), len(top), 0
    reached = np.inf
    for m in range(count):
        reached = min(reached, _worth(D, top[m], v))
    slack = _EPSILON * (n + risen)  # far above rounding
    for i in range(n):
        if most[i] + risen < reached - slack:
            continue
        w = _worth(D, i, v)
        most[i] = w - risen
        if filled == count and w <= worth[count - 1]:
            continue
        m = min(filled, count - 1)
        while m > 0 and worth[m - 1] < w:
            worth[m], top[m] = worth[m - 1], top[m - 1]
            m -= 1
        worth[m], top[m] = w, i
        filled = min(filled + 1, count)
        if filled == count:
            reached = max(reached, worth[count - 1])


@_compiled("void(float64[:, ::1], int64[::1])")
def _greedy(D: Matrix, rows: Rows) -> None:
    """The least row sum, then each time the row that lowers the cost most."""
    n = len(D)
    sums, most, worth = np.zeros(n), np.full(n, np.inf), np.empty(1)
    for i in range(n):
        for j in range(n):
            sums[i] += D[i, j]
    rows[0] = np.argmin(sums)
    reach = D[rows[0]].copy()
    for m in range(1, len(rows)):
        most[rows[m - 1]] = -np.inf  # not again
        rows[m] = np.argmax(most)
        _leaders(D, reach, 0.0, most, rows[m : m + 1], worth)
        for j in range(n):
            reach[j] = min(reach[j], D[rows[m], j])


@_compiled(
    "UniTuple(float64, 2)(float64[:, ::1], float64[::1], int64[::1], float64[::1], float64[::1])"
)
def _look(D: Matrix, v: Vector, top: Rows, worth: Vector, slope: Vector) -> tuple[float, float]:
    """LB_k at v, and the cost of the rows that are worth most there."""
    bound, cost = 0.0, 0.0
    for m in range(len(top)):
        bound -= worth[m]
    for j in range(len(D)):
        paid, low = 0.0, np.inf
        for m in range(len(top)):
            d = D[top[m], j]
            low = min(low, d)
            paid += 1.0 if v[j] > d else 0.0
        bound += v[j]
        cost += low
        slope[j] = 1.0 - paid
    return bound, cost


@_compiled("void(float64[::1], float64[::1], float64[::1], float64, float64)")
def _climb(v: Vector, direction: Vector, slope: Vector, theta: float, gap: float) -> None:
    square = 1e-30
    for j in range(len(v)):
        direction[j] = slope[j] + _MOMENTUM * direction[j]
        square += direction[j] * direction[j]
    for j in range(len(v)):
        v[j] += theta * gap / square * direction[j]


@_compiled("Tuple((int64[::1], float64[::1]))(float64[:, ::1], int64, int64, float64)")
def search(D: Matrix, count: int, iterations: int, tolerance: float) -> tuple[Rows, Vector]:
    n = len(D)
    rows, top, near = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(n, np.int64)
    d1, d2, slope, direction = np.empty(n), np.empty(n), np.empty(n), np.zeros(n)
    change, worth, most, risen = np.empty((n, count)), np.empty(count), np.full(n, np.inf), 0.0
    _greedy(D, rows)
    upper = _swap(D, rows, near, d1, d2, change)
    v = 0.5 * (d1 + d2)
    top[:] = rows
    best_v, before, best, theta, stalled = v.copy(), v.copy(), -np.inf, 1.0, 0
    for step in range(iterations):
        _leaders(D, v, risen, most, top, worth)
        bound, cost = _look(D, v, top, worth, slope)
        if bound > best:
            best, stalled = bound, 0
            best_v[:] = v
        else:
            stalled += 1
        if upper - best <= tolerance * upper:
            break
        if cost < upper - _EPSILON * n:
            rows[:] = top
            upper = _swap(D, rows, near, d1, d2, change)
        before[:] = v
        if stalled >= _PATIENCE:
            theta, stalled = 0.5 * theta, 0
            v[:] = best_v
            direction[:] = 0.0
        else:
            _climb(v, direction, slope, theta, upper - bound)
        if step < iterations // 2:
            for j in range(n):
                v[j] = min(max(v[j], d1[j]), d2[j])
        risen += _rise(before, v)
    rows.sort()
    return rows, best_v

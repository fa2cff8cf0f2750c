"""The fixed count: exactly k rows for each matrix of a batch, by whichever form of the search is at
hand, with the proof completed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

import numpy as np

from av_tagger.errors import MissingExtra
from av_tagger.video.sparse_coding import plain
from av_tagger.video.sparse_coding.bounds import certified, count_bound, lambda_interval
from av_tagger.video.sparse_coding.branch import finish
from av_tagger.video.sparse_coding.compiled import Search, compiled
from av_tagger.video.sparse_coding.plain import Prices
from av_tagger.video.sparse_coding.problem import (
    Batch,
    Coding,
    Dissimilarity,
    Effort,
    Matrix,
    Rows,
    coded,
    cost,
    evenly,
    fill_evenly,
    scaled,
)

Found = list[tuple[Rows, Prices]]
MOST_CORES = 4  # that search key frames at once while the others decode
Form = Callable[[Matrix, int, Effort], Found]  # (b, n, n) normalised -> rows and prices of each


def by_itself(batch: Matrix, count: int, effort: Effort) -> Found:
    """Compiled when that costs no wait, plain numpy meanwhile; the steps are the same."""
    found = []
    for D in batch:
        search = compiled.search()
        started = time.thread_time()
        found.append((search or plain.search)(D, count, effort.iterations, effort.tolerance))
        if search is None:
            compiled.spent(time.thread_time() - started)
    return found


def by_numpy(batch: Matrix, count: int, effort: Effort) -> Found:
    return [plain.search(D, count, effort.iterations, effort.tolerance) for D in batch]


def by_numba(batch: Matrix, count: int, effort: Effort) -> Found:
    """The compiled form, compiled first if need be."""
    search: Search | None = compiled.load()
    if search is None:
        raise MissingExtra(
            "numba cannot be loaded; the numpy form works without it, or install numba anew"
        )
    return [search(D, count, effort.iterations, effort.tolerance) for D in batch]


def by_torch(device: str) -> Form:
    """All matrices at once on a device."""

    def search(batch: Matrix, count: int, effort: Effort) -> Found:
        import torch

        from av_tagger.video.sparse_coding import batched

        rows, v = batched.search(
            torch.from_numpy(batch).to(device), count, effort.iterations, effort.tolerance
        )
        return list(zip(rows.cpu().numpy(), v.cpu().numpy(), strict=True))

    return search


def by_cores(device: str) -> Form:
    """For a process that drives a GPU: the compiled form, on several cores at once.

    It runs outside of the interpreter lock, so that other threads go on. Until it is compiled, the
    form for the device serves.
    """

    def search(batch: Matrix, count: int, effort: Effort) -> Found:
        quick = compiled.search()
        if quick is None:
            started = time.thread_time()
            found = by_torch(device)(batch, count, effort)
            compiled.spent(time.thread_time() - started)
            return found
        one = partial(_searched, quick, count, effort)
        return list(_cores().map(one, batch)) if len(batch) > 1 else [one(batch[0])]

    return search


def _searched(quick: Search, count: int, effort: Effort, D: Matrix) -> tuple[Rows, Prices]:
    return quick(D, count, effort.iterations, effort.tolerance)


@cache
def _cores() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_CORES, "key frames")


def pick(
    batch: Batch,
    count: int,
    *,
    fill: bool = True,
    effort: Effort | None = None,
    form: Form = by_itself,
) -> list[Coding]:
    """The best `count` rows of each checked matrix, all of one size; with fewer distinct frames
    those, and with `fill` more of them evenly in time.
    """
    effort = effort or Effort()
    n = len(batch[0]) if len(batch) else 0
    tops = [float(D.max()) if n > count else 0.0 for D in batch]
    hard = [i for i, top in enumerate(tops) if top > 0.0]
    stack = np.empty((len(hard), n, n))
    scales = [scaled(batch[i], D, tops[i]) for D, i in zip(stack, hard, strict=True)]
    found = form(stack, count, effort) if hard else []
    proven = {
        i: _distinct(D, _proven(D, rows, v, effort), count, fill=fill).in_units_of(scale)
        for i, D, scale, (rows, v) in zip(hard, stack, scales, found, strict=True)
    }
    return [proven.get(i) or _easy(D, count, fill=fill) for i, D in enumerate(batch)]


def _easy(D: Dissimilarity, count: int, *, fill: bool) -> Coding:
    """Everything, when there is no choice; evenly spaced rows, when there is no difference."""
    wide = np.asarray(D, np.float64)
    rows = np.arange(len(D)) if len(D) <= count else evenly(len(D), count)
    return _distinct(wide, coded(wide, rows, np.inf), count, fill=fill)


def _proven(D: Matrix, rows: Rows, v: Prices, effort: Effort) -> Coding:
    """The certificate, computed here from D and v whatever the search claimed, and completed by
    branching when a gap stays.
    """
    rho = compiled.gains(D, v)
    objective, lower = cost(D, rows), max(0.0, count_bound(D, v, len(rows), rho))
    if objective - lower > effort.tolerance * objective:
        better, branched = finish(D, rows, v, effort)
        lower, same = max(lower, branched), np.array_equal(better, rows)
        lambdas, rows = (
            (lambda_interval(D, v, len(rows)) if same and _links(D, rows, v, effort) else None),
            better,
        )
    else:
        lambdas = lambda_interval(D, v, len(rows), rho)
    return coded(D, rows, lower, lambdas)


def _links(D: Matrix, rows: Rows, v: Prices, effort: Effort) -> bool:
    """Whether the prices alone prove the rows: only then are they an optimum of the *relaxed*
    program at some lambda.
    """
    objective, lower = certified(D, rows, v)
    return objective - lower <= 100 * effort.tolerance * objective


def _distinct(D: Matrix, answer: Coding, count: int, *, fill: bool) -> Coding:
    """Cost zero: frames that repeat. Rows that represent no column are dropped; with `fill` others
    come, evenly in time.
    """
    n = len(D)
    if answer.objective > 0.0 or (fill and (n <= count or D.max() == 0.0)):
        return answer
    used = answer.rows[answer.weights > 0.0]
    if D.max() == 0.0:
        used = evenly(n, 1)
    return coded(D, fill_evenly(used, n, count) if fill else used, np.inf, answer.lambdas)

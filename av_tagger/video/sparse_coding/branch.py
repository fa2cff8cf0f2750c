"""The last of a gap: rows that the bound rules out are dropped, what stays is enumerated or
branched on, until the proof holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, islice
from math import comb

import numpy as np
from numpy.typing import NDArray

from av_tagger.video.sparse_coding.bounds import count_bound, gains
from av_tagger.video.sparse_coding.plain import Ascent, Prices, swap
from av_tagger.video.sparse_coding.problem import Effort, Matrix, Rows, cost

_ENUMERATED = 20_000  # choices of rows that are tried outright rather than branched on
_CHUNK = 512
_STEPS = 40  # of dual ascent in a node, from its parent's prices

Mask = NDArray[np.bool_]


@dataclass
class _Node:
    bound: float
    v: Prices
    opened: tuple[int, ...]
    allowed: Mask  # rows that may still be opened


@dataclass
class _Search:
    """The best rows so far, and the least bound among the branches given up."""

    D: Matrix
    count: int
    effort: Effort
    rows: Rows
    upper: float
    lower: float = np.inf
    nodes: int = 0
    waiting: list[_Node] = field(default_factory=list)

    @property
    def goal(self) -> float:
        """A node whose bound reaches this cannot hold anything better that matters."""
        return self.upper * (1.0 - 0.5 * self.effort.tolerance)


def finish(D: Matrix, rows: Rows, v: Prices, effort: Effort) -> tuple[Rows, float]:
    """Rows and a lower bound of the cost of *any* k rows: an exhaustive proof when the effort
    suffices, else the best bound reached.
    """
    state = _Search(D, len(rows), effort, rows, cost(D, rows))
    state.waiting.append(_Node(count_bound(D, v, len(rows)), v, (), np.ones(len(D), dtype=bool)))
    while state.waiting and state.nodes < effort.nodes:
        state.waiting.sort(key=lambda node: -node.bound)
        node = state.waiting.pop()
        state.nodes += 1
        _explore(state, node)
    open_bounds = [node.bound for node in state.waiting]
    return state.rows, min(
        [state.goal, state.lower, *open_bounds]
    )  # rows were ruled out at the goal: no more is claimed


def _explore(state: _Search, node: _Node) -> None:
    node = _ascend(state, node)
    if node.bound >= state.goal:
        state.lower = min(state.lower, node.bound)
        return
    node = _ruled_out(state, node)
    left = [int(i) for i in np.flatnonzero(node.allowed) if i not in node.opened]
    wanted = state.count - len(node.opened)
    if wanted <= 0 or comb(len(left), wanted) <= _ENUMERATED:
        _enumerate(state, node.opened, left, wanted)
        state.lower = min(
            state.lower, state.goal
        )  # nothing of this part is better than `upper`; rows ruled out lay above the goal
        return
    rho = gains(state.D, node.v)
    row = max(left, key=lambda i: (rho[i], -i))
    without = node.allowed.copy()
    without[row] = False
    state.waiting.append(_Node(node.bound, node.v, node.opened, without))
    state.waiting.append(_Node(node.bound, node.v, (*node.opened, row), node.allowed))


def _bound(D: Matrix, node: _Node, count: int) -> tuple[float, Rows, NDArray[np.float64]]:
    """LB_k when some rows are open and some are closed: the open ones always count, the rest by
    worth.
    """
    rho = gains(D, node.v)
    order = np.where(node.allowed, rho, -1.0)
    order[list(node.opened)] = np.inf
    top = np.argsort(-order, kind="stable")[:count]
    top = top[order[top] >= 0.0]
    return float(node.v.sum() - rho[top].sum()) - 4e-15 * float(np.abs(node.v).sum()), top, rho


def _ascend(state: _Search, node: _Node) -> _Node:
    ascent = Ascent(node.v)
    for _ in range(_STEPS):
        bound, top, _ = _bound(
            state.D, _Node(0.0, ascent.v, node.opened, node.allowed), state.count
        )
        ascent.note(bound)
        if ascent.best >= state.goal:
            break
        _try(state, top)
        ascent.climb(1.0 - (ascent.v > state.D[top]).sum(axis=0), max(state.upper - bound, 1e-12))
    return _Node(max(node.bound, ascent.best), ascent.best_v, node.opened, node.allowed)


def _try(state: _Search, rows: Rows) -> None:
    if len(rows) == state.count and cost(state.D, rows) < state.upper * (1.0 - 1e-12):
        rows, d1, _ = swap(state.D, rows)
        state.rows, state.upper = np.sort(rows), float(d1.sum())


def _ruled_out(state: _Search, node: _Node) -> _Node:
    """Opening row i costs at least the bound + (the least worth among the chosen) - rho_i: above
    the goal, i stays closed.
    """
    bound, top, rho = _bound(state.D, node, state.count)
    free = [i for i in top if i not in node.opened]
    if not free or len(top) < state.count:
        return node
    with_row = bound + rho[free].min() - rho
    allowed = node.allowed & (with_row < state.goal)
    allowed[top] = True
    return _Node(node.bound, node.v, node.opened, allowed)


def _enumerate(state: _Search, opened: tuple[int, ...], left: list[int], wanted: int) -> None:
    base = state.D[list(opened)].min(axis=0) if opened else None
    choices = combinations(left, max(0, wanted))
    while some := list(islice(choices, _CHUNK)):
        picks = np.array(some, dtype=np.int64).reshape(len(some), -1)
        reach = (
            state.D[picks].min(axis=1)
            if picks.shape[1]
            else np.broadcast_to(np.inf, (len(some), state.D.shape[1]))
        )
        costs = (reach if base is None else np.minimum(reach, base)).sum(axis=1)
        best = int(costs.argmin())
        if costs[best] < state.upper * (1.0 - 1e-12):
            state.rows = np.array(sorted((*opened, *some[best])), dtype=np.int64)
            state.upper = float(costs[best])

"""The search for a batch of matrices at once in torch, on the device where they lie; the steps are
those of `plain`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from av_tagger.video.sparse_coding.plain import EPSILON, MAX_SWAPS, MOMENTUM, PATIENCE


@torch.no_grad()
def search(D: Tensor, count: int, iterations: int, tolerance: float) -> tuple[Tensor, Tensor]:
    """(b, k) medoids and (b, n) prices of normalised (b, n, n) float64 matrices, k < n; solved ones
    leave the batch.
    """
    state = _State.of(D, count)
    rows, v = state.rows.clone(), state.best_v.clone()
    at = torch.arange(len(D), device=D.device)
    for step in range(iterations):
        closed = state.look(tolerance)
        rows[at], v[at] = state.rows, state.best_v
        if bool(closed.any()):
            at, state = at[~closed], state.keep(~closed)
            if not len(at):
                break
        state.improve()
        state.climb(boxed=step < iterations // 2)
    return rows.sort(dim=1).values, v


@dataclass
class _State:
    """Everything that is known of each matrix that is still open, one entry of every tensor a
    matrix.
    """

    D: Tensor  # (b, n, n)
    rows: Tensor  # (b, k)
    d1: Tensor  # (b, n)
    d2: Tensor
    v: Tensor
    best_v: Tensor
    best: Tensor  # (b,)
    theta: Tensor
    stalled: Tensor
    direction: Tensor  # (b, n)
    bound: Tensor  # (b,) at v
    top: Tensor  # (b, k)
    slope: Tensor  # (b, n)

    @classmethod
    def of(cls, D: Tensor, count: int) -> _State:
        rows, d1, d2 = swap(D, greedy(D, count))
        v, one = 0.5 * (d1 + d2), torch.ones(len(D), dtype=D.dtype, device=D.device)
        return cls(
            D,
            rows,
            d1,
            d2,
            v,
            v.clone(),
            -torch.inf * one,
            one,
            torch.zeros_like(one),
            torch.zeros_like(v),
            0 * one,
            rows,
            0 * v,
        )

    def keep(self, mask: Tensor) -> _State:
        return _State(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))

    def look(self, tolerance: float) -> Tensor:
        """LB_k, its slope and its k rows at v; which matrices are proven by now."""
        rho = (self.v[:, None, :] - self.D).clamp_(min=0).sum(2)
        worth, self.top = (x[:, : self.rows.shape[1]] for x in (-rho).sort(dim=1, stable=True))
        self.bound = self.v.sum(1) + worth.sum(1)
        self.slope = 1.0 - (self.v[:, None, :] > _picked(self.D, self.top)).sum(1)
        better = self.bound > self.best
        self.best = torch.where(better, self.bound, self.best)
        self.best_v = torch.where(better[:, None], self.v, self.best_v)
        self.stalled = torch.where(better, 0.0, self.stalled + 1.0)
        upper = self.d1.sum(1)
        return upper - self.best <= tolerance * upper

    def improve(self) -> None:
        """Where the rows that are worth most are better medoids, they become the medoids."""
        found = (
            _picked(self.D, self.top).amin(1).sum(1) < self.d1.sum(1) - EPSILON * self.D.shape[1]
        )
        if bool(found.any()):
            self.rows[found], self.d1[found], self.d2[found] = swap(self.D[found], self.top[found])

    def climb(self, *, boxed: bool) -> None:
        halve = self.stalled >= PATIENCE
        self.direction = self.slope + MOMENTUM * self.direction
        step = self.theta * (self.d1.sum(1) - self.bound) / (self.direction.square().sum(1) + 1e-30)
        self.v = torch.where(halve[:, None], self.best_v, self.v + step[:, None] * self.direction)
        self.direction[halve] = 0.0
        self.theta = torch.where(halve, 0.5 * self.theta, self.theta)
        self.stalled = torch.where(halve, 0.0, self.stalled)
        if boxed:
            self.v = torch.minimum(torch.maximum(self.v, self.d1), self.d2)


def greedy(D: Tensor, count: int) -> Tensor:
    reach = (2.0 * D.amax((1, 2)) + 1.0)[:, None].expand(-1, D.shape[1])
    rows = torch.empty(len(D), 0, dtype=torch.int64, device=D.device)
    for _ in range(count):
        gain = (reach[:, None, :] - D).clamp_(min=0).sum(2).scatter(1, rows, -1.0)
        chosen = _first(gain == gain.amax(1, keepdim=True))
        rows = torch.cat([rows, chosen[:, None]], dim=1)
        reach = torch.minimum(reach, _picked(D, rows[:, -1:])[:, 0])
    return rows


def swap(D: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The best swap of every matrix until none helps; then, among swaps that cost nothing, the
    lowest index.
    """
    rows, (b, n, _), k = rows.clone(), D.shape, rows.shape[1]
    slack = EPSILON * n
    index = torch.arange(n, device=D.device)[None, :, None]
    for _ in range(MAX_SWAPS):
        change, d1, d2 = _swap_costs(D, rows)
        best = change.amin((1, 2), keepdim=True)
        wanted = torch.where(
            best < -slack, change == best, (change <= slack) & (index < rows[:, None, :])
        ).reshape(b, n * k)
        moves = wanted.any(1)
        if not bool(moves.any()):
            break
        i, m = _first(wanted).div(k, rounding_mode="floor"), _first(wanted) % k
        rows = torch.where(moves[:, None], rows.scatter(1, m[:, None], i[:, None]), rows)
    return rows, d1, d2


def _swap_costs(D: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    part = _picked(D, rows)
    near = _first(
        (part == part.amin(1, keepdim=True)).transpose(1, 2).reshape(-1, rows.shape[1])
    ).reshape(len(D), -1)
    d1 = part.amin(1)
    belongs = torch.nn.functional.one_hot(near, rows.shape[1]).to(D.dtype)
    d2 = torch.where(belongs.transpose(1, 2) > 0, torch.inf, part).amin(1)
    d2 = torch.where(torch.isinf(d2), 2.0 * D.amax((1, 2))[:, None] + 1.0, d2)
    close = torch.minimum(D, d1[:, None, :])
    change = (torch.minimum(D, d2[:, None, :]) - close) @ belongs + (
        close.sum(2) - d1.sum(1)[:, None]
    )[:, :, None]
    return change.scatter(1, rows[:, :, None].expand(-1, -1, rows.shape[1]), torch.inf), d1, d2


def _picked(D: Tensor, rows: Tensor) -> Tensor:
    """(b, k, n): these rows of each matrix."""
    return D.gather(1, rows[:, :, None].expand(-1, -1, D.shape[2]))


def _first(mask: Tensor) -> Tensor:
    """The first true column of each line (torch promises no order among equals)."""
    place = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(mask, place, mask.shape[1]).amin(1).clamp(max=mask.shape[1] - 1)

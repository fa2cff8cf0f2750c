"""Batch normalisation of vectors that stand in bags."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class VectorNorm(nn.Module):
    """Batch normalisation over the last axis of (..., width), all other axes as one batch.

    A single vector has no variance: it is normalised by the running statistics, as in evaluation.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, -2)
        out: Tensor = self.norm(rows) if len(rows) > 1 else self._running(rows)
        return out.view_as(x)

    def running(self, x: Tensor) -> Tensor:
        """Normalised by the running statistics, which do not change."""
        return self._running(x.flatten(0, -2)).view_as(x)

    def _running(self, rows: Tensor) -> Tensor:
        n = self.norm
        return F.batch_norm(rows, n.running_mean, n.running_var, n.weight, n.bias, eps=n.eps)

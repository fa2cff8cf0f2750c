"""Key-frame selection: the public `representatives`, the selectors and their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from av_tagger.errors import UsageError, did_you_mean
from av_tagger.networks import download
from av_tagger.protocols import KeyframeSelector, Representatives
from av_tagger.video.distances import check_distances, distances
from av_tagger.video.sparse_coding import baselines, bounds, reference
from av_tagger.video.sparse_coding.l2 import group_sparse
from av_tagger.video.sparse_coding.penalised import penalise
from av_tagger.video.sparse_coding.pick import by_cores, by_itself, pick
from av_tagger.video.sparse_coding.problem import (
    Batch,
    Coding,
    Effort,
    Matrix,
    Norm,
    Rows,
    checked,
    checked_count,
    coded,
    fill_by_coverage,
    normalised,
)

Dissimilarities = NDArray[Any] | Tensor


def representatives(
    D: Dissimilarities,
    count: int = 4,
    *,
    solver: str = "sparse",
    lambda_: float | None = None,
    norm: Norm = "inf",
    fill: bool = True,
) -> Any:
    """The rows that stand for all columns of one (n, n), or of each of a batch (b, n, n): a
    `Coding`, or a list of them.

    Without `lambda_` exactly `count` rows: the optimum of the paper's program at the lambda (tuned,
    see `Coding.lambdas`) that makes just so many rows non-zero, with a proven bound on their cost.
    With `lambda_` the program at that penalty under the row `norm`, rows free. Fewer distinct
    frames than `count`: those, and with `fill` others evenly in time.
    """
    count = checked_count(count)
    device = D.device.type if isinstance(D, Tensor) else "cpu"
    batch = checked(_numpy(D))
    solve = _solver(solver, norm)
    if lambda_ is not None:
        answers = [_at(solve, one, _checked_lambda(lambda_)) for one in batch]
    else:
        answers = solve.count(batch, count, fill, device)
    return answers[0] if D.ndim == 2 else answers


def lambda_interval(D: Dissimilarities, count: int = 4) -> tuple[float, float]:
    """[C_k - C_(k+1), C_(k-1) - C_k]: the penalties at which `count` rows beat one more and one
    fewer; empty (low > high) when none does.

    For one row the end is lambda_max, for all rows the start is 0.
    """
    one, count = _one(D), checked_count(count)
    C = {k: pick(one, k, fill=False)[0].objective for k in (count - 1, count, count + 1) if k >= 1}
    high = C[count - 1] - C[count] if count > 1 else bounds.lambda_max(one[0])
    return max(0.0, C[count] - C[count + 1]), max(0.0, high)


def default_lambda(D: Dissimilarities, count: int = 4, norm: Norm = "inf") -> float:
    """The penalty that the data ask for: the middle of the interval in which exactly `count` rows
    are the optimum.

    For the l2 norm, where a row of n / k ones costs sqrt(n / k), the same price per row.
    """
    middle = 0.5 * sum(lambda_interval(D, count))
    n = D.shape[-1]
    return middle if norm == "inf" else middle * float(np.sqrt(min(count, n) / n))


def lambda_max(D: Dissimilarities) -> float:
    """Sufficient: from this lambda on one representative explains everything (infinity norm)."""
    return bounds.lambda_max(_one(D)[0])


def lambda_necessary(D: Dissimilarities) -> float:
    """Necessary and nearly tight: below C_1 - C_2 one representative is never the optimum (infinity
    norm).
    """
    return bounds.lambda_necessary(_one(D)[0])


@dataclass(frozen=True)
class _Solver:
    """How a named solver meets a count, and how a penalty (of a normalised D), if it can."""

    count: Callable[[Batch, int, bool, str], list[Coding]]
    penalty: Callable[[Matrix, float], Coding] | None = None


@dataclass(frozen=True)
class _Selector:
    """Features in, distances, representatives out; every clip of the batch in one call."""

    name = ""
    fill: bool = False  # a clip with fewer distinct frames gets fewer key frames

    def select(self, features: Sequence[Tensor], count: int = 4) -> list[Representatives]:
        device = features[0].device.type if len(features) else "cpu"
        matrices = self._distances(features)
        chosen: dict[int, Representatives] = {}
        for n in sorted({len(D) for D in matrices}):  # clips of equal length share one solver call
            at = [i for i, D in enumerate(matrices) if len(D) == n]
            group = [matrices[i].numpy() for i in at]
            solve = _solver(self.name, "inf")  # distances are finite and not negative
            found = solve.count(group, checked_count(count), self.fill, device)
            chosen.update(zip(at, found, strict=True))
        return [chosen[i] for i in range(len(matrices))]

    def _distances(self, features: Sequence[Tensor]) -> list[Tensor]:
        """On the CPU, after one wait for all clips."""
        found = distances(features)
        matrices = download(found)
        if any(D.device.type != "cpu" for D in found):  # otherwise they were checked
            for D in matrices:
                check_distances(D)
        return matrices


class SparseKeyframes(_Selector):
    name = "sparse"


class CvxpyKeyframes(_Selector):
    name = "cvxpy"


class HighsKeyframes(_Selector):
    name = "cvxpy:highs"


class ClarabelKeyframes(_Selector):
    name = "cvxpy:clarabel"


class UniformKeyframes(_Selector):
    name = "uniform"


class KMeansKeyframes(_Selector):
    name = "kmeans"


class KMedoidsKeyframes(_Selector):
    name = "kmedoids"


def selector(name: str = "sparse") -> KeyframeSelector:
    """The selector of this name."""
    if name not in SELECTORS:
        _solver(name, "inf")  # says why for solvers that are refused
        raise UsageError(
            f"there is no key-frame selector {name!r}; {did_you_mean(name, SELECTORS)}"
        )
    return SELECTORS[name]()


def _numpy(D: Dissimilarities) -> NDArray[Any]:
    if not isinstance(D, Tensor):
        return np.asarray(D)
    D = D.detach()
    return (D.double() if D.is_floating_point() else D).cpu().numpy()


def _one(D: Dissimilarities) -> Matrix:
    batch = checked(_numpy(D))
    if len(batch) != 1:
        raise UsageError(f"a lambda belongs to one (n, n) matrix, not to {tuple(D.shape)}")
    return batch


def _checked_lambda(lambda_: float) -> float:
    if not (np.isfinite(lambda_) and lambda_ >= 0):
        raise UsageError(f"lambda must be a finite number of at least 0, not {lambda_!r}")
    return float(lambda_)


def _at(solve: _Solver, D: Matrix, lambda_: float) -> Coding:
    """The program at lambda, solved in units of D's mean and answered in units of D."""
    if solve.penalty is None:
        raise UsageError(
            "this baseline has no lambda; use solver 'sparse' or 'cvxpy', or give a count alone"
        )
    scaled, scale = normalised(D)
    found = solve.penalty(scaled, lambda_ / scale)
    return Coding(
        found.rows,
        found.weights,
        found.objective * scale,
        found.lower_bound * scale,
        (lambda_, lambda_),
    )


def _sparse_count(batch: Batch, count: int, fill: bool, device: str) -> list[Coding]:
    """On the CPU one by one: a matrix then stays in the cache of its core."""
    if device == "cuda":
        return pick(batch, count, fill=fill, form=by_cores(device))
    return [pick([D], count, fill=fill, form=by_itself)[0] for D in batch]


def _penalty_count(  # the first two are bound by `_penalised`
    solve: Callable[[Matrix, float], Coding],
    norm: Norm,
    batch: Batch,
    count: int,
    fill: bool,
    device: str,
) -> list[Coding]:
    """The paper's recipe: the program at the default lambda, and of its rows the `count` with the
    largest sums.
    """
    del device
    wide = [np.asarray(D, np.float64) for D in batch]
    return [_easy(D, count, fill) or _heaviest(solve, norm, D, count) for D in wide]


def _heaviest(
    solve: Callable[[Matrix, float], Coding], norm: Norm, D: Matrix, count: int
) -> Coding:
    scaled, scale = normalised(D)
    lambda_ = default_lambda(scaled, count, norm)
    found = solve(scaled, lambda_)
    rows = found.rows[np.argsort(-found.weights, kind="stable")[:count]]
    # k binary rows cost the program at most C_k + lambda k, or C_k + lambda sqrt(k n) with l2
    most = count if norm == "inf" else float(np.sqrt(count * len(D)))
    return coded(
        D,
        fill_by_coverage(scaled, rows, count),
        (found.lower_bound - lambda_ * most) * scale,
        (lambda_ * scale, lambda_ * scale),
    )


def _easy(D: Matrix, count: int, fill: bool) -> Coding | None:
    """The answer where there is nothing to choose: no more frames than asked for, or no more
    distinct ones.
    """
    cover = fill_by_coverage(D, np.empty(0, dtype=np.int64), count)
    if len(D) > count and float(D[cover].min(axis=0).max()) > 0.0:
        return None
    return pick(D[None], count, fill=fill)[0]


def _baseline_count(
    choose: Callable[[Matrix, int], Rows],
    batch: Batch,
    count: int,
    fill: bool,
    device: str,
) -> list[Coding]:
    del device
    wide = [np.asarray(D, np.float64) for D in batch]
    return [_easy(D, count, fill) or coded(D, choose(normalised(D)[0], count)) for D in wide]


def _solver(name: str, norm: Norm) -> _Solver:
    if norm not in ("inf", "l2"):
        raise UsageError(f"the row norm is 'inf' or 'l2', not {norm!r}")
    family, _, inner = name.partition(":")
    if family == "cvxpy":
        norm = "l2" if inner == "clarabel" else norm
        return _penalised(partial(_referred, inner, norm), norm)
    if name == "sparse":
        return (
            _Solver(_sparse_count, _penalise) if norm == "inf" else _penalised(group_sparse, norm)
        )
    if name in BASELINES:
        return _Solver(partial(_baseline_count, BASELINES[name]))
    raise UsageError(f"there is no solver {name!r}; {did_you_mean(name, SELECTORS)}")


def _penalised(solve: Callable[[Matrix, float], Coding], norm: Norm) -> _Solver:
    return _Solver(partial(_penalty_count, solve, norm), solve)


def _penalise(D: Matrix, lambda_: float) -> Coding:
    return penalise(D, lambda_, Effort())


def _referred(inner: str, norm: Norm, D: Matrix, lambda_: float) -> Coding:
    return reference.solve(D, lambda_, inner, norm)


BASELINES: dict[str, Callable[[Matrix, int], Rows]] = {
    "uniform": baselines.uniform,
    "kmeans": baselines.kmeans,
    "kmedoids": baselines.kmedoids,
}

SELECTORS: dict[str, Callable[[], KeyframeSelector]] = {
    "sparse": SparseKeyframes,
    "cvxpy": CvxpyKeyframes,
    "cvxpy:highs": HighsKeyframes,
    "cvxpy:clarabel": ClarabelKeyframes,
    "uniform": UniformKeyframes,
    "kmeans": KMeansKeyframes,
    "kmedoids": KMedoidsKeyframes,
}

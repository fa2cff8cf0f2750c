"""Key frames: our solver against cvxpy and HiGHS, its proof of optimality, and baselines.

    python -m av_tagger.bench.keyframes [--sizes 60 120 240] [--clips 3] [--proofs 200] [--rounds 2]

Matrices are made by code: each clip has one to eight scenes of random lengths; a scene is a point
far from the others plus a drift and a random walk of random speed, and each frame has noise of a
random size (64 dimensions). D holds Euclidean distances divided by their mean. The solvers take
turns on every clip; a figure is the median CPU time over clips and rounds (wall time for batches,
because a GPU works beside the CPU). cvxpy and HiGHS get the fixed lambda at which exactly four rows
are the optimum, the easier problem: the time to find that lambda is not counted for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from av_tagger.bench.measure import parser, run_main, seconds_of
from av_tagger.video.keyframes import default_lambda, representatives
from av_tagger.video.sparse_coding import bounds, reference
from av_tagger.video.sparse_coding.compiled import compiled
from av_tagger.video.sparse_coding.pick import by_numba, by_numpy, by_torch, pick
from av_tagger.video.sparse_coding.problem import Matrix, cost, fill_by_coverage, normalised
from av_tagger.video.sparse_coding.program import linear_program

COUNT = 4
FIXED = 25  # clips for fixed lambdas: with many rows their linear programs are slow
OURS = "ours, k = 4 certified (compiled)"
REFERENCES = (
    ("highs", "inf"),
    ("clarabel", "inf"),
    ("scs", "inf"),
    ("clarabel", "l2"),
    ("scs", "l2"),
)

Solver = Callable[[Matrix, float], object]


def video_like(n: int, rng: np.random.Generator, dimensions: int = 64) -> Matrix:
    """Distances of a made-up clip of n frames, divided by their mean."""
    cuts = np.sort(rng.choice(np.arange(1, n), rng.integers(0, 8), replace=False))
    scenes = [_scene(length, rng, dimensions) for length in np.diff([0, *cuts, n])]
    noise = rng.normal(size=(n, dimensions)) * 10.0 ** rng.uniform(-3.0, -0.5)
    frames = np.concatenate(scenes) + noise
    norms = (frames**2).sum(axis=1)
    square = norms[:, None] + norms - 2.0 * frames @ frames.T
    np.fill_diagonal(square, 0.0)
    return normalised(np.sqrt(np.maximum(square, 0.0)))[0]


def _scene(length: int, rng: np.random.Generator, dimensions: int) -> NDArray[np.float64]:
    drift = rng.normal(size=dimensions) * 0.3 * 10.0 ** rng.uniform(-2.0, 0.0)
    steps = rng.normal(size=(length, dimensions)) * 10.0 ** rng.uniform(-2.0, 0.0) + drift
    start = rng.normal(size=dimensions) * 10.0 ** rng.uniform(0.0, 1.0)
    return np.asarray(start + np.cumsum(steps, axis=0))


def solvers() -> dict[str, Solver]:
    """All solvers by name; each takes the matrix and the fixed lambda."""
    found: dict[str, Solver] = {
        OURS: lambda D, _: pick(D[None], COUNT, form=by_numba),
        "ours, k = 4 certified (numpy)": lambda D, _: pick(D[None], COUNT, form=by_numpy),
        "ours, whole public call": lambda D, _: representatives(D, COUNT),
        "ours, fixed lambda, infinity norm": lambda D, x: representatives(D, lambda_=x),
        "ours, fixed lambda, l2 norm (ADMM, 1e-4)": lambda D, x: representatives(
            D, lambda_=_l2(D, x), norm="l2"
        ),
        "HiGHS, the linear program itself": lambda D, x: linear_program(
            D, x, np.ones(D.shape, dtype=bool)
        ),
    }
    for solver, norm in REFERENCES:
        found[f"cvxpy:{solver}, {norm} norm"] = _reference(solver, norm)
    return found


def _reference(solver: str, norm: str) -> Solver:
    if norm == "inf":
        return lambda D, lambda_: reference.solve(D, lambda_, solver, "inf")
    return lambda D, lambda_: reference.solve(D, _l2(D, lambda_), solver, "l2")


def _l2(D: Matrix, lambda_: float) -> float:
    """The same cost for a row that represents a k-th of the frames."""
    return lambda_ * float(np.sqrt(COUNT / len(D)))


def race(n: int, clips: int, rounds: int) -> None:
    """All solvers on every clip in turn, after one small warm-up (compilation, imports)."""
    every = solvers()
    matrices = [video_like(n, np.random.default_rng([n, seed])) for seed in range(clips)]
    lambdas = [default_lambda(D, COUNT) for D in matrices]
    small = video_like(20, np.random.default_rng(0))
    for solve in every.values():
        solve(small, 1.0)
    times: dict[str, list[float]] = {name: [] for name in every}
    for _ in range(rounds):
        for D, lambda_ in zip(matrices, lambdas, strict=True):
            for name, solve in every.items():
                times[name].append(seconds_of(lambda s=solve, D=D, x=lambda_: s(D, x)))  # type: ignore[misc]
    _table(n, {name: median(found) for name, found in times.items()})


def _table(n: int, seconds: dict[str, float]) -> None:
    ours = max(seconds[OURS], 1e-9)
    for name, s in seconds.items():
        print(f"n = {n:4d}  {name:42s} {1e3 * s:10.2f} ms   {s / ours:8.1f} x ours")
    best = min(s for name, s in seconds.items() if name.startswith("cvxpy"))
    print(f"n = {n:4d}  best cvxpy / ours: {best / ours:.0f} x", flush=True)


def proofs(n: int, clips: int) -> None:
    """The optimality gap on every clip; the excess cost of baselines and of two fixed lambdas."""
    matrices = [video_like(n, np.random.default_rng([n, 1000 + seed])) for seed in range(clips)]
    ours = [pick(D[None], COUNT, form=by_numba)[0] for D in matrices]
    gaps = np.array([answer.gap for answer in ours])
    linked = np.mean([answer.lambdas is not None for answer in ours])
    print(
        f"n = {n:4d}  gap over {clips} clips: median {np.median(gaps):.1e}, "
        f"worst {gaps.max():.1e}; certified lambda: {linked:.1%}"
    )
    best = [answer.objective for answer in ours]
    for name in ("uniform", "kmeans", "kmedoids"):
        _excess(n, name, best, [representatives(D, COUNT, solver=name).objective for D in matrices])
    for share in (0.03, 0.1):
        found = [_fixed(D, share) for D in matrices[:FIXED]]
        _excess(n, f"fixed lambda = {share} lambda_max", best[: len(found)], found)


def _fixed(D: Matrix, share: float) -> float:
    """Cost at a fixed share of lambda_max: the four largest row sums, filled up by coverage."""
    found = representatives(D, lambda_=share * bounds.lambda_max(D))
    rows = found.rows[np.argsort(-found.weights, kind="stable")[:COUNT]]
    return cost(D, fill_by_coverage(D, rows, COUNT))


def _excess(n: int, name: str, best: Sequence[float], found: Sequence[float]) -> None:
    excess = np.array(found) / np.array(best) - 1.0
    print(
        f"n = {n:4d}  excess of {name:32s} over the optimum: "
        f"mean {np.mean(excess):7.2%}, worst {np.max(excess):7.2%}",
        flush=True,
    )


def batches(n: int, clips: int) -> None:
    """Milliseconds per clip of a batch, by implementation, on the CPU and on a CUDA device."""
    import torch

    rngs = [np.random.default_rng([n, 2000 + seed]) for seed in range(clips)]
    batch = np.stack([video_like(n, rng) for rng in rngs])
    forms = {"compiled": by_numba, "numpy": by_numpy, "torch cpu": by_torch("cpu")}
    if torch.cuda.is_available():
        forms["torch cuda"] = by_torch("cuda")
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(3):
        for name, form in forms.items():
            work = lambda f=form: pick(batch, COUNT, form=f)  # noqa: E731
            times[name].append(seconds_of(work, time.perf_counter))
    for name, found in times.items():
        each = 1e3 * median(found) / clips
        print(f"n = {n:4d}  batch of {clips}: {name:10s} {each:8.2f} ms per clip", flush=True)


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--sizes", type=int, nargs="+", default=[60, 120, 240], help="frames")
    options.add_argument("--clips", type=int, default=3, help="that all solvers get")
    options.add_argument("--proofs", type=int, default=200, help="clips with a proof and baselines")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--batch", type=int, default=32)
    chosen = options.parse_args(words)
    compiled.load()
    for n in chosen.sizes:
        race(n, chosen.clips, chosen.rounds)
        proofs(n, chosen.proofs)
        batches(n, chosen.batch)


if __name__ == "__main__":
    run_main(main)

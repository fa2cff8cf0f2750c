"""Key frames measured: our solver against cvxpy and HiGHS side by side, the proof on every clip, and what the baselines lose.

    python -m av_tagger.bench.keyframes [--sizes 60 120 240] [--clips 3] [--proofs 200] [--rounds 2]

Matrices are made by code: each clip has one to eight scenes of random lengths; a scene is a point far from the others plus a drift and a
random walk of random speed, every frame gets noise of a random size (64 dimensions); D is the Euclidean distances, over their mean.
The contestants take turns on every clip (A B C A B C ...); a figure is the median CPU time over clips and rounds (wall time
for the batches, as a device works beside the CPU). cvxpy and HiGHS get the fixed
lambda at which exactly four rows are the optimum, which is the easier question: finding that lambda is not counted against them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from av_tagger.video.keyframes import default_lambda, representatives
from av_tagger.video.sparse_coding import bounds, reference
from av_tagger.video.sparse_coding.compiled import compiled
from av_tagger.video.sparse_coding.pick import by_numba, by_numpy, by_torch, pick
from av_tagger.video.sparse_coding.problem import Matrix, cost, fill_by_coverage, normalised
from av_tagger.video.sparse_coding.program import linear_program

COUNT = 4
FIXED = 25  # clips on which a fixed lambda is tried: with many rows its linear program takes long
Contest = dict[str, Callable[[Matrix, float], object]]


def video_like(n: int, rng: np.random.Generator, dimensions: int = 64) -> Matrix:
    """Distances of a made-up clip, over their mean."""
    cuts = np.sort(rng.choice(np.arange(1, n), rng.integers(0, 8), replace=False))
    parts = [_scene(length, rng, dimensions) for length in np.diff([0, *cuts, n])]
    frames = np.concatenate(parts) + rng.normal(size=(n, dimensions)) * 10.0 ** rng.uniform(
        -3.0, -0.5
    )
    norms = (frames**2).sum(axis=1)
    square = norms[:, None] + norms - 2.0 * frames @ frames.T
    np.fill_diagonal(square, 0.0)
    return normalised(np.sqrt(np.maximum(square, 0.0)))[0]


def _scene(length: int, rng: np.random.Generator, dimensions: int) -> NDArray[np.float64]:
    drift = rng.normal(size=dimensions) * 0.3 * 10.0 ** rng.uniform(-2.0, 0.0)
    steps = rng.normal(size=(length, dimensions)) * 10.0 ** rng.uniform(-2.0, 0.0) + drift
    return np.asarray(
        rng.normal(size=dimensions) * 10.0 ** rng.uniform(0.0, 1.0) + np.cumsum(steps, axis=0)
    )


def contestants() -> Contest:
    everything: Contest = {
        "ours, k = 4 certified (compiled)": lambda D, _: pick(D[None], COUNT, form=by_numba),
        "ours, k = 4 certified (numpy)": lambda D, _: pick(D[None], COUNT, form=by_numpy),
        "ours, whole public call": lambda D, _: representatives(D, COUNT),
        "ours, fixed lambda, infinity norm": lambda D, lambda_: representatives(D, lambda_=lambda_),
        "ours, fixed lambda, l2 norm (ADMM, 1e-4)": lambda D, lambda_: representatives(
            D, lambda_=_l2(D, lambda_), norm="l2"
        ),
        "HiGHS, the linear program itself": lambda D, lambda_: linear_program(
            D, lambda_, np.ones(D.shape, dtype=bool)
        ),
    }
    for solver, norm in (
        ("highs", "inf"),
        ("clarabel", "inf"),
        ("scs", "inf"),
        ("clarabel", "l2"),
        ("scs", "l2"),
    ):
        everything[f"cvxpy:{solver}, {norm} norm"] = _referred(solver, norm)
    return everything


def _referred(solver: str, norm: str) -> Callable[[Matrix, float], object]:
    if norm == "inf":
        return lambda D, lambda_: reference.solve(D, lambda_, solver, "inf")
    return lambda D, lambda_: reference.solve(D, _l2(D, lambda_), solver, "l2")


def _l2(D: Matrix, lambda_: float) -> float:
    """The same price for a row that represents a k-th of the frames."""
    return lambda_ * float(np.sqrt(COUNT / len(D)))


def race(n: int, clips: int, rounds: int) -> None:
    """Everybody on every clip in turn; the first turn of each (compilation, imports) is thrown away."""
    everybody = contestants()
    matrices = [video_like(n, np.random.default_rng([n, seed])) for seed in range(clips)]
    lambdas = [default_lambda(D, COUNT) for D in matrices]
    small = video_like(20, np.random.default_rng(0))
    for run in everybody.values():
        run(small, 1.0)
    times: dict[str, list[float]] = {name: [] for name in everybody}
    for _ in range(rounds):
        for D, lambda_ in zip(matrices, lambdas, strict=True):
            for name, run in everybody.items():
                times[name].append(_seconds(run, D, lambda_))
    _table(n, {name: median(t) for name, t in times.items()})


def _seconds(run: Callable[[Matrix, float], object], D: Matrix, lambda_: float) -> float:
    started = time.process_time()
    run(D, lambda_)
    return time.process_time() - started


def _table(n: int, seconds: dict[str, float]) -> None:
    ours = seconds["ours, k = 4 certified (compiled)"]
    for name, s in seconds.items():
        print(f"n = {n:4d}  {name:42s} {1e3 * s:10.2f} ms   {s / ours:8.1f} x ours")
    best = min(s for name, s in seconds.items() if name.startswith("cvxpy"))
    print(f"n = {n:4d}  best cvxpy / ours: {best / ours:.0f} x", flush=True)


def proofs(n: int, clips: int) -> None:
    """The gap on every clip; the excess of the baselines and of two fixed lambdas over the proven optimum."""
    matrices = [video_like(n, np.random.default_rng([n, 1000 + seed])) for seed in range(clips)]
    ours = [pick(D[None], COUNT, form=by_numba)[0] for D in matrices]
    gaps = np.array([answer.gap for answer in ours])
    linked = np.mean([answer.lambdas is not None for answer in ours])
    print(
        f"n = {n:4d}  gap over {clips} clips: median {np.median(gaps):.1e}, worst {gaps.max():.1e}; certified lambda: {linked:.1%}"
    )
    best = [answer.objective for answer in ours]
    for name in ("uniform", "kmeans", "kmedoids"):
        _excess(n, name, best, [representatives(D, COUNT, solver=name).objective for D in matrices])
    for share in (0.03, 0.1):
        some = matrices[:FIXED]
        _excess(
            n,
            f"fixed lambda = {share} lambda_max",
            best[: len(some)],
            [_fixed(D, share) for D in some],
        )


def _fixed(D: Matrix, share: float) -> float:
    """The paper's recipe with a fixed share of lambda_max: the four largest row sums, filled by coverage when there are fewer."""
    found = representatives(D, lambda_=share * bounds.lambda_max(D))
    return cost(
        D, fill_by_coverage(D, found.rows[np.argsort(-found.weights, kind="stable")[:COUNT]], COUNT)
    )


def _excess(n: int, name: str, best: Sequence[float], found: Sequence[float]) -> None:
    excess = np.array(found) / np.array(best) - 1.0
    print(
        f"n = {n:4d}  excess of {name:32s} over the optimum: mean {np.mean(excess):7.2%}, worst {np.max(excess):7.2%}",
        flush=True,
    )


def batches(n: int, clips: int) -> None:
    """Milliseconds a clip for a batch, each form in turn, on the CPU and where there is one on a CUDA device."""
    import torch

    batch = np.stack(
        [video_like(n, np.random.default_rng([n, 2000 + seed])) for seed in range(clips)]
    )
    forms = {"compiled": by_numba, "numpy": by_numpy, "torch cpu": by_torch("cpu")}
    if torch.cuda.is_available():
        forms["torch cuda"] = by_torch("cuda")
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(3):
        for name, form in forms.items():
            started = time.perf_counter()
            pick(batch, COUNT, form=form)
            times[name].append(time.perf_counter() - started)
    for name, seconds in times.items():
        print(
            f"n = {n:4d}  batch of {clips}: {name:10s} {1e3 * median(seconds) / clips:8.2f} ms a clip",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[60, 120, 240])
    parser.add_argument("--clips", type=int, default=3, help="clips on which everybody races")
    parser.add_argument(
        "--proofs",
        type=int,
        default=200,
        help="clips on which the proof and the baselines are checked",
    )
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args(arguments)
    compiled.load()
    for n in chosen.sizes:
        race(n, chosen.clips, chosen.rounds)
        proofs(n, chosen.proofs)
        batches(n, 32)


if __name__ == "__main__":
    main()

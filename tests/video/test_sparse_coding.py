"""The solvers against brute force, independent linear programs, cvxpy, and each other."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import optimize, sparse

from av_tagger.errors import UsageError
from av_tagger.video.sparse_coding import baselines, batched, bounds, branch, l2, plain, reference
from av_tagger.video.sparse_coding.penalised import penalise
from av_tagger.video.sparse_coding.pick import by_numpy, by_torch, pick
from av_tagger.video.sparse_coding.problem import Effort, cost, fill_evenly, normalised, scaled

Array = NDArray[np.float64]
TIGHT = 1.0 + 1e-9


def video_like(n: int, seed: int) -> Array:
    """Scenes of random lengths, each a random walk: what distances of frame features look like."""
    rng = np.random.default_rng(seed)
    scene = np.sort(rng.integers(0, rng.integers(1, 8), n))
    walk = np.cumsum(rng.normal(size=(n, 16)) * 0.3, axis=0)
    x = rng.normal(size=(8, 16))[scene] * 5 + walk + rng.normal(size=(n, 16)) * 0.05
    return normalised(np.sqrt(((x[:, None] - x) ** 2).sum(-1)))[0]


def many(kind: str, b: int, n: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if kind == "uniform":
        return rng.random((b, n, n))
    if kind == "ties":
        return rng.integers(0, 4, (b, n, n)).astype(float)
    points = rng.normal(size=(b, n, 3))
    if kind == "duplicates":
        points = points[:, rng.integers(0, 4, n)]
    if kind == "scales":
        points *= 10.0 ** rng.uniform(-120, 120, (b, 1, 1))
    return np.asarray(np.sqrt(((points[:, :, None] - points[:, None]) ** 2).sum(-1)))


def brute(batch: Array, count: int) -> Array:
    return np.min(
        [
            batch[:, list(rows)].min(axis=1).sum(axis=1)
            for rows in combinations(range(batch.shape[1]), count)
        ],
        axis=0,
    )


def relaxation(D: Array, *, lambda_: float = 0.0, count: int | None = None) -> float:
    """Uncapacitated facility location (or k-median) relaxed, by HiGHS, written densely and
    independently of the package.
    """
    n = len(D)
    costs = np.r_[D.ravel(), np.full(n, lambda_)]
    served = np.c_[np.tile(np.eye(n), n), np.zeros((n, n))]
    below = np.c_[np.eye(n * n), -np.repeat(np.eye(n), n, axis=0)]
    equal, right = served, np.ones(n)
    if count is not None:
        equal, right = np.r_[served, np.r_[np.zeros(n * n), np.ones(n)][None]], np.r_[right, count]
    solved = optimize.linprog(
        costs,
        sparse.csr_array(below),
        np.zeros(n * n),
        sparse.csr_array(equal),
        right,
        method="highs",
    )
    assert solved.status == 0
    return float(solved.fun)


@pytest.mark.parametrize("kind", ["uniform", "ties", "points", "duplicates", "scales"])
@pytest.mark.parametrize("form", [by_numpy, by_torch("cpu")], ids=["numpy", "torch"])
@pytest.mark.parametrize(("n", "count"), [(8, 1), (8, 2), (9, 4), (5, 4)])
def test_count_against_brute_force(kind: str, form: object, n: int, count: int) -> None:
    batch = many(kind, 40, n, seed=n + count)
    best = brute(batch, count)
    answers = pick(batch, count, form=form)  # type: ignore[arg-type]
    found, lower = (
        np.array([a.objective for a in answers]),
        np.array([a.lower_bound for a in answers]),
    )
    assert np.all(lower <= best * TIGHT)
    assert np.all(found <= best * (1 + 1e-6))
    assert np.all(found >= best / TIGHT)
    assert all(a.gap <= 1e-6 for a in answers)
    for D, a in zip(batch, answers, strict=True):
        assert len(a.rows) == count
        assert np.all(np.diff(a.rows) > 0)
        assert a.weights.sum() == pytest.approx(1.0)
        assert a.objective == pytest.approx(cost(D, a.rows), rel=1e-12)


matrices = st.integers(2, 7).flatmap(
    lambda n: arrays(
        np.float64,
        (n, n),
        elements=st.one_of(st.sampled_from([0.0, 1.0, 2.0, 1e-9, 1e9]), st.floats(0, 10, width=32)),
    )
)


@settings(max_examples=100, deadline=None)
@given(matrices, st.integers(1, 4))
def test_any_matrix_is_solved_to_proof(D: Array, count: int) -> None:
    (answer,) = pick(D[None], count, form=by_numpy)
    best = float(brute(D[None], min(count, len(D)))[0])
    assert answer.lower_bound <= best * TIGHT
    assert answer.objective <= best * (1 + 1e-6) + 1e-12 * D.sum()
    assert answer.objective >= best / TIGHT


@settings(max_examples=60, deadline=None)
@given(matrices, st.data())
def test_any_prices_bound_from_below(D: Array, data: st.DataObject) -> None:
    v = data.draw(arrays(np.float64, len(D), elements=st.floats(-5, 15, width=32)))
    count = data.draw(st.integers(1, len(D)))
    lambda_ = data.draw(st.floats(0, 20))
    assert bounds.count_bound(D, v, count) <= float(brute(D[None], count)[0]) * TIGHT
    binary = min(float(brute(D[None], k)[0]) + lambda_ * k for k in range(1, len(D) + 1))
    assert bounds.penalty_bound(D, v, lambda_) <= binary * TIGHT


@pytest.mark.parametrize("seed", range(6))
def test_count_against_the_k_median_program(seed: int) -> None:
    D, count = video_like(24, seed), 1 + seed % 4
    rows, v = plain.search(D, count, 500, 1e-6)
    program = relaxation(D, count=count)
    assert bounds.count_bound(D, v, count) <= program * TIGHT
    assert program <= cost(D, rows) * TIGHT


@pytest.mark.parametrize("seed", range(6))
def test_tuned_lambda_makes_k_medoids_the_optimum_of_the_papers_program(seed: int) -> None:
    D, count = video_like(22, 100 + seed), 3
    (answer,) = pick(D[None], count, form=by_numpy)
    assert answer.lambdas is not None
    for share in (0.0, 0.5, 1.0):
        lambda_ = answer.lambdas[0] + share * (answer.lambdas[1] - answer.lambdas[0])
        assert relaxation(D, lambda_=lambda_) == pytest.approx(
            answer.objective + count * lambda_, rel=2e-6
        )


@pytest.mark.parametrize("kind", ["uniform", "ties", "points", "duplicates"])
@pytest.mark.parametrize("lambda_", [0.0, 0.05, 0.5, 3.0, 100.0])
def test_penalty_against_the_facility_location_program(kind: str, lambda_: float) -> None:
    for D in (normalised(D)[0] for D in many(kind, 3, 14, seed=7)):
        answer = penalise(D, lambda_, Effort())
        program = relaxation(D, lambda_=lambda_)
        assert answer.lower_bound <= program * TIGHT + 1e-12
        assert answer.objective == pytest.approx(program, rel=1e-6, abs=1e-9)
        assert answer.weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(3))
def test_penalty_against_cvxpy(seed: int) -> None:
    D = video_like(40, seed)
    for lambda_ in (0.3, 2.0, 8.0):
        ours, theirs = penalise(D, lambda_, Effort()), reference.solve(D, lambda_, "highs", "inf")
        assert ours.objective == pytest.approx(theirs.objective, rel=1e-4)
        assert ours.lower_bound <= theirs.objective * (1 + 1e-6)
        assert theirs.lower_bound <= ours.objective * (1 + 1e-6)
        assert theirs.gap < 1e-6


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("lambda_", [0.2, 1.0, 4.0])
def test_group_sparse_against_cvxpy(seed: int, lambda_: float) -> None:
    D = video_like(30, 50 + seed)
    ours, theirs = l2.group_sparse(D, lambda_, 1e-5), reference.solve(D, lambda_, "clarabel", "l2")
    assert ours.gap <= 1e-5
    assert ours.objective == pytest.approx(theirs.objective, rel=2e-5)
    assert ours.lower_bound <= theirs.objective * (1 + 1e-6)
    assert theirs.gap < 1e-5


def test_simplex_projection_is_the_nearest_point() -> None:
    X = np.random.default_rng(0).normal(size=(6, 40)) * 3
    Z, tau = l2.on_simplex(X)
    for start in (tau, tau + 0.3, tau - 5.0, tau + 100.0):
        assert np.allclose(l2.on_simplex(X, start)[0], Z)
    assert np.allclose(Z.sum(axis=0), 1.0)
    assert Z.min() >= 0.0
    others = (
        np.random.default_rng(1).dirichlet(np.ones(6), size=500).T
    )  # a projection p of x has (x - p).(y - p) <= 0 for every y
    for x, p in zip(X.T, Z.T, strict=True):
        assert np.all((x - p) @ (others - p[:, None]) <= 1e-9)


@pytest.mark.parametrize("n", [12, 30])
def test_branching_closes_what_the_relaxation_leaves_open(n: int) -> None:
    left_open = 0
    for D in (normalised(D)[0] for D in many("uniform", 6, n, seed=3)):
        rows, v = plain.search(D, 3, 500, 1e-6)
        left_open += cost(D, rows) - bounds.count_bound(D, v, 3) > 1e-4
        rows, lower = branch.finish(D, rows, v, Effort())
        best = float(brute(D[None], 3)[0])
        assert cost(D, rows) == pytest.approx(best, rel=1e-6)
        assert best * (1 - 1e-6) <= lower <= best * TIGHT
    assert left_open > 0, "these matrices were meant to need branching"


def test_an_effort_that_runs_out_is_told_in_the_gap() -> None:
    batch = many("uniform", 2, 60, seed=5)
    answers = pick(batch, 3, effort=Effort(iterations=5, nodes=1), form=by_numpy)
    assert np.all(np.array([a.lower_bound for a in answers]) <= brute(batch, 3) * TIGHT)
    assert all(a.gap > 1e-6 for a in answers)


def test_forms_take_the_same_steps() -> None:
    batch = np.stack([video_like(50, seed) for seed in range(12)])
    for count in (1, 3, 4):
        rows, v = batched.search(torch.from_numpy(batch), count, 500, 1e-6)
        for D, r, p in zip(batch, rows.numpy(), v.numpy(), strict=True):
            ours, prices = plain.search(D, count, 500, 1e-6)
            assert np.array_equal(ours, r)
            assert bounds.count_bound(D, p, count) == pytest.approx(
                bounds.count_bound(D, prices, count), rel=2e-6
            )


def test_ties_go_to_the_lowest_index() -> None:
    D = (
        np.abs(np.arange(3)[:, None] - np.arange(3)).astype(float)[:, [0, 0, 1, 1, 2, 2]][
            [0, 0, 1, 1, 2, 2]
        ]
        + 0.0
    )
    for form in (by_numpy, by_torch("cpu")):
        assert pick(D[None], 3, form=form)[0].rows.tolist() == [0, 2, 4]
    assert pick(np.ones((1, 9, 9)), 4, form=by_numpy)[0].rows.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["uniform", "points"])
def test_lambda_limits(kind: str) -> None:
    for D in many(kind, 4, 12, seed=9):
        high, low = bounds.lambda_max(D), bounds.lambda_necessary(D)
        one, two = (float(brute(D[None], k)[0]) for k in (1, 2))
        assert low == pytest.approx(one - two)
        assert low <= high * TIGHT
        assert relaxation(D, lambda_=high) == pytest.approx(one + high, rel=1e-9)
        assert relaxation(D, lambda_=0.98 * low) < one + 0.98 * low - 1e-9
    assert bounds.lambda_necessary(np.zeros((1, 1))) == 0.0


def test_osqp_and_unknown_solvers_are_refused_with_a_reason() -> None:
    with pytest.raises(UsageError, match="iteration limit"):
        reference.solve(np.ones((3, 3)), 1.0, "osqp", "inf")
    with pytest.raises(UsageError, match="did you mean 'highs'"):
        reference.solve(np.ones((3, 3)), 1.0, "higs", "inf")
    with pytest.raises(UsageError, match="not linear"):
        reference.solve(np.ones((3, 3)), 1.0, "highs", "l2")


def test_classical_scaling_gives_the_distances_back() -> None:
    D = many("points", 1, 10)[0]
    x = baselines.embedded(D)
    assert np.allclose(np.sqrt(((x[:, None] - x) ** 2).sum(-1)), D)


def test_even_filling() -> None:
    assert fill_evenly(np.array([0]), 9, 3).tolist() == [0, 4, 6]
    assert fill_evenly(np.array([0]), 240, 4).tolist() == [0, 60, 120, 180]
    assert fill_evenly(np.array([1, 2]), 4, 9).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("solver", "norm"), [("highs", "inf"), ("clarabel", "l2"), ("scs", "inf")])
def test_cvxpy_prints_nothing(capfd: pytest.CaptureFixture[str], solver: str, norm: str) -> None:
    """HiGHS has a banner, which would end up in the output of --json."""
    D = np.random.default_rng(0).random((6, 6))
    np.fill_diagonal(D, 0)
    reference.solve(D, 1.0, solver, norm)  # type: ignore[arg-type]
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


@pytest.mark.parametrize("unit", [1e-300, 3e-5, 1.0, 7e4, 1e300])
def test_scaling_rounds_nothing(unit: float) -> None:
    D = unit * np.random.default_rng(0).random((20, 20))
    out = np.empty(D.shape)
    power = scaled(D, out, float(D.max()))
    assert np.log2(power) == np.round(np.log2(power))
    np.testing.assert_array_equal(out * power, D)
    assert 0.99 < out.mean() < 2.01
    single = D.astype(np.float32) if 1e-30 < unit < 1e30 else D
    assert scaled(single, out, float(single.max())) == power

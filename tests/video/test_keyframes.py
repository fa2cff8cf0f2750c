"""The public face: `representatives`, its degenerate cases, and the selectors under every name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from av_tagger.errors import UsageError
from av_tagger.protocols import KeyframeSelector, Representatives
from av_tagger.video import keyframes
from av_tagger.video.keyframes import (
    SELECTORS,
    default_lambda,
    lambda_interval,
    lambda_max,
    lambda_necessary,
    representatives,
    selector,
)

FAST = ["sparse", "uniform", "kmeans", "kmedoids"]
ALL = [*FAST, "cvxpy", "cvxpy:highs", "cvxpy:clarabel"]


def scenes(*lengths: int, seed: int = 0, noise: float = 0.05) -> torch.Tensor:
    """Features of a clip whose scenes have these lengths."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(lengths), 12)) * 10
    x = np.repeat(centres, lengths, axis=0)
    return torch.from_numpy((x + noise * rng.normal(size=x.shape)).astype(np.float32))


def far(x: torch.Tensor) -> NDArray[np.float64]:
    return torch.cdist(x.double(), x.double(), compute_mode="donot_use_mm_for_euclid_dist").numpy()


@pytest.mark.parametrize("name", ["sparse", "kmeans", "kmedoids", "cvxpy"])
def test_four_scenes_give_one_key_frame_each(name: str) -> None:
    answer = representatives(far(scenes(10, 3, 20, 7)), 4, solver=name)
    assert np.searchsorted([10, 13, 33, 40], answer.rows, side="right").tolist() == [0, 1, 2, 3]
    assert (answer.weights * 40).round(6).tolist() == [10, 3, 20, 7]
    assert answer.rows.dtype == np.int64


@pytest.mark.parametrize("name", ALL)
def test_one_contract_for_every_solver(name: str) -> None:
    D = far(scenes(5, 9, 6, 4, 8, seed=3, noise=2.0))
    best, answer = representatives(D, 4), representatives(D, 4, solver=name)
    assert isinstance(answer, Representatives)
    assert len(answer.rows) == 4
    assert np.all(np.diff(answer.rows) > 0)
    assert answer.weights.sum() == pytest.approx(1.0)
    assert answer.objective == pytest.approx(D[answer.rows].min(axis=0).sum())
    assert 0.0 <= answer.lower_bound <= best.objective * (1 + 1e-9)
    assert answer.objective >= best.lower_bound
    assert best.gap <= 1e-6


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("fill", [True, False])
def test_degenerate_clips_under_every_solver(name: str, fill: bool) -> None:
    two = np.array([[0.0, 1.0], [1.0, 0.0]])[np.ix_([0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 1, 0])]
    expected = {
        "one frame": (np.zeros((1, 1)), [0], [0]),
        "fewer than asked for": (far(scenes(1, 1, 1)), [0, 1, 2], [0, 1, 2]),
        "still picture": (np.zeros((8, 8)), [1, 3, 5, 7], [4]),
        "two pictures": (two, [0, 1, 2, 4], [0, 2]),
    }
    for what, (D, filled, bare) in expected.items():
        answer = representatives(D, 4, solver=name, fill=fill)
        assert answer.rows.tolist() == (filled if fill else bare), what
        assert answer.gap == 0.0, what
        assert answer.objective == 0.0, what
        assert answer.weights.sum() == pytest.approx(1.0), what


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("D", "message"),
    [
        (np.full((3, 3), np.nan), "NaN or infinity"),
        (np.array([[0.0, np.inf], [1.0, 0.0]]), "NaN or infinity"),
        (np.array([[0.0, -1.0], [1.0, 0.0]]), "negative"),
        (np.zeros((0, 0)), "empty"),
        (np.zeros((2, 3)), r"\(n, n\)"),
        (np.zeros(4), r"\(n, n\)"),
        (np.array([["a"]]), "real numbers"),
        (np.zeros((2, 2), dtype=complex), "real numbers"),
    ],
)
def test_what_is_no_dissimilarity_is_an_error_before_any_loop(
    name: str, D: NDArray[np.generic], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        representatives(D, 2, solver=name)


@pytest.mark.parametrize("count", [0, -1, 2.5, True, "4"])
def test_counts_that_cannot_be_meant(count: object) -> None:
    with pytest.raises(UsageError, match="an integer"):
        representatives(np.ones((5, 5)), count)  # type: ignore[arg-type]


def test_names_that_cannot_be_meant() -> None:
    with pytest.raises(UsageError, match="did you mean 'kmeans'"):
        representatives(np.ones((5, 5)), solver="kmean")
    with pytest.raises(UsageError, match="OSQP"):
        representatives(far(scenes(5, 5, 5)), 2, solver="cvxpy:osqp")
    with pytest.raises(UsageError, match="did you mean 'sparse'"):
        selector("spars")
    with pytest.raises(UsageError, match="row norm"):
        representatives(np.ones((5, 5)), norm="l1")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no lambda"):
        representatives(np.ones((5, 5)), solver="uniform", lambda_=1.0)
    for lambda_ in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="finite number"):
            representatives(np.ones((5, 5)), lambda_=lambda_)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64])
def test_tensors_and_arrays_batches_and_singles(dtype: torch.dtype) -> None:
    batch = torch.stack(
        [torch.from_numpy(far(scenes(4, 7, 5, 3, seed=s, noise=1.0)) * 10) for s in range(3)]
    ).to(dtype)
    whole = representatives(batch, 3)
    assert len(whole) == 3
    for D, a in zip(batch, whole, strict=True):
        for other in (representatives(D, 3), representatives(D.double().numpy(), 3)):
            assert np.array_equal(a.rows, other.rows)
            assert a.objective == other.objective
    assert representatives(batch[:0], 3) == []


def test_units_do_not_matter() -> None:
    D = far(scenes(8, 5, 9, seed=1, noise=3.0))
    plain = representatives(D, 4)
    for unit in (1e-200, 1e-6, 1e6, 1e200):
        other = representatives(D * unit, 4)
        assert np.array_equal(plain.rows, other.rows)
        assert other.objective == pytest.approx(plain.objective * unit, rel=1e-9)
        assert other.gap <= 1e-6


def test_rows_represent_columns_of_a_matrix_that_is_not_symmetric() -> None:
    D = np.ones((6, 6)) * 5
    D[2] = 0.0  # row 2 explains everything, although column 2 is far from all
    answer = representatives(D, 1)
    assert answer.rows.tolist() == [2]
    assert answer.objective == 0.0


@pytest.mark.parametrize("name", ["sparse", "cvxpy"])
@pytest.mark.parametrize("norm", ["inf", "l2"])
def test_with_lambda_the_rows_are_free(name: str, norm: str) -> None:
    D = far(scenes(6, 9, 7, seed=2, noise=1.0))
    sizes = []
    for share in (0.02, 0.3, 1.01):
        answer = representatives(D, lambda_=share * lambda_max(D), norm=norm, solver=name)  # type: ignore[arg-type]
        assert answer.gap <= 2e-4
        assert answer.weights.sum() == pytest.approx(1.0, abs=2e-3)
        sizes.append(len(answer.rows))
    assert sizes == sorted(sizes, reverse=True)
    if norm == "inf":
        assert sizes[-1] == 1


def test_the_default_lambda_asks_for_just_so_many_rows() -> None:
    for seed in range(4):
        D = far(scenes(8, 5, 9, 6, 7, seed=seed, noise=1.0))
        low, high = lambda_interval(D, 3)
        assert low < default_lambda(D, 3) < high
        at = representatives(D, lambda_=default_lambda(D, 3))
        assert np.array_equal(at.rows, representatives(D, 3).rows)
        certified = representatives(D, 3).lambdas
        assert certified is not None
        assert low * (1 - 1e-4) <= certified[0] <= certified[1] <= high * (1 + 1e-4)
    assert lambda_interval(D, 1)[1] == lambda_max(D) >= lambda_necessary(D)
    assert lambda_interval(D, len(D))[0] == 0.0
    with pytest.raises(UsageError, match="belongs to one"):
        default_lambda(np.stack([D, D]))


@pytest.mark.parametrize("name", sorted(SELECTORS))
def test_selectors_keep_to_the_socket(name: str) -> None:
    chosen = selector(name)
    assert isinstance(chosen, KeyframeSelector)
    assert chosen.name == name
    clips = [
        scenes(5, 6, 4, 3),
        scenes(2),
        scenes(4, 4, 4, 6, seed=1),
        scenes(1),
        scenes(3, 3)[[0, 0, 0, 3, 3]],
    ]
    answers = chosen.select(clips, 4)
    assert [len(a.rows) for a in answers] == [4, 2, 4, 1, 2]
    for clip, a in zip(clips, answers, strict=True):
        assert a.weights.sum() == pytest.approx(1.0)
        assert np.array_equal(chosen.select([clip], 4)[0].rows, a.rows)
    assert chosen.select([], 4) == []


def test_clips_of_equal_length_share_one_solver_call(monkeypatch: pytest.MonkeyPatch) -> None:
    solve, sizes = keyframes._sparse_count, list[tuple[int, int]]()

    def counted(batch: Sequence[NDArray[np.float64]], *given: Any) -> Any:
        sizes.append((len(batch), len(batch[0])))
        return solve(batch, *given)

    monkeypatch.setattr(keyframes, "_sparse_count", counted)
    clips = [scenes(4, 3, 5, 4 + i % 2, seed=i) for i in range(9)]
    found = selector().select(clips, 4)
    assert sorted(sizes) == [(4, 17), (5, 16)]
    for one, together in zip(clips, found, strict=True):
        np.testing.assert_array_equal(selector().select([one], 4)[0].rows, together.rows)


def test_images_as_features() -> None:
    pictures = torch.randint(
        0, 255, (3, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    assert selector().select([pictures[[0, 0, 1, 1, 2]]], 4)[0].rows.tolist() == [0, 2, 4]


@pytest.mark.gpu
def test_the_device_and_the_host_agree() -> None:
    batch = torch.stack(
        [torch.from_numpy(far(scenes(9, 7, 5, 13, seed=s, noise=2.0))) for s in range(8)]
    )
    for host, device in zip(
        representatives(batch, 4), representatives(batch.cuda(), 4), strict=True
    ):
        assert device.objective == pytest.approx(host.objective, rel=1e-6)
        assert device.gap <= 1e-6

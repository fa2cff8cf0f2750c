"""Distances against the exact ones, and repeated frames."""

from __future__ import annotations

import pytest
import torch

from av_tagger.errors import AvTaggerError
from av_tagger.video.distances import (
    _checksums,
    _groups,
    check_distances,
    distances,
    without_waiting,
)


def features(n: int, *shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed)) + 3.0


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 150])
def test_equals_the_exact_distances(n: int) -> None:
    x = features(n, 6, 5, 4)
    (D,) = distances([x])
    exact = torch.cdist(
        x.reshape(n, -1).double(),
        x.reshape(n, -1).double(),
        compute_mode="donot_use_mm_for_euclid_dist",
    )
    assert D.shape == (n, n)
    assert D.dtype == torch.float32
    assert torch.allclose(D.double(), exact, rtol=1e-5, atol=1e-4)
    assert torch.equal(D, D.T)
    assert D.diagonal().abs().max() == 0.0


def test_every_clip_by_itself_and_in_order() -> None:
    clips = [features(3, 8, seed=1), features(5, 8, seed=2), features(1, 8, seed=3)]
    together = distances(clips)
    assert [len(D) for D in together] == [3, 5, 1]
    for one, D in zip(clips, together, strict=True):
        assert torch.equal(distances([one])[0], D)


def test_a_far_offset_costs_no_precision() -> None:
    x = features(20, 50)
    (near,), (far,) = distances([x]), distances([x + 1000.0])
    assert torch.allclose(
        near, far, rtol=2e-3
    )  # what float32 features at 1000 can still tell apart


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_repeated_frames_are_exactly_zero_apart_and_like_their_first(dtype: torch.dtype) -> None:
    x = features(6, 40).to(dtype)[[0, 1, 1, 2, 0, 3, 4, 5, 5, 5]]
    first, where = _groups(x, _checksums([x])[0])
    assert first == [0, 1, 3, 5, 6, 7]
    assert where == [0, 1, 1, 2, 0, 3, 4, 5, 5, 5]
    (D,) = distances([x])
    same = torch.tensor(where)[:, None] == torch.tensor(where)
    assert (D[same] == 0.0).all()
    assert (D[~same] > 0.0).all()
    assert torch.equal(D, distances([x[first]])[0][where][:, where])


def test_equal_checksums_are_not_taken_for_equal_frames() -> None:
    x = torch.tensor(
        [[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]
    )  # the same numbers in another order add up alike
    assert _groups(x, _checksums([x])[0])[1] == [0, 1, 0]


def test_frames_that_differ_far_back_are_told_apart() -> None:
    """Checksums look at the first features only; the comparison looks at all."""
    x = torch.zeros(3, 3000)
    x[1, 2999] = 1.0
    (D,) = distances([x])
    assert D[0, 2] == 0.0
    assert D[0, 1] == D[1, 2] == 1.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_features_that_are_no_numbers(bad: float) -> None:
    x = features(4, 10)
    x[2, 3] = bad
    with pytest.raises(AvTaggerError, match="NaN or infinity"):
        distances([x])


def test_no_frames() -> None:
    with pytest.raises(AvTaggerError, match="no frames"):
        distances([torch.zeros(0, 10)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [0, 1, 1, 2, 0, 3, 4, 5, 5, 5], [0], [0, 0]])
def test_the_form_for_a_gpu_gives_the_same(rows: list[int], dtype: torch.dtype) -> None:
    x = features(6, 40).to(dtype)[rows]
    (expected,), ours = distances([x]), without_waiting(x)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-3)
    place = torch.tensor(rows)
    same = place[:, None] == place
    assert (ours[same] == 0.0).all()
    assert (ours[~same] > 0.0).all()
    assert torch.equal(ours, ours.T)
    check_distances(ours)


def test_the_form_for_a_gpu_compares_what_has_equal_checksums() -> None:
    x = torch.tensor([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]])
    D = without_waiting(x)
    assert D[0, 2] == 0.0
    assert D[0, 1] == pytest.approx(2**0.5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("n", [1, 4])
def test_the_form_for_a_gpu_marks_what_is_not_finite(bad: float, n: int) -> None:
    x = features(n, 10)
    x[n // 2, 3] = bad
    D = without_waiting(x)
    if bad == 1e30 and n == 1:
        assert torch.equal(D, torch.zeros(1, 1)), "its distance to itself is finite"
        return
    with pytest.raises(AvTaggerError, match="NaN or infinity"):
        check_distances(D)

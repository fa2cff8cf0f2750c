"""The plain implementation against the real one: the same kind of answers, the same key frames."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform

from av_tagger.bench import naive
from av_tagger.bench.clips import film, make_clip
from av_tagger.bench.keyframes import solvers, video_like
from av_tagger.bench.random_networks import UniformWords, matmul_rate, random_ear, random_eye
from av_tagger.errors import MissingExtra
from av_tagger.video.alexnet import ARCHITECTURES
from av_tagger.video.features import Compute, NetworkFeatures
from av_tagger.video.folded import Folded
from av_tagger.video.sparse_coding.problem import cost

NETWORK = "mobilenetv3_small_050"


@pytest.fixture(scope="module")
def plain() -> naive.Naive:
    torch.manual_seed(0)
    return naive.build(NETWORK)


def test_it_tags_a_file(plain: naive.Naive, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", "mpeg4", (96, 64), 1.0)
    objects, classes = plain.tag(path, fast=True)
    assert objects.shape == (1000,)
    assert objects.sum() == pytest.approx(1, abs=1e-5)
    assert classes.shape == (17,)
    assert ((classes >= 0) & (classes <= 1)).all()


def test_fast_takes_eight_frames_per_second(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", "mpeg4", (96, 64), 2.0)
    assert len(naive.read_frames(path)) == 48
    assert len(naive.read_frames(path, fast=True)) == 16


def test_key_frames_represent_every_scene() -> None:
    """Four clusters of features: one row of each is chosen."""
    draw = np.random.default_rng(0)
    centres = 10 * draw.normal(size=(4, 32))
    features = np.repeat(centres, 5, axis=0) + 0.01 * draw.normal(size=(20, 32))
    rows = naive.key_frames(features.astype(np.float32))
    assert (rows // 5).tolist() == [0, 1, 2, 3]


def test_the_features_are_those_of_the_real_eye(plain: naive.Naive) -> None:
    """With the same weights, on a picture that needs no resizing."""
    architecture = ARCHITECTURES["alexnet"]
    network = architecture.build()
    network[:12].load_state_dict(plain.alexnet.state_dict())
    folded = Folded(architecture.up_to("conv5", network.state_dict()), architecture.geometry)
    real = NetworkFeatures("alexnet", folded, architecture.geometry, Compute())
    clip = film(1, 256, 320)
    ours, theirs = real.describe([clip])[0][0].numpy(), plain.describe(clip.images[0])
    assert theirs.shape == (256 * 13 * 13,)
    assert np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max()


def test_missing_librosa_is_one_sentence(
    plain: naive.Naive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(tmp_path / "a.mp4", "mpeg4", (96, 64), 0.5)
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(MissingExtra, match="pip install librosa"):
        plain.hear(path)


def test_random_networks_answer_as_real_ones() -> None:
    torch.manual_seed(0)
    eye = random_eye(Compute(), NETWORK)
    (seen,) = eye.see([film(6, 64, 96)])
    assert len(seen.keyframes) == 4
    assert np.isfinite(seen.probabilities).all()
    assert len(random_ear().labels) == 17
    assert UniformWords().similarity(("a", "b"), ("c",)).tolist() == [[0.5], [0.5]]


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_rate_of_a_matrix_product(kind: torch.dtype) -> None:
    assert 1e6 < matmul_rate(kind, 256) < 1e15


def test_made_up_distances_are_distances() -> None:
    D = video_like(12, np.random.default_rng(0))
    assert D.shape == (12, 12)
    np.testing.assert_allclose(D, D.T)
    assert not D.diagonal().any()
    assert (D[:, :, None] <= D[:, None, :] + D.T[None] + 1e-9).all(), "triangle inequality"


def test_our_solver_in_the_race_is_optimal() -> None:
    """Against all sets of four rows of a small clip."""
    D = squareform(pdist(np.random.default_rng(1).normal(size=(9, 3))))
    D /= D.mean()
    (ours,) = solvers()["ours, k = 4 certified (numpy)"](D, 1.0)  # type: ignore[misc]
    best = min(cost(D, np.array(rows)) for rows in combinations(range(9), 4))
    assert cost(D, ours.rows) == pytest.approx(best)
    assert ours.objective == pytest.approx(best)


def test_cvxpy_in_the_race_solves_the_same_problem() -> None:
    D = video_like(10, np.random.default_rng(3))
    ours, theirs = (
        solvers()[name](D, 0.3)
        for name in ("ours, fixed lambda, infinity norm", "cvxpy:highs, inf norm")
    )
    assert ours.objective == pytest.approx(theirs.objective, rel=1e-6)  # type: ignore[attr-defined]

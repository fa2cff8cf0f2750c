"""Hard cuts from frame features; PySceneDetect is the oracle on made films."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from av_tagger.clip import Frames
from av_tagger.media.write import write_video
from av_tagger.video.cuts import changes, cut_times
from av_tagger.video.features import Compute
from av_tagger.video.load import thumbnail

FPS = 12.0


def features(*scenes: int, seed: int = 0) -> torch.Tensor:
    """Scenes of so many frames: each its own point, with a little noise."""
    random = np.random.default_rng(seed)
    rows = [random.normal(size=64) + 0.02 * random.normal(size=(count, 64)) for count in scenes]
    return torch.from_numpy(np.concatenate(rows).astype(np.float32))


def times(count: int, fps: float = FPS) -> NDArray[np.float64]:
    return np.arange(count) / fps


def test_cuts_are_the_first_frames_of_scenes() -> None:
    rows = features(24, 36, 12)
    assert cut_times(rows, times(72)) == pytest.approx((24 / FPS, 60 / FPS))


def test_one_scene_has_no_cut() -> None:
    assert cut_times(features(72), times(72)) == ()
    assert cut_times(features(2), times(2)) == ()


def test_a_pan_is_no_cut() -> None:
    """All frames change by as much."""
    random = np.random.default_rng(0)
    path = np.cumsum(random.normal(size=(72, 64)), axis=0).astype(np.float32)
    assert cut_times(torch.from_numpy(path), times(72)) == ()


def test_a_flash_is_no_shot() -> None:
    rows = features(30, 2, 40)
    rows[32:] = rows[0] + 0.01 * rows[32:]
    assert len(cut_times(rows, times(72))) == 1


def test_changes_are_relative() -> None:
    rows = features(4, 4)
    assert changes(rows * 1000) == pytest.approx(changes(rows), rel=1e-4)
    assert changes(torch.zeros(3, 8)) == pytest.approx([0.0, 0.0])


def scene(random: np.random.Generator, count: int) -> list[NDArray[np.uint8]]:
    """A coloured background with boxes, one of which moves."""
    ground = np.full((120, 160, 3), random.integers(0, 255, 3), np.uint8)
    for _ in range(6):
        y, x = random.integers(0, 100), random.integers(0, 130)
        ground[y : y + 30, x : x + 40] = random.integers(0, 255, 3)
    frames = []
    for n in range(count):
        frame = ground.copy()
        frame[50:70, 5 + 2 * n : 25 + 2 * n] = (250, 250, 40)
        frames.append(frame)
    return frames


def test_the_same_cuts_as_pyscenedetect(tmp_path: Path) -> None:
    scenedetect = pytest.importorskip("scenedetect")
    random = np.random.default_rng(7)
    lengths = [int(n) for n in random.integers(14, 40, 8)]
    frames = [f for count in lengths for f in scene(random, count)]
    film = write_video(tmp_path / "film.mp4", iter(frames), FPS)
    found = scenedetect.detect(str(film), scenedetect.ContentDetector(min_scene_len=5))
    theirs = [float(start.seconds) for start, _ in found][1:]
    described = thumbnail(Compute(16, torch.device("cpu"))).describe([frames_of(frames)])[0]
    ours = cut_times(described, times(len(frames)))
    assert theirs == pytest.approx(list(np.cumsum(lengths)[:-1] / FPS), abs=0.01)
    assert list(ours) == pytest.approx(theirs, abs=0.01)


def frames_of(pictures: list[NDArray[np.uint8]]) -> Frames:
    return Frames(np.stack(pictures), times(len(pictures)))

"""The fusion study: how much the eye may add, unknown labels, and videos through the eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.fusion.logit import logit, sigmoid
from av_tagger.studies.fusion_fit import bounded, micro_f1
from av_tagger.studies.fusion_look import look
from tests.assets import make_video


@pytest.mark.parametrize("threshold", [0.05, 0.21, 0.4, 0.9])
def test_what_is_not_heard_stays_below_the_threshold(threshold: float) -> None:
    most = bounded(threshold)
    assert sigmoid(logit(np.array(0.01)) + most) < threshold
    assert 0 <= most <= 4


def test_what_is_unknown_is_no_mistake() -> None:
    truth = np.array([[1.0, np.nan], [0.0, 0.0]])
    assert micro_f1(np.array([[True, True], [False, False]]), truth) == 1
    assert micro_f1(np.array([[True, True], [True, False]]), truth) == pytest.approx(2 / 3)


def test_a_video_is_looked_at_once(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    seen = look([path], tmp_path / "seen.npz")
    assert seen.shape == (1, 17)
    path.unlink()
    np.testing.assert_array_equal(look([path], tmp_path / "seen.npz"), seen)

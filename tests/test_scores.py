"""Data that go out, and representatives: checks and derived values."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip, Media, Waveform
from av_tagger.protocols import DecodeRequest, Representatives
from av_tagger.scores import Activity, BranchInfo, Failed, RunInfo, Scores, Status, Tagged

LABELS = ("a", "b")


def test_one_probability_per_class() -> None:
    Scores(LABELS, np.zeros(2))
    for wrong in (np.zeros(3), np.zeros((1, 2)), np.zeros(0)):
        with pytest.raises(ValueError, match="one probability per class"):
            Scores(LABELS, wrong)


def test_a_silent_branch_has_no_opinion() -> None:
    silent = Scores.silent(LABELS, Status.OFF)
    assert np.isnan(silent.probabilities).all()
    assert (silent.status, silent.has_opinion) == (Status.OFF, False)
    assert Scores(LABELS, np.array([np.nan, 0.0])).has_opinion


def test_activity_has_frames_and_classes() -> None:
    Activity(np.zeros((0, 2), np.float32), 10.0)
    with pytest.raises(ValueError, match=r"activity must be \(frames, classes\)"):
        Activity(np.zeros(5, np.float32), 10.0)


def test_statuses_are_words() -> None:
    assert [str(status) for status in Status] == ["ok", "degraded", "no track", "no weights", "off"]


def test_results_can_be_pickled() -> None:
    clip = Clip(Path("a.mp4"), 1.0, 2.0)
    branch = BranchInfo(Status.OK, "m", "w")
    run = RunInfo("0", "cpu", "f", 1.0)
    tagged = Tagged(clip, 1.0, (), {}, (), branch, branch, run)
    failed = Failed(clip, "media", "is broken")
    assert pickle.loads(pickle.dumps([tagged, failed])) == [tagged, failed]


@pytest.mark.parametrize(("start", "end"), [(-1.0, None), (2.0, 2.0), (2.0, 1.0)])
def test_clips_start_before_they_end(start: float, end: float | None) -> None:
    with pytest.raises(ValueError, match="a clip"):
        Clip(Path("a.mp4"), start, end)


def test_waveforms_are_mono_float32() -> None:
    assert Waveform(np.zeros(500, np.float32), 1000).duration_seconds == 0.5
    for wrong in (np.zeros((2, 5), np.float32), np.zeros(5), np.zeros(5, np.int16)):
        with pytest.raises(ValueError, match="a waveform must be mono float32"):
            Waveform(wrong, 1000)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the sampling rate must be positive"):
        Waveform(np.zeros(5, np.float32), 0)


def test_a_window_has_no_notes_by_default() -> None:
    window = Media(Clip(Path("a.mp4")), 0.0, 1.0, None, None)
    assert (window.notes, window.remarks) == ((), ())


def test_decode_requests_are_values() -> None:
    assert DecodeRequest(audio_rate=None) == DecodeRequest(audio_rate=None)
    assert pickle.loads(pickle.dumps(DecodeRequest(frame_rate=8.0))).frame_rate == 8.0


@pytest.mark.parametrize(
    ("objective", "bound", "gap"),
    [(10.0, 10.0, 0.0), (10.0, 9.0, 0.1), (10.0, 11.0, 0.0), (0.0, 0.0, 0.0)],
)
def test_the_gap_is_relative_and_not_negative(objective: float, bound: float, gap: float) -> None:
    rows, weights = np.array([0, 3]), np.array([0.5, 0.5])
    assert Representatives(rows, weights, objective, bound).gap == pytest.approx(gap)

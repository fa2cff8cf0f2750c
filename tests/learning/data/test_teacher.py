"""Teacher targets: scores of clips by a published ear, calibration, and softened labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.audio.ears import load_ear
from av_tagger.clip import Clip, Waveform
from av_tagger.errors import MediaError, UsageError, WeightsError
from av_tagger.labels import audioset
from av_tagger.learning.data.teacher import Teacher, TeacherChoice, TeacherTargets, calibrated
from tests.assets import Audio, make_audio, make_video
from tests.learning.published import write_published

NAN = float("nan")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(tmp_path_factory.mktemp("weights") / "tiny.pt")


def tone(path: Path, hertz: float, seconds: float = 1.0) -> Clip:
    wave = 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * 32_000)) / 32_000)
    samples = wave[None].astype(np.float32)
    return Clip(make_audio(path, seconds, Audio("pcm", rate=32_000, samples=samples)))


def test_labels_are_mixed_with_the_teacher_s_scores() -> None:
    known = np.array([[0.5, 0.5, 0.2, NAN, NAN]], np.float32)
    teacher = TeacherTargets("t", np.zeros((1, 9), np.float16), known, trust=0.6)
    labels = np.array([[1, 0, NAN, 1, NAN]], np.float32)
    expected = [[0.8, 0.2, 0.2, 1, NAN]]  # unknown: the score; a class it lacks: the label
    np.testing.assert_allclose(teacher.soften(labels), expected, rtol=1e-6)


def test_full_trust_keeps_the_labels() -> None:
    teacher = TeacherTargets("t", np.zeros((1, 2), np.float16), np.full((1, 2), 0.3, np.float32))
    assert teacher.soften(np.array([[1, 0]], np.float32)).tolist() == [[1, 0]]


def test_a_typical_score_becomes_one_half() -> None:
    scores = np.array([[0.05, 0.3], [0.2, 0.3], [0.01, 0.3]], np.float32)
    known = calibrated(scores, ("a", "b"), ("b", "a", "c"), {"a": 0.05})
    assert known[:, 0] == pytest.approx([0.3] * 3)  # not calibrated
    assert known[0, 1] == pytest.approx(0.5)
    assert known[2, 1] < 0.5 < known[1, 1]
    assert np.isnan(known[:, 2]).all()


def test_a_teacher_of_other_classes_is_an_error() -> None:
    with pytest.raises(UsageError, match="knows none of the classes"):
        calibrated(np.zeros((1, 1), np.float32), ("a",), ("b",), {})


def test_scores_are_those_of_the_ear_over_all_windows(published: Path, tmp_path: Path) -> None:
    clips = [tone(tmp_path / "a.wav", 300), tone(tmp_path / "b.wav", 3000, 11.0)]
    found = Teacher(TeacherChoice(str(published)), tmp_path / "cache").targets(
        clips, ("Speech", "Music", "no such class")
    )
    assert found.scores.shape == (2, 527)
    ear = load_ear(published, "cpu")
    wave = 0.3 * np.sin(2 * np.pi * 300 * np.arange(32_000) / 32_000)
    (scores,) = ear.hear([Waveform(wave.astype(np.float32), 32_000)])
    np.testing.assert_allclose(found.scores[0], scores.probabilities, atol=2e-3)
    speech = audioset().labels.index("Speech")
    np.testing.assert_allclose(found.known[:, 0], found.scores[:, speech], atol=2e-3)
    assert np.isnan(found.known[:, 2]).all()


def test_cached_scores_need_no_network(published: Path, tmp_path: Path) -> None:
    clips = [tone(tmp_path / f"{i}.wav", 300 + i) for i in range(2)]
    seen: list[tuple[int, int]] = []
    first = Teacher(TeacherChoice(str(published)), tmp_path / "cache")
    scores = first.targets(clips, ("Speech",), lambda *n: seen.append(n))
    assert seen == [(1, 2), (2, 2)]
    assert "ear" in vars(first)
    second = Teacher(TeacherChoice(str(published)), tmp_path / "cache")
    assert second.targets(clips, ("Speech",)).sha256 == scores.sha256
    assert "ear" not in vars(second)  # the network was not loaded


def test_checksums_depend_on_scores_and_trust() -> None:
    known = np.zeros((1, 2), np.float32)
    one = TeacherTargets("t", np.zeros((1, 2), np.float16), known, trust=0.5)
    other = TeacherTargets("t", np.zeros((1, 2), np.float16), known, trust=0.6)
    more = TeacherTargets("t", np.ones((1, 2), np.float16), known, trust=0.5)
    assert len({one.sha256, other.sha256, more.sha256}) == 3


def test_a_clip_without_sound_is_an_error(published: Path, tmp_path: Path) -> None:
    mute = make_video(tmp_path / "mute.mp4", seconds=0.4, audio=None)
    with pytest.raises(MediaError, match="no audio track"):
        Teacher(TeacherChoice(str(published)), tmp_path).targets([Clip(mute)], ("Speech",))


def test_missing_weights_of_the_teacher_are_an_error(tmp_path: Path) -> None:
    clips = [tone(tmp_path / "a.wav", 300)]
    choice = TeacherChoice(str(tmp_path / "gone.pt"))
    with pytest.raises(WeightsError, match=r"gone\.pt"):
        Teacher(choice, tmp_path / "cache").targets(clips, ("Speech",))

"""The ensemble ear: one decoding for all parts, logits combined, timelines laid over each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from av_tagger.audio.calibration import HEAD, Calibration, Source
from av_tagger.audio.combined import CombinedEar
from av_tagger.clip import Waveform
from av_tagger.errors import MediaError, WeightsError
from av_tagger.protocols import AudioBranch
from av_tagger.scores import Activity, BranchInfo, Scores, Status


class ConstantEar:
    """Always the same scores; remembers what it was given."""

    def __init__(self, scores: dict[str, float], rate: int, frame_rate: float) -> None:
        self.scores = scores
        self.rate = rate
        self.frame_rate = frame_rate
        self.given: list[Waveform] = []
        self.info = BranchInfo(Status.OK, "constant", "constant.1")

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.scores)

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
        self.given += waveforms
        return [self._one(w) for w in waveforms]

    def _one(self, w: Waveform) -> Scores:
        if not len(w.samples):
            return Scores.silent(self.labels, Status.NO_TRACK)
        clip = np.array(list(self.scores.values()))
        frames = max(1, int(len(w.samples) / w.rate * self.frame_rate))
        loud = np.linspace(0.5, 1.0, frames)[:, None] * clip
        activity = Activity(loud.astype(np.float32), self.frame_rate, w.start_seconds)
        return Scores(self.labels, clip, Status.OK, activity)


def calibration(
    weights: list[list[float]], sources: tuple[Source, ...], labels: tuple[str, ...]
) -> Calibration:
    n = len(labels)
    rows = {"f1": np.full(n, 0.4), "precision": np.full(n, 0.8)}
    return Calibration(("a", "b"), labels, sources, np.array(weights), np.zeros(n), rows, 1e-3)


@pytest.fixture
def pair() -> tuple[ConstantEar, ConstantEar]:
    one = ConstantEar({"Dog": 0.6, "Car": 0.2, HEAD + "Car": 0.5}, 16_000, 2.0)
    return one, ConstantEar({"Car": 0.8}, 20_000, 10.0)


@pytest.fixture
def ear(pair: tuple[ConstantEar, ConstantEar]) -> CombinedEar:
    sources = (Source(0), Source(0, head=True), Source(1))
    weights = [[1.0, 1.0], [0.0, 0.5], [0.0, 0.25]]
    return CombinedEar(pair, calibration(weights, sources, ("Dog", "Car")))


def sound(seconds: float, rate: int = 20_000, start: float = 0.0) -> Waveform:
    t = np.arange(int(seconds * rate)) / rate
    return Waveform((0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), rate, start)


def log_odds(p: float) -> float:
    return float(np.log(p / (1 - p) + 1e-3))


def test_it_is_an_ear(ear: CombinedEar) -> None:
    assert isinstance(ear, AudioBranch)
    assert (ear.labels, ear.rate, ear.info.model) == (("Dog", "Car"), 20_000, "a+b")
    assert set(ear.thresholds) == {"f1", "precision"}


def test_logits_are_weighted_class_by_class(ear: CombinedEar) -> None:
    heard = ear.hear([sound(2.0)])[0]
    car = log_odds(0.2) + 0.5 * log_odds(0.5) + 0.25 * log_odds(0.8)
    expected = 1 / (1 + np.exp(-np.array([log_odds(0.6), car])))
    np.testing.assert_allclose(heard.probabilities, expected)


def test_sound_is_decoded_once_and_resampled_for_each_part(
    ear: CombinedEar, pair: tuple[ConstantEar, ConstantEar]
) -> None:
    ear.hear([sound(2.0), sound(1.0, start=9.0)])
    assert [(w.rate, len(w.samples), w.start_seconds) for w in pair[0].given] == [
        (16_000, 32_000, 0.0),
        (16_000, 16_000, 9.0),
    ]
    assert [w.rate for w in pair[1].given] == [20_000, 20_000]
    expected = 0.3 * np.sin(2 * np.pi * 440 * np.arange(32_000) / 16_000)
    np.testing.assert_allclose(pair[0].given[0].samples[500:-500], expected[500:-500], atol=2e-3)


def test_the_timeline_is_the_finest_of_the_parts(ear: CombinedEar) -> None:
    activity = ear.hear([sound(2.0, start=5.0)])[0].activity
    assert activity is not None
    assert (activity.rate, activity.start_seconds, activity.values.shape) == (10.0, 5.0, (20, 2))
    dog = activity.values[:, 0]
    assert [len(set(dog[i : i + 5].tolist())) for i in range(0, 20, 5)] == [1, 1, 1, 1]
    assert (np.diff(activity.values[:, 1]) > 0).all()


def test_silence_of_a_part_is_silence_of_all(ear: CombinedEar) -> None:
    empty = Waveform(np.zeros(0, np.float32), 20_000)
    silent, heard = ear.hear([empty, sound(1.0)])
    assert silent.status is Status.NO_TRACK
    assert not silent.has_opinion
    assert heard.has_opinion
    assert ear.hear([]) == []


def test_wrong_rates_and_broken_samples_are_refused(ear: CombinedEar) -> None:
    with pytest.raises(ValueError, match="needs 20000 Hz"):
        ear.hear([sound(1.0, rate=16_000)])
    broken = Waveform(np.array([0.0, np.nan], np.float32), 20_000)
    with pytest.raises(MediaError, match="NaN or infinite"):
        ear.hear([broken])


def test_a_part_must_know_what_the_calibration_expects(
    pair: tuple[ConstantEar, ConstantEar],
) -> None:
    sources = (Source(0), Source(1))
    weights = [[1.0, 1.0], [1.0, 1.0]]
    with pytest.raises(WeightsError, match=r"constant\.1: does not know 'Dog'"):
        CombinedEar(pair, calibration(weights, sources, ("Dog", "Car")))
    with pytest.raises(ValueError, match="1 ears"):
        CombinedEar(pair[:1], calibration(weights, sources, ("Dog", "Car")))

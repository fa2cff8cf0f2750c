"""EfficientAT: parameters, front end, weights files, timeline, the published scores."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from av_tagger.audio.ears import load_ear
from av_tagger.audio.known.ear import KnownEar
from av_tagger.audio.known.efficientat import (
    FFT,
    HOP,
    MELS,
    RATE,
    TABLE,
    WINDOW,
    EfficientAT,
    KaldiMel,
    kaldi_filters,
    multiple_of_eight,
)
from av_tagger.audio.known.families import FAMILIES
from av_tagger.clip import Waveform
from av_tagger.errors import WeightsError
from av_tagger.labels import audioset, dcase2017
from av_tagger.scores import Scores


def closed_form(width: float, classes: int = 527) -> int:
    """From the table of MobileNetV3-large: kernels, and two numbers per normalised channel."""

    def conv(kernel: int, before: int, after: int, groups: int = 1) -> int:
        return kernel * kernel * (before // groups) * after + 2 * after

    before = multiple_of_eight(16 * width)
    total = conv(3, 1, before)
    for row in TABLE:
        wide, after = multiple_of_eight(row.expanded * width), multiple_of_eight(row.out * width)
        total += conv(1, before, wide) if wide != before else 0
        total += conv(row.kernel, wide, wide, groups=wide) + conv(1, wide, after)
        if row.squeeze:
            hidden = multiple_of_eight(wide / 4)
            total += wide * hidden + hidden + hidden * wide + wide
        before = after
    total += conv(1, before, 6 * before)
    hidden = multiple_of_eight(1280 * width)
    return total + 6 * before * hidden + hidden + hidden * classes + classes


@pytest.mark.parametrize(
    ("width", "published"), [(0.4, 983_599), (1.0, 4_878_000), (2.0, 17_910_000)]
)
def test_parameters(width: float, published: int) -> None:
    ours = sum(p.numel() for p in EfficientAT(width).parameters())
    assert ours == closed_form(width)
    assert ours == pytest.approx(published, rel=0.005)  # the release names 4.88 M and 17.91 M


def test_multiples_of_eight_stay_above_90_percent() -> None:
    assert [multiple_of_eight(c) for c in (1, 6.4, 16, 44.8, 288, 12, 20)] == [
        8,
        8,
        16,
        48,
        288,
        16,
        24,
    ]
    for c in np.linspace(8, 2000, 500):
        assert multiple_of_eight(c) % 8 == 0
        assert multiple_of_eight(c) >= 0.9 * c


def test_front_end_against_numpy() -> None:
    x = np.random.default_rng(1).standard_normal(RATE // 2) * 0.1
    y = x[1:] - 0.97 * x[:-1]
    padded = np.pad(y, FFT // 2, mode="reflect")
    window = np.zeros(FFT)
    window[(FFT - WINDOW) // 2 :][:WINDOW] = np.hanning(WINDOW)
    frames = np.stack([padded[i : i + FFT] * window for i in range(0, len(padded) - FFT + 1, HOP)])
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.linspace(0, 1127 * np.log1p(15_000 / 700), MELS + 2)
    mel = 1127 * np.log1p(np.arange(FFT // 2 + 1) * RATE / FFT / 700)
    filters = np.array([np.interp(mel, edges[i : i + 3], [0, 1, 0]) for i in range(MELS)])
    filters[:, -1] = 0
    expected = (np.log(power @ filters.T + 1e-5) + 4.5) / 5
    ours = KaldiMel()(torch.from_numpy(x[None]).float())[0, 0].T.numpy()
    np.testing.assert_allclose(ours, expected, atol=2e-4)


def test_no_band_is_empty_or_above_15_khz() -> None:
    filters = kaldi_filters().numpy()
    assert filters[:, int(15_000 / RATE * FFT) + 1 :].sum() == 0
    assert (filters[40:].sum(axis=1) > 0).all()  # the lowest bands are narrower than a bin


@pytest.fixture(scope="module")
def ear() -> KnownEar:
    torch.manual_seed(0)
    return KnownEar("efficientat.seeded", FAMILIES["efficientat"], EfficientAT(0.4), "cpu")


def noise(seconds: float, seed: int = 0) -> Waveform:
    return Waveform(
        (np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * 0.1).astype(np.float32),
        RATE,
    )


@pytest.mark.parametrize("seconds", [0.01, 0.3, 1.0, 9.99, 10.0, 10.2, 15.0, 31.0])
def test_the_timeline_covers_any_length(ear: KnownEar, seconds: float) -> None:
    scores = ear.hear([noise(seconds)])[0]
    assert scores.activity is not None
    assert len(scores.activity.values) == max(1, int(np.ceil(round(seconds * RATE) * 10 / RATE)))
    assert np.isfinite(scores.activity.values).all()
    assert np.isfinite(scores.probabilities).all()


def test_a_batch_gives_the_same_as_single_runs(ear: KnownEar) -> None:
    clips = [noise(s, i) for i, s in enumerate((1.0, 2.5, 1.0, 12.0))]
    together, alone = ear.hear(clips), [ear.hear([clip])[0] for clip in clips]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-5)


def test_a_long_clip_has_the_score_of_its_best_window(ear: KnownEar) -> None:
    clip = noise(20.0)
    halves = [Waveform(clip.samples[i : i + 10 * RATE], RATE) for i in (0, 10 * RATE)]
    expected = np.maximum(*(s.probabilities for s in ear.hear(halves)))
    np.testing.assert_allclose(ear.hear([clip])[0].probabilities, expected, atol=1e-6)


def test_a_bicycle_bell_counts_as_a_bicycle(ear: KnownEar) -> None:
    scores = ear.hear([noise(2.0)])[0]
    bicycle, bell = (
        scores.probabilities[audioset().labels.index(label)]
        for label in ("Bicycle", "Bicycle bell")
    )
    with torch.inference_mode():
        raw = ear.network(torch.from_numpy(noise(2.0).samples[None]))[0][0]
    assert bicycle == pytest.approx(max(bell, float(raw[audioset().labels.index("Bicycle")])))
    assert bicycle >= bell


def test_silence_and_no_sample(ear: KnownEar) -> None:
    silent, nothing = ear.hear(
        [Waveform(np.zeros(RATE, np.float32), RATE), Waveform(np.zeros(0, np.float32), RATE)]
    )
    assert np.isfinite(silent.probabilities).all()
    assert not nothing.has_opinion


def test_wrong_weights_files_are_refused(tmp_path: Path) -> None:
    state = EfficientAT(0.4).state_dict()
    torch.save(state, tmp_path / "mn04.pt")
    assert load_ear(tmp_path / "mn04.pt", "cpu").labels == audioset().labels
    torch.save({k: v for k, v in state.items() if k != "classifier.5.bias"}, tmp_path / "less.pt")
    with pytest.raises(WeightsError, match=r"less.pt: does not fit efficientat.*classifier.5.bias"):
        load_ear(tmp_path / "less.pt", "cpu")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "mn04.pt").read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"cut.pt: cannot be read as weights"):
        load_ear(tmp_path / "cut.pt", "cpu")
    torch.save({"model": Path("x")}, tmp_path / "pickle.pt")
    with pytest.raises(WeightsError, match=r"pickle.pt: cannot be read as weights"):
        load_ear(tmp_path / "pickle.pt", "cpu")
    with pytest.raises(WeightsError, match="there is no such weights file"):
        load_ear(tmp_path / "absent.pt", "cpu")


def published(shared: Path) -> list[tuple[Path, dict[str, str]]]:
    with (shared / "data/sounds/dev_peers.csv").open(newline="") as file:
        return [
            (shared / "data/sounds" / row["file"], row)
            for row in csv.DictReader(file)
            if row["peer"] == "mn04"
        ]


def hear_file(ear: KnownEar, path: Path) -> Scores:
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    return ear.hear([Waveform(samples[: 10 * RATE], rate)])[0]


def test_agrees_with_the_published_tagger(shared: Path) -> None:
    """Most scores agree to 1e-3; the stored clips are lossy copies of what was scored."""
    ear = load_ear(shared / "data/weights/mn04_as_mAP_432.pt", "cpu")
    columns = [audioset().labels.index(label) for label in dcase2017().labels]
    errors = []
    for path, row in published(shared)[::12]:
        expected = np.array([float(row[label]) for label in dcase2017().labels])
        errors.append(np.abs(hear_file(ear, path).probabilities[columns] - expected))
    assert len(errors) > 30
    assert np.median(errors) < 1e-3
    assert np.mean(errors) < 0.01


def test_differences_are_no_larger_than_those_of_a_lossy_copy(shared: Path, tmp_path: Path) -> None:
    """Encoding the clips as Vorbis once more changes our scores as much."""
    ear = load_ear(shared / "data/weights/mn04_as_mAP_432.pt", "cpu")
    columns = [audioset().labels.index(label) for label in dcase2017().labels]
    to_published, to_copy = [], []
    for path, row in published(shared)[5::40]:
        ours = hear_file(ear, path).probabilities[columns]
        samples, rate = soundfile.read(path, dtype="float32")
        soundfile.write(
            tmp_path / "copy.ogg", samples[: 10 * RATE], rate, format="OGG", subtype="VORBIS"
        )
        to_copy.append(
            np.abs(ours - hear_file(ear, tmp_path / "copy.ogg").probabilities[columns]).max()
        )
        to_published.append(
            np.abs(ours - [float(row[label]) for label in dcase2017().labels]).max()
        )
    assert np.median(to_published) < 2.5 * np.median(to_copy)


def test_timeline_finds_a_siren_in_quiet(shared: Path) -> None:
    ear = load_ear(shared / "data/weights/mn04_as_mAP_432.pt", "cpu")
    t = np.arange(3 * RATE) / RATE
    wail = np.sin(2 * np.pi * np.cumsum(900 + 350 * np.sin(2 * np.pi * 0.4 * t)) / RATE) * 0.3
    samples = np.random.default_rng(0).standard_normal(10 * RATE) * 1e-3
    samples[4 * RATE : 7 * RATE] += wail
    activity = ear.hear([Waveform(samples.astype(np.float32), RATE)])[0].activity
    assert activity is not None
    siren = activity.values[:, audioset().labels.index("Siren")]
    peak = siren.argmax() / activity.rate
    assert 4 <= peak <= 7
    assert siren[: int(2 * activity.rate)].max() < siren.max() / 2
    assert siren[int(9 * activity.rate) :].max() < siren.max() / 2

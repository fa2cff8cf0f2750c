"""The day-one study at its smallest: made sounds, networks with random weights, files that load."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from av_tagger.audio.calibration import sigmoid
from av_tagger.audio.calibration_file import load_calibration
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.families import FAMILIES
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.network import EarArchitecture, build_network
from av_tagger.labels import dcase2017
from av_tagger.studies import dayone_audioset, dayone_ear, dayone_fit
from av_tagger.studies.dayone_combine import (
    EARS,
    HEAD_WEIGHT,
    LABELS,
    STARTER_WEIGHTS,
    weights_of,
)
from av_tagger.studies.dayone_features import Networks, WindowFeatures, joined, read, save
from av_tagger.studies.dayone_head import HeadData, HeadSettings, apply, start, train
from av_tagger.studies.dayone_report import any_siren
from av_tagger.studies.dayone_sounds import LabelledClip, examples, read_sounds, read_videos
from av_tagger.studies.dayone_work import Material
from av_tagger.studies.sound_manifest import targets_of_labels
from av_tagger.studies.starter_examples import Recording
from av_tagger.synth import empty_scene, scene

RATE = 16_000
AUDIOSET = FAMILIES["yamnet"].labels
CLASSES = ("Train", "Screaming", "Police car (siren)", "Car")


@pytest.fixture(scope="module")
def networks() -> Networks:
    torch.manual_seed(0)
    architecture = EarArchitecture(17, extractor_settings={"channels": (4, 4, 4, 4), "units": 4})
    yamnet = YAMNet()
    for p in yamnet.parameters():
        torch.nn.init.normal_(p, std=0.1)
    return Networks(yamnet, build_network(architecture), EfficientAT(0.1))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests in the layout of the real ones, their sounds made on the spot."""
    folder = tmp_path_factory.mktemp("shared")
    rows = [_sound(folder, i) for i in range(20)]
    _write(folder / "sounds" / "train.csv", rows)
    _write(folder / "sounds" / "dev.csv", rows)
    videos = [r | {"file": f"../sounds/{r['file']}", "source": r["recording"]} for r in rows[12:]]
    videos[0]["note"] = "ambiguous=ENGINE_ANY; a street"
    _write(folder / "av" / "dev.csv", videos)
    return folder


def _sound(folder: Path, i: int) -> dict[str, str]:
    label = CLASSES[i % 4] if i % 2 else ""
    made = scene(i, 1.2, RATE, [label]) if label else empty_scene(i, 1.2, RATE)
    (folder / "sounds").mkdir(exist_ok=True)
    soundfile.write(folder / "sounds" / f"{i}.wav", made.samples, RATE)
    names = {"labels": label, "ambiguous": "", "source_label": "" if label else "Dog bark"}
    return {
        "file": f"{i}.wav",
        "recording": f"r{i}",
        "licence": "CC0",
        "note": "",
        "source": "",
        **names,
    }


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def test_from_sounds_to_files_and_what_they_are_worth(
    shared: Path,
    tmp_path: Path,
    networks: Networks,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Networks, "load", lambda _: networks)
    monkeypatch.setattr(dayone_ear, "HeadSettings", lambda: HeadSettings(epochs=1))
    material = Material(shared, tmp_path / "work")
    fits = dayone_ear.make(material, 4)
    dayone_ear.report(fits)
    assert [f.calibration.parts for f in fits] == list(EARS)
    for fitted in fits:
        path = dayone_ear.path_of(material.work, fitted.calibration.parts)
        calibration = load_calibration(path)
        assert calibration.about.made.endswith("--count 4")
        assert (calibration.head is not None) == ({"yamnet", "starter"} <= set(calibration.parts))
    again = dayone_ear.make(material, 4)  # from what was heard before
    np.testing.assert_allclose(again[3].calibration.bias, fits[3].calibration.bias)
    rows = dayone_ear.check(material, shared / "sounds" / "dev.csv")
    assert [r.ear for r in rows] == ["+".join(parts) for parts in EARS]
    assert all(0 <= r.micro_f1 <= 1 and r.line().count("|") == 9 for r in rows)
    assert "yamnet+starter: thresholds" in capsys.readouterr().out
    folders = ["--shared", str(shared), "-o", str(material.work)]
    dayone_ear.main([*folders, "--count", "4"])
    assert "yamnet+starter: thresholds" in capsys.readouterr().out
    dayone_ear.main([*folders, "--check", "sounds/dev.csv"])
    assert capsys.readouterr().out.endswith(rows[-1].line() + "\n")


def test_clips_are_heard_in_the_programs_windows(shared: Path) -> None:
    clips = read_sounds(shared / "sounds" / "train.csv")
    (window,) = clips[1].windows()
    assert len(window) == pytest.approx(1.2 * 32_000, abs=2)
    assert clips[1].targets[LABELS.index("Screaming")] == 1
    assert clips[0].source_label == "Dog bark"
    assert all(0 <= c.fold < 5 for c in clips)


def test_videos_of_mixed_traffic_are_unclear(tmp_path: Path) -> None:
    row = {"file": "a.mp4", "labels": "Car", "source": "s", "note": ""}
    _write(tmp_path / "dev.csv", [row, row | {"note": "ambiguous=HORN_ANY; x", "labels": ""}])
    car, horn = read_videos(tmp_path / "dev.csv")
    assert car.targets[LABELS.index("Car")] == 1
    assert np.isnan(car.targets[[LABELS.index(x) for x in ("Bus", "Truck")]]).all()
    assert np.isnan(horn.targets[LABELS.index("Car alarm")])


def test_examples_are_seeded_and_use_one_fold_each() -> None:
    noise = np.random.default_rng(0).standard_normal(40_000).astype(np.float32)
    named = [Recording(noise, targets_of_labels(("Train",)), f"{i}", f"r{i}") for i in range(20)]
    first, again = (list(examples(named, 610_000_100, 6)) for _ in range(2))
    assert [e.fold for e in first] == [0, 1, 2, 3, 4, 0]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)


def features(clips: int, patches: int = 3, seed: int = 0) -> WindowFeatures:
    rng = np.random.default_rng(seed)
    return WindowFeatures(
        np.arange(clips),
        np.full(clips, patches),
        rng.standard_normal((clips * patches, 1024)).astype(np.float16),
        {"yamnet": rng.random((clips, 521), np.float32)},
    )


def test_features_there_and_back(tmp_path: Path) -> None:
    before = joined([features(2), features(3, seed=1)])
    save(tmp_path / "f.npz", before)
    after = read(tmp_path / "f.npz")
    assert after.clips == 5
    np.testing.assert_array_equal(after.embeddings, before.embeddings)
    np.testing.assert_array_equal(after.scores["yamnet"], before.scores["yamnet"])
    assert [p.name for p in tmp_path.iterdir()] == ["f.npz"]


def test_the_highest_window_counts() -> None:
    f = WindowFeatures(np.array([0, 0, 1]), np.ones(3, int), np.zeros((3, 1024), np.float16), {})
    np.testing.assert_array_equal(f.highest(np.array([[1.0], [3.0], [2.0]])), [[3.0], [2.0]])


def test_a_head_starts_as_yamnet_and_learns(networks: Networks) -> None:
    begin = start(networks.yamnet, AUDIOSET)
    train_row = AUDIOSET.index("Train")
    torch.testing.assert_close(begin[0][16], networks.yamnet.logits.weight[train_row])
    f = features(40)
    label = np.arange(40) % 2
    f.embeddings[np.repeat(label, 3) == 1, 0] += 3
    targets = np.tile(label[:, None], (1, 17)).astype(np.float32)
    targets[:, 1] = np.nan
    data = HeadData(f, targets, np.ones(40, np.float32))
    settings = HeadSettings(epochs=30, ridge=0.001, learning_rate=0.02)
    before = train(data, np.ones(40, bool), begin, HeadSettings(epochs=0))
    after = train(data, np.ones(40, bool), begin, settings)
    np.testing.assert_allclose(before.weight, begin[0].numpy())
    margin = [
        apply(h, f)[label == 1].mean(0) - apply(h, f)[label == 0].mean(0) for h in (before, after)
    ]
    assert (margin[1][[0, 2, 16]] > margin[0][[0, 2, 16]] + 0.1).all()
    np.testing.assert_allclose(after.weight[1], before.weight[1])  # unknown: nothing is learned


def test_weights_of_the_parts() -> None:
    labels = ("Train", "Reversing beeps", "Dog")
    both = weights_of(("yamnet", "starter"), labels)
    starter = STARTER_WEIGHTS[[LABELS.index(x) for x in labels[:2]]]
    np.testing.assert_allclose(both[0], 1)
    np.testing.assert_allclose(both[1], [*starter, 0])
    np.testing.assert_allclose(both[2], [HEAD_WEIGHT, HEAD_WEIGHT, 0])
    np.testing.assert_allclose(weights_of(("starter",), LABELS), 1)
    mean = weights_of(("yamnet", "efficientat"), ("Dog", "Male speech, man speaking"))
    np.testing.assert_allclose(mean, [[0.5, 0], [0.5, 1]])  # YAMNet does not know the second


def problem(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits that are right up to a slope of 2 and a bias of -1."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.5, (600, 17))
    truth = (rng.random(z.shape) < sigmoid(2 * z - 1)).astype(np.float64)
    truth[::7, 3] = np.nan
    return z, truth


def test_platt_finds_slope_and_bias() -> None:
    z, truth = problem()
    platt = dayone_fit.fit_platt(z, truth, 1.0)
    assert platt.slope == pytest.approx(2, abs=0.15)
    assert platt.bias.mean() == pytest.approx(-1, abs=0.15)
    strong = dayone_fit.fit_platt(z, truth, 1e6)
    assert np.ptp(strong.bias) < 0.01


def test_held_out_folds_choose_the_ridge() -> None:
    z, truth = problem()
    folds = np.arange(len(z)) % 5
    held = dayone_fit.best_held_out(z, truth, folds)
    assert held.ridge in dayone_fit.RIDGES
    assert np.isfinite(held.probabilities).all()
    one = dayone_fit.fit_platt(z[folds != 2], truth[folds != 2], held.ridge)
    np.testing.assert_allclose(held.probabilities[folds == 2], one.probabilities(z[folds == 2]))


def test_thresholds_for_f1_and_for_precision() -> None:
    p = np.array([[0.9, 0.1], [0.8, 0.3], [0.6, 0.2], [0.5, 0.1], [0.1, 0.1]])
    truth = np.array([[1.0, 0], [1, 0], [0, 0], [1, np.nan], [0, 0]])
    f1 = dayone_fit.f1_threshold(p, truth)
    assert dayone_fit.false_tags(p, truth, f1) == 0
    assert 0.6 < f1 <= 0.8
    assert dayone_fit.precision(p, truth, dayone_fit.precision_threshold(p, truth, 0.5)) == 1
    assert dayone_fit.precision_threshold(1 - p, truth, 0.5) == 0.99
    assert dayone_fit.micro_f1(p, truth, 0.55) == pytest.approx(2 * 2 / (3 + 3))
    assert dayone_fit.false_tags(p, truth, 0.55) == pytest.approx(1 / 2)


def test_names_of_sources_mean_classes() -> None:
    for text, label in (
        ("Dog bark", "Dog"),
        ("other [cat_2.mp3]", "Cat"),
        ("aircraft [plane3.wav]", "Aircraft"),
        ("Person sneeze", "Sneeze"),
        ("concatenated", ""),
    ):
        assert dayone_audioset.class_of(text) == label
    labels = dcase2017().labels
    assert {label for _, label in dayone_audioset.NAMES} <= set(AUDIOSET)
    assert not set(labels) & {label for _, label in dayone_audioset.NAMES}


def test_biases_come_from_clips_that_lack_a_class() -> None:
    clips = dayone_audioset.named_clips(["Dog bark", "rain", "rain", ""], ("Dog", "Bark", "Rain"))
    assert clips.wanted == ("Dog", "Rain", "Rain", "")
    assert clips.lacks[:, 1].tolist() == [False, True, True, True]
    z = np.array([[9.0, 9, -9], [-1.0, -9, 9], [-1.0, -9, 9], [-1.0, -9, -0.5]])
    got = dayone_audioset.biases(z, clips)
    assert got[0] == pytest.approx(-1.0)
    assert got[1] == dayone_audioset.BOUNDS[0]
    assert dayone_audioset.BOUNDS[0] < got[2] <= -0.5


def test_told_folds_and_counts() -> None:
    labels = ("Animal", "Dog", "Bark", "Music")
    clips = dayone_audioset.named_clips(["Dog bark", "dog", "unheard of"], labels)
    tagged = np.array([[1, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 1]], bool)
    told = dayone_audioset.told(tagged, clips, labels)
    assert (told.found, told.others) == (0.5, 0.5)
    assert told.f1 == pytest.approx(2 * 1 / (1 + 1 + 2))


def test_any_siren_is_the_highest_of_the_sirens() -> None:
    p, truth = np.zeros((3, 17)), np.zeros((3, 17))
    siren, other = LABELS.index("Ambulance (siren)"), LABELS.index("Police car (siren)")
    p[0, other], truth[0, siren] = 0.9, 1  # another siren than the one it is
    p[1, LABELS.index("Train")] = 1.0
    truth[2, siren] = np.nan
    assert any_siren(p, truth) == 1.0


def test_a_clip_without_sound_has_no_windows(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), RATE)
    clip = LabelledClip(tmp_path / "empty.wav", np.zeros(17, np.float32), "g")
    with pytest.raises(Exception, match=r"empty\.wav"):
        list(clip.windows())

"""The starter ear: data, distillation by av-tag train, the shipped file and its scores."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from typer.testing import CliRunner

from av_tagger.audio.checkpoint import load_checkpoint
from av_tagger.audio.ears import load_ear
from av_tagger.cli.train import train
from av_tagger.clip import Waveform
from av_tagger.labels import dcase2017
from av_tagger.learning.learner import architecture_of
from av_tagger.learning.recipe import read_recipe
from av_tagger.metrics import average_precision
from av_tagger.studies import starter, starter_data
from av_tagger.studies.sound_manifest import LABELS, SIRENS, read_sounds, targets_of_labels
from av_tagger.studies.starter_score import false_alarms, listen, precisions
from av_tagger.synth import SceneSettings, render, scene
from av_tagger.synth.dsp import SampleSpan
from tests import ROOT

SHIPPED = ROOT / "weights" / "crnn.starter.safetensors"
TINY = [
    "architecture.frontend.rate=4000",
    "architecture.frontend.window=160",
    "architecture.frontend.hop=80",
    "architecture.frontend.fft=256",
    "architecture.frontend.mels=16",
    "architecture.margin=1",
    "architecture.extractor_settings={channels=[4, 8], pools=[[5, 4], [1, 4]], units=4}",
    "batch=4",
    "schedule.warmup_steps=1",
    "length={epochs=2, epoch_steps=3}",
]


@pytest.fixture(scope="module")
def data(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training examples, and the held-out recordings with four synthetic scenes."""
    folder = tmp_path_factory.mktemp("data")
    starter_data.main([str(sounds), str(folder), "--count", "8", "--held-out", "4", "--seed", "7"])
    return folder


@pytest.fixture(scope="module")
def run(data: Path, published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`av-tag train starter` at a tiny size, with a tiny teacher."""
    import typer

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(train)
    folder = tmp_path_factory.mktemp("run")
    words = ["starter", "--data", str(data / "train.csv"), "--valid", str(data / "valid.csv")]
    words += ["-o", str(folder / "run"), "--store", str(folder / "store"), "--device", "cpu"]
    settings = [*TINY, f'teacher.ear="{published}"']
    words += [word for setting in settings for word in ("--set", setting)]
    result = CliRunner().invoke(app, [*words, "--decoders", "1"], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return folder / "run"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_data_have_manifests_and_clips(data: Path) -> None:
    assert [row["file"] for row in rows(data / "train.csv")] == [
        f"train/{seed}.wav" for seed in range(7, 15)
    ]
    kinds = [row["file"].partition("-")[0] for row in rows(data / "valid.csv")]
    assert kinds.count("valid/scene") == 4
    assert kinds.count("valid/recording") > 3
    assert all((data / row["file"]).is_file() for row in rows(data / "valid.csv"))
    assert set("|".join(r["labels"] for r in rows(data / "train.csv")).split("|")) - {""}


def test_a_train_horn_is_also_a_train() -> None:
    labels, unknown = starter_data.label_cells(targets_of_labels(("Train horn",)))
    assert labels == "Train horn|Train"
    assert unknown == ""
    _, unknown = starter_data.label_cells(targets_of_labels(("Police car (siren)",)))
    assert unknown.split("|") == ["Car", "Car passing by", "Bus", "Truck", "Motorcycle"]


def test_training_distils_the_teacher(run: Path, published: Path) -> None:
    card = json.loads((run / "card.json").read_text())
    assert card["teacher"]["ear"] == str(published)
    assert card["recipe"]["teacher"]["weight"] == 0.05
    assert f"teacher: `{published}`" in (run / "card.md").read_text()
    state = torch.load(run / "state.pt", weights_only=True)
    assert state["learner"]["teacher_head"]["weight"].shape == (527, 8)  # two directions of 4
    assert set(state["identity"]) == {
        "recipe",
        "training data",
        "validation data",
        "teacher scores",
    }


def test_the_trained_starter_is_an_ear(run: Path) -> None:
    ear = load_ear(run, "cpu")
    noise = np.random.default_rng(0).standard_normal(ear.rate).astype(np.float32) * 0.1
    (scores,) = ear.hear([Waveform(noise, ear.rate)])
    assert scores.labels == LABELS
    assert ((scores.probabilities >= 0) & (scores.probabilities <= 1)).all()


def test_a_run_becomes_the_file_to_ship(
    run: Path, data: Path, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "crnn.starter.safetensors"
    starter.main(["finish", str(run), str(data / "valid.csv"), "-o", str(output)])
    _, header = load_checkpoint(output, LABELS)
    assert (header.name, header.licence) == ("crnn.starter", "Apache-2.0")
    assert header.ids == dcase2017().ids
    for row in (header.thresholds.both, header.thresholds.ear, header.thresholds.eye):
        assert len(row) == 17
        assert all(0 < v < 1 for v in row)
    assert "clips without any class" in capsys.readouterr().out

    starter.main(["score", str(output), str(sounds), "-o", str(tmp_path / "scores.csv")])
    found = rows(tmp_path / "scores.csv")
    assert len(found) == len(read_sounds(sounds))
    assert tuple(found[0]) == ("file", *LABELS)
    said = capsys.readouterr().out
    assert "mean average precision" in said
    assert "of 17 classes" in said
    truth = np.array([row.targets for row in read_sounds(sounds)])
    scores = np.array([[float(row[label]) for label in LABELS] for row in found])
    printed = dict(re.findall(r"^\| (.+?) \| \d+ \| ([\d.]+) \|$", said, re.MULTILINE))
    assert tuple(printed) == LABELS
    for k, label in enumerate(LABELS):
        known = np.isfinite(truth[:, k])
        expected = average_precision_score(truth[known, k] == 1, scores[known, k])
        assert float(printed[label]) == pytest.approx(expected, abs=0.01)  # five digits


def test_the_teacher_s_scores_of_synthetic_sounds(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two sounds of each class: shares are halves, and as many lead as there are sounds."""
    starter.main(["teacher", str(published), "--count", "2"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert tuple(row[0].removeprefix("| ") for row in rows) == LABELS
    assert {float(row[2]) for row in rows} <= {0.0, 0.5, 1.0}
    ear = load_ear(published, "cpu")
    sound = [Waveform(render(s, "Train", SampleSpan(ear.rate, 5.0)), ear.rate) for s in (0, 1)]
    own = [scores.probabilities[ear.labels.index("Train")] for scores in ear.hear(sound)]
    assert float(rows[LABELS.index("Train")][1]) == pytest.approx(np.mean(own), abs=1e-3)


def test_the_threshold_of_both_lies_between_ear_and_eye() -> None:
    found = starter.with_eye(np.full(17, 0.6, np.float32), 0.2)
    assert all(0.2 <= both <= 0.6 for both in found.both)
    assert set(found.eye) == {0.2}


def test_the_recipe_describes_the_shipped_network() -> None:
    _, header = load_checkpoint(SHIPPED, LABELS)
    assert architecture_of(read_recipe("starter"), len(LABELS)) == header.architecture
    assert set(read_recipe("starter").teacher.typical) == set(LABELS)


def test_shipped_weights_are_small_and_complete() -> None:
    _, header = load_checkpoint(SHIPPED, LABELS)
    assert SHIPPED.stat().st_size < 5_000_000
    assert header.ids == dcase2017().ids
    assert header.licence == "Apache-2.0"
    for row in (header.thresholds.both, header.thresholds.ear, header.thresholds.eye):
        assert len(row) == 17
        assert all(0 < v < 1 for v in row)
    card = SHIPPED.with_suffix(".md").read_text(encoding="utf-8")
    assert all(label in card for label in LABELS)
    assert header.made in card


def test_shipped_weights_know_new_synthetic_scenes() -> None:
    """Chance is about 0.06; the seeds are far from those of the training."""
    network, _ = load_checkpoint(SHIPPED, LABELS)
    settings = SceneSettings(counts=(1,), bed=0.5, snr_db=(5, 30), distractor=0.0)
    labels = [LABELS[i % 17] for i in range(51)]
    made = [
        scene(800_000_000 + i, 1.5, 20_000, (label,), settings) for i, label in enumerate(labels)
    ]
    truth = np.array([targets_of_labels(s.labels) for s in made])
    found = precisions(listen(network, [s.samples for s in made]), truth)
    assert len(found) == 17
    assert np.mean(list(found.values())) > 0.5


@pytest.mark.slow
def test_shipped_weights_on_real_clips(shared: Path, tmp_path: Path) -> None:
    """None of these were trained on: mAP at least 0.35, false alarms at most 10 %."""
    manifest = shared / "data" / "sounds" / "dev.csv"
    starter.main(["score", str(SHIPPED), str(manifest), "-o", str(tmp_path / "scores.csv")])
    scores = np.array([[float(r[x]) for x in LABELS] for r in rows(tmp_path / "scores.csv")])
    truth = np.array([row.targets for row in read_sounds(manifest)])
    assert np.mean(list(precisions(scores, truth).values())) >= 0.35
    sirens = [LABELS.index(x) for x in SIRENS]
    sure = np.isfinite(truth[:, sirens]).all(1)
    any_siren = average_precision(scores[sure][:, sirens].max(1), truth[sure][:, sirens].max(1))
    assert any_siren >= 0.8
    _, header = load_checkpoint(SHIPPED, LABELS)
    assert false_alarms(scores, truth, np.array(header.thresholds.ear)) <= 0.1

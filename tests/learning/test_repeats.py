"""Several seeds, folds, votes and first weights: data, tables, ears, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from av_tagger.audio.branch import MilEar
from av_tagger.audio.ears import load_ear, resolve
from av_tagger.audio.ensemble_file import read_ensemble
from av_tagger.audio.header import Header
from av_tagger.audio.network import build_network
from av_tagger.clip import Waveform
from av_tagger.errors import UsageError, WeightsError
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.analysis.ensemble import combine
from av_tagger.learning.data.bags import EmbeddingBags
from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.initial import start_from
from av_tagger.learning.learner import architecture_of
from av_tagger.learning.prepare import Sources, read_data
from av_tagger.learning.recipe import Recipe, read_recipe
from av_tagger.learning.repeats import (
    Repeats,
    fold_data,
    markdown,
    read_summary,
    single_runs,
    summarise,
    train_repeatedly,
)
from av_tagger.learning.run import TrainingOptions
from av_tagger.learning.train import train
from tests.learning.tones import RATE, sing, write_folders

CPU = TrainingOptions(device="cpu")
CLASSES = ClassList((SoundClass("low"), SoundClass("middle"), SoundClass("shrill")))
SHORT = ("batch=8", "length.epochs=1", "length.epoch_steps=2", "normalise_clips=4")
FRONT = ("rate=4000", "window=128", "hop=40", "fft=128", "mels=16")
VGG = ("groups=[[4],[4]]", "pools=[[5,2],[2,4]]", "dense=[12,8]", "frames=100")


def small(name: str, *more: str) -> Recipe:
    settings = [f"architecture.frontend.{w}" for w in FRONT]
    settings += [f"architecture.extractor_settings.{w}" for w in VGG]
    return read_recipe(name, [*SHORT, *settings, *more])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    root = tmp_path_factory.mktemp("tones")
    sources = Sources((write_folders(root / "clips"),) * 1, (root / "clips",), store=root / "store")
    return read_data(sources, CLASSES, small("small/embedding-cnn"))


def labelled(labels: list[list[int]], files: list[int] | None = None) -> TrainingData:
    targets = np.array(labels, np.float32)
    n = len(targets)
    numbers = None if files is None else np.array(files)
    bags = EmbeddingBags(
        np.zeros((n, 4), np.float32),
        np.arange(n + 1),
        targets,
        tuple("abc")[: targets.shape[1]],
        files=numbers,
    )
    return TrainingData(bags, bags)


def test_every_clip_is_validated_once_and_classes_are_spread_evenly() -> None:
    labels = [[1, 0]] * 20 + [[0, 1]] * 5 + [[0, 0]] * 10
    parts = fold_data(labelled(labels), 5, seed=1)
    assert len(parts) == 5
    for part in parts:
        assert part.validation.targets.sum(axis=0).tolist() == [4, 1]
        assert len(part.training) + len(part.validation) == 35
    assert sum(len(part.validation) for part in parts) == 35


def test_clips_of_one_file_stay_in_one_fold() -> None:
    files = [i // 3 for i in range(12)]
    parts = fold_data(labelled([[1]] * 12, files), 3, seed=0)
    for part in parts:
        assert isinstance(part.training, EmbeddingBags)
        assert isinstance(part.validation, EmbeddingBags)
        assert part.training.files is not None
        assert part.validation.files is not None
        assert not set(part.training.files.tolist()) & set(part.validation.files.tolist())


def test_more_folds_than_files_are_one_sentence() -> None:
    with pytest.raises(UsageError, match="--folds 5: there are only 4 training files; use at most"):
        fold_data(labelled([[1]] * 4), 5, seed=0)


@pytest.mark.parametrize(("seeds", "folds"), [(0, 0), (1, 1), (1, -2)])
def test_repeats_that_cannot_be_meant(seeds: int, folds: int) -> None:
    with pytest.raises(ValueError, match="seeds is at least 1, folds is 0 or at least 2"):
        Repeats(seeds, folds)


def test_seeds_and_folds_give_a_table_and_an_ear(data: TrainingData, tmp_path: Path) -> None:
    recipe = small("small/embedding-cnn")
    found = train_repeatedly(recipe, data, tmp_path / "runs", Repeats(2, 2), CPU)
    assert found.runs == tuple(f"seed-{s}/fold-{f}" for s in (0, 1) for f in (0, 1))
    maps = [row["map"] for row in found.rows]
    assert found.mean["map"] == pytest.approx(np.mean(maps))
    assert found.spread["map"] == pytest.approx(np.std(maps, ddof=1))
    assert read_summary(tmp_path / "runs").mean == found.mean
    assert "**mean ± standard deviation**" in (tmp_path / "runs" / "summary.md").read_text()
    assert single_runs(tmp_path / "runs") == [tmp_path / "runs" / name for name in found.runs]
    assert single_runs(tmp_path / "runs" / "seed-0" / "fold-0") == [
        tmp_path / "runs" / "seed-0" / "fold-0"
    ]
    seeds = [
        json.loads((tmp_path / "runs" / n / "card.json").read_text())["seed"] for n in found.runs
    ]
    assert seeds == [0, 0, 1, 1]

    ear = load_ear(tmp_path / "runs", "cpu")
    wave = Waveform(sing(("low",), 3), RATE)
    (together,) = ear.hear([wave])
    alone = [
        load_ear(tmp_path / "runs" / n, "cpu").hear([wave])[0].probabilities for n in found.runs
    ]
    np.testing.assert_allclose(together.probabilities, np.mean(alone, axis=0), atol=1e-6)


def test_one_run_has_no_spread() -> None:
    found = summarise("x", {"": {"map": 0.5, "micro_f1": 0.4, "loss": 1.0}})
    assert found.spread == {"micro_f1": 0.0, "map": 0.0}
    assert "loss" not in markdown(found)


def test_the_chain_of_small(data: TrainingData, tmp_path: Path) -> None:
    """Sound, embedding network, DNN and Bi-LSTM on its embeddings, ears, joint fine-tuning."""
    train(small("small/embedding-cnn"), data, tmp_path / "embed", CPU)
    clips = tmp_path / "clips"
    write_folders(clips)
    sources = Sources((clips,), (clips,), store=tmp_path / "store")
    wave = Waveform(sing(("low",), 3, 3.0), RATE)
    layers = {"mil-dnn-embed": "widths=[7,6]", "mil-rnn-embed": "units=3"}
    for name, layer in layers.items():
        settings = [
            *SHORT,
            f"embedder={tmp_path / 'embed'}",
            f"architecture.extractor_settings.{layer}",
        ]
        recipe = read_recipe(f"small/{name}", settings)
        train(recipe, read_data(sources, CLASSES, recipe), tmp_path / name, CPU)
        ear = load_ear(tmp_path / name, "cpu")
        (heard,) = ear.hear([wave])
        assert heard.activity is not None
        assert heard.activity.values.shape == (3, 3)  # one answer per second
        assert ear.info.model.endswith("on small/embedding-cnn")

    deep = "architecture.extractor_settings.dense=[12,8,7,6]"
    joint = small("small/mil-cnn-joint", deep)
    architecture = architecture_of(joint, 3)
    network = build_network(architecture).eval()
    start_from(network, tmp_path / "mil-dnn-embed", CLASSES.labels)
    (first,) = MilEar(network, Header("joint", architecture, CLASSES.labels), "cpu").hear([wave])
    (base,) = load_ear(tmp_path / "mil-dnn-embed", "cpu").hear([wave])
    np.testing.assert_allclose(first.probabilities, base.probabilities, atol=1e-5)
    start = replace(CPU, initial=tmp_path / "mil-dnn-embed")
    train(joint, data, tmp_path / "joint", start)
    assert load_ear(tmp_path / "joint", "cpu").labels == CLASSES.labels


def test_weights_of_another_recipe_are_refused(data: TrainingData, tmp_path: Path) -> None:
    train(small("small/embedding-cnn"), data, tmp_path / "embed", CPU)
    other = small("small/mil-cnn", "architecture.extractor_settings.dense=[12,9]")
    with pytest.raises(UsageError, match=r"is the run of another network .*give a run of the same"):
        train(other, data, tmp_path / "run", replace(CPU, initial=tmp_path / "embed"))


def test_a_vote_decides_at_one_half(data: TrainingData, tmp_path: Path) -> None:
    runs = [tmp_path / f"run-{seed}" for seed in range(3)]
    for seed, run in enumerate(runs):
        train(small("small/embedding-cnn", f"seed={seed}"), data, run, CPU)
    found = combine(runs, tmp_path / "vote", "vote")
    assert set(found.alone) == {str(run) for run in runs}
    ear, ensemble = (
        load_ear(tmp_path / "vote", "cpu"),
        read_ensemble(tmp_path / "vote/ensemble.json"),
    )
    assert resolve(tmp_path / "vote").header is not None
    assert ensemble.thresholds == (0.5, 0.5, 0.5)
    waves = [Waveform(sing((name,), 5), RATE) for name in ("low", "shrill")]
    single = [load_ear(run, "cpu").hear(waves) for run in runs]
    weights = np.array([m.weight for m in ensemble.members])
    for place, heard in enumerate(ear.hear(waves)):
        decided = [
            s[place].probabilities >= np.array(m.thresholds)
            for s, m in zip(single, ensemble.members, strict=True)
        ]
        expected = np.tensordot(weights / weights.sum(), np.array(decided, float), axes=1)
        np.testing.assert_allclose(heard.probabilities, expected, atol=1e-9)
        assert heard.activity is not None


def test_votes_and_seeds_speak_of_the_averaged_predictions(
    data: TrainingData, tmp_path: Path
) -> None:
    """A run that averages its checkpoints is a member as such, not by its best epoch."""
    averaged = ("length.iterations=6", "length.epoch_steps=2", "keep.average=[2,4,6]")
    recipe = small("small/embedding-cnn", *averaged, "optimiser.lr=0.01")
    train_repeatedly(recipe, data, tmp_path / "seeds", Repeats(2), CPU)
    runs = [tmp_path / "seeds" / f"seed-{seed}" for seed in range(2)]
    combine(runs, tmp_path / "vote", "vote")
    ensemble = read_ensemble(tmp_path / "vote" / "ensemble.json")
    wave = Waveform(sing(("middle",), 4), RATE)
    alone = [load_ear(run, "cpu") for run in runs]
    assert [ear.info.model for ear in alone] == ["mean of 3 networks"] * 2
    scores = [ear.hear([wave])[0].probabilities for ear in alone]
    best = [load_ear(run / "best.safetensors", "cpu").hear([wave])[0].probabilities for run in runs]
    assert np.abs(np.array(best) - np.array(scores)).max() > 1e-4
    (mean,) = load_ear(tmp_path / "seeds", "cpu").hear([wave])
    np.testing.assert_allclose(mean.probabilities, np.mean(scores, axis=0), atol=1e-6)
    weights = np.array([m.weight for m in ensemble.members])
    votes = [p >= np.array(m.thresholds) for p, m in zip(scores, ensemble.members, strict=True)]
    (voted,) = load_ear(tmp_path / "vote", "cpu").hear([wave])
    share = np.tensordot(weights / weights.sum(), np.array(votes, float), axes=1)
    np.testing.assert_allclose(voted.probabilities, share, atol=1e-9)


def test_runs_that_do_not_belong_together_are_one_sentence(
    data: TrainingData, tmp_path: Path
) -> None:
    train(small("small/embedding-cnn"), data, tmp_path / "a", CPU)
    other = labelled([[1, 0, 0], [0, 1, 0], [0, 0, 1]] * 4)
    dense = read_recipe(
        "prob/max",
        [
            *SHORT,
            "architecture.extractor_settings.widths=[4]",
            "keep.average=[]",
            "length.iterations=2",
        ],
    )
    train(dense, other, tmp_path / "b", CPU)
    with pytest.raises(UsageError, match="were validated on different clips or classes"):
        combine([tmp_path / "a", tmp_path / "b"], tmp_path / "vote", "vote")
    with pytest.raises(UsageError, match="an ensemble needs at least two runs"):
        combine([tmp_path / "a"], tmp_path / "vote", "vote")


def test_a_broken_ensemble_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ensemble.json").write_text('{"mode": "sum"}')
    with pytest.raises(WeightsError, match="cannot be read as an ensemble"):
        resolve(tmp_path)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)

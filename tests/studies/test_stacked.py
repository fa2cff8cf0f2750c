"""SMALL's two networks: embeddings of one, a network on them, and both as one ear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.audio.ears import load_ear
from av_tagger.clip import Waveform
from av_tagger.errors import UsageError
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.analysis.instances import hear_instances
from av_tagger.learning.data.embedding_store import open_store
from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.prepare import Sources, read_data
from av_tagger.learning.recipe import read_recipe
from av_tagger.learning.run import TrainingOptions
from av_tagger.learning.train import train
from av_tagger.studies import stacked
from av_tagger.studies.sound_manifest import read_waveform
from av_tagger.studies.starter_data import write_wav

CPU = TrainingOptions(device="cpu")
CLASSES = ClassList((SoundClass("low"), SoundClass("high")))
SHORT = ["batch=4", "length.epochs=1", "length.epoch_steps=3"]
FRONT = ["rate=4000", "window=128", "hop=40", "fft=128", "mels=16"]
BELOW = ["groups=[[4], [4]]", "pools=[[5, 2], [2, 4]]", "dense=[12, 8]", "frames=25"]
ABOVE = ["architecture.features.bands=8", "architecture.extractor_settings.widths=[7, 6]"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per class with three tones of a second each."""
    folder = tmp_path_factory.mktemp("clips")
    t = np.arange(32_000) / 32_000
    for name, hertz in (("low", 300), ("high", 1500)):
        (folder / name).mkdir()
        for i in range(3):
            tone = 0.3 * np.sin(2 * np.pi * hertz * (1 + i / 20) * t)
            write_wav(folder / name / f"{i}.wav", tone.astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def runs(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on sound, the store of its embeddings, and a run on these."""
    root = tmp_path_factory.mktemp("runs")
    settings = [f"architecture.frontend.{w}" for w in FRONT]
    settings += [f"architecture.extractor_settings.{w}" for w in BELOW]
    recipe = read_recipe("small/embedding-cnn", [*SHORT, *settings])
    data = read_data(Sources((clips,), (clips,), store=root / "sound"), CLASSES, recipe)
    train(recipe, data, root / "below", CPU)
    stacked.main(["pack", str(root / "below"), str(clips), "-o", str(root / "store")])
    bags = open_store(root / "store").bags(CLASSES)
    small = read_recipe("small/mil-dnn-embed", [*SHORT, *ABOVE])
    train(small, TrainingData(bags, bags), root / "above", CPU)
    return root


def test_pack_stores_one_embedding_per_instance(
    runs: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(runs / "store")
    assert store.rows.shape == (24, 8)  # four instances of 0.25 s in each of six clips
    assert store.bags(CLASSES).targets.tolist() == [[0, 1]] * 3 + [[1, 0]] * 3
    stacked.main(["pack", str(runs / "below"), str(clips), "-o", str(runs / "again")])
    assert "24 embeddings of 6 clips" in capsys.readouterr().out
    assert open_store(runs / "again").sha256 == store.sha256


def test_the_joined_ear_scores_like_both_networks(runs: Path, clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "joined.safetensors"
    stacked.main(["join", str(runs / "below"), str(runs / "above"), "-o", str(output)])
    bags = open_store(runs / "store").bags(CLASSES)
    expected = hear_instances(runs / "above", bags).probabilities
    ear = load_ear(output, "cpu")
    files = [clips / name / f"{i}.wav" for name in ("high", "low") for i in range(3)]
    heard = ear.hear([Waveform(read_waveform(file, ear.rate), ear.rate) for file in files])
    for scores, instances in zip(heard, expected, strict=True):
        assert scores.activity is not None
        np.testing.assert_allclose(scores.activity.values, instances, atol=1e-3)
        np.testing.assert_allclose(scores.probabilities, instances.max(axis=0), atol=1e-3)


def test_only_a_dense_network_on_vgg3_is_joined(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only a dense network on top of vgg3"):
        stacked.join_runs(runs / "above", runs / "below", tmp_path / "wrong.safetensors")

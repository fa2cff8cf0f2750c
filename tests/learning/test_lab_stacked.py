"""SMALL's two networks: embeddings of one, learnt from by the other, and both as one ear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from av_tagger.audio.branch import load_ear
from av_tagger.clip import Waveform
from av_tagger.errors import UsageError
from av_tagger.labels import ClassList
from av_tagger.learning.analysis.analyse import hear_instances
from av_tagger.learning.data.bags import WaveformBags
from av_tagger.learning.recipe import read_recipe
from av_tagger.learning.run import Data, Options
from av_tagger.learning.stacked import join_runs, pack_instances
from av_tagger.learning.train import train

CPU = Options(device="cpu")
SHORT = ["batch=4", "length.epochs=1", "length.epoch_steps=3"]
FRONT = ["rate=4000", "window=128", "hop=40", "fft=128", "mels=16"]
BELOW = ["groups=[[4], [4]]", "pools=[[5, 2], [2, 4]]", "dense=[12, 8]", "frames=25"]


def test_two_runs_become_one_ear(
    make_bags: Callable[..., WaveformBags], classes: ClassList, tmp_path: Path
) -> None:
    bags = make_bags([("low",), ("high", "deep"), (), ("middle",), ("shrill",), ("low", "high")])
    settings = [f"architecture.frontend.{w}" for w in FRONT] + [
        f"architecture.extractor_settings.{w}" for w in BELOW
    ]
    train(
        read_recipe("small/embedding-cnn", [*SHORT, *settings]),
        Data(bags, bags),
        tmp_path / "below",
        CPU,
    )
    store = pack_instances(tmp_path / "below", bags, tmp_path / "store")
    embedded = store.bags(classes)
    assert store.rows.shape == (
        24,
        8,
    )  # four instances of a quarter of a second in each of six clips
    np.testing.assert_array_equal(embedded.targets, bags.targets)

    small = ["architecture.features.bands=8", "architecture.extractor_settings.widths=[7, 6]"]
    train(
        read_recipe("small/mil-dnn-embed", [*SHORT, *small]),
        Data(embedded, embedded),
        tmp_path / "above",
        CPU,
    )
    header = join_runs(tmp_path / "below", tmp_path / "above", tmp_path / "joined.safetensors")
    assert header.labels == classes.labels
    expected = hear_instances(tmp_path / "above", embedded)
    ear = load_ear(tmp_path / "joined.safetensors", "cpu")
    heard = ear.hear([Waveform(bags.wave(i, None), ear.rate) for i in range(6)])
    for scores, instances in zip(heard, expected.probabilities, strict=True):
        assert scores.activity is not None
        np.testing.assert_allclose(scores.activity.values, instances, atol=1e-5)
        np.testing.assert_allclose(scores.probabilities, instances.max(axis=0), atol=1e-5)

    with pytest.raises(UsageError, match="a vgg3 run and a dense one"):
        join_runs(tmp_path / "above", tmp_path / "below", tmp_path / "wrong.safetensors")

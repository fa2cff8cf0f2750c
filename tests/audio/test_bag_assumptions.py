"""Bag assumptions as a setting: of the header, of the ear, of the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.bag_assumptions import assumption
from av_tagger.audio.branch import MilEar
from av_tagger.audio.checkpoint import load_checkpoint, save_checkpoint
from av_tagger.audio.header import Header
from av_tagger.audio.network import MilNetwork, build_network
from av_tagger.audio.settings import EarSettings
from av_tagger.clip import Waveform
from av_tagger.learning.analysis.instances import Instances
from av_tagger.learning.recipe import Keep


def network() -> tuple[MilNetwork, Header]:
    torch.manual_seed(1)
    table = {
        "classes": 3,
        "extractor_settings": {"channels": [4, 4], "pools": [[5, 4], [4, 5]], "units": 3},
    }
    architecture = EarArchitecture.from_table(table)
    return build_network(architecture).eval(), Header("tiny", architecture, ("a", "b", "c"))


def noise() -> Waveform:
    return Waveform(np.random.default_rng(0).standard_normal(40_000).astype(np.float32), 20_000)


def heard(header: Header, settings: EarSettings | None = None) -> tuple[np.ndarray, np.ndarray]:
    (scores,) = MilEar(network()[0], header, "cpu", settings).hear([noise()])
    assert scores.activity is not None
    return scores.probabilities, scores.activity.values


@pytest.mark.parametrize("name", ["pooling", "smi", "cmi", "tmi:4"])
def test_the_header_says_how_instances_make_a_bag(name: str) -> None:
    bags, instances = heard(replace(network()[1], assumption=name))
    expected = {
        "pooling": instances.max(axis=0),
        "smi": instances.max(axis=0),
        "cmi": np.bincount(instances.argmax(axis=1), minlength=3) / len(instances),
        "tmi:4": np.sort(instances, axis=0)[-4],
    }[name]
    np.testing.assert_allclose(bags, expected, atol=1e-6)


def test_a_setting_of_the_ear_wins_over_the_header() -> None:
    own, _ = heard(replace(network()[1], assumption="cmi"), EarSettings(assumption="smi"))
    smi, _ = heard(replace(network()[1], assumption="smi"))
    np.testing.assert_array_equal(own, smi)


def test_it_travels_in_the_weights_file(tmp_path: Path) -> None:
    net, header = network()
    save_checkpoint(tmp_path / "x.safetensors", net, replace(header, assumption="tmi:2"))
    assert load_checkpoint(tmp_path / "x.safetensors")[1].assumption == "tmi:2"


@pytest.mark.parametrize("name", ["tmi", "tmi:0", "smi:3", "most", "tmi:x", ""])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="the bag assumption is pooling, smi, cmi or tmi:N"):
        assumption(name)
    with pytest.raises(ValueError, match="the bag assumption is"):
        Keep(assumption=name)


def test_the_roc_of_thresholds_by_hand() -> None:
    """Two bags; the second largest instance decides with a count of two."""
    p = (
        np.array([[0.9, 0.1], [0.6, 0.2]], np.float32),
        np.array([[0.3, 0.8], [0.7, 0.4]], np.float32),
    )
    i = Instances(p, p, p, np.array([[1, 0], [0, 1]], np.float32))
    one, two = i.roc(), i.roc(2)
    # count 1: scores .9 (true), .2, .7, .8 (true): perfect
    assert one.area == pytest.approx(1.0)
    assert one.detections.tolist() == [0, 0.5, 1, 1, 1]
    # count 2: .6 (true), .1, .3, .4 (true): perfect as well, at lower thresholds
    assert two.area == pytest.approx(1.0)
    assert two.thresholds.tolist() == pytest.approx([np.inf, 0.6, 0.4, 0.3, 0.1])
    both = Instances(p, p, p, np.array([[0, 1], [0, 1]], np.float32))
    assert both.roc().area == pytest.approx(0.25)  # .9 and .7 are false, .8 and .2 true

"""--preset paper: the published system, refused where a part is missing, run to the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from av_tagger.audio.checkpoint import save_checkpoint
from av_tagger.audio.header import EarThresholds, Header
from av_tagger.audio.network import build_network
from av_tagger.config import Config, configure
from av_tagger.errors import UsageError, WeightsError
from av_tagger.labels import dcase2017
from av_tagger.learning.learner import architecture_of
from av_tagger.learning.recipe import read_recipe
from av_tagger.plan import make_plan
from av_tagger.preset import applied
from av_tagger.video.alexnet import ARCHITECTURES
from tests.assets import make_video
from tests.conftest import SHARED

GROUPED = SHARED / "data" / "weights" / "bvlc_alexnet_features_q7.safetensors"
GLOVE_PART = SHARED / "data" / "words" / "glove.6B.50d.part.txt"
LABELS = dcase2017().labels


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The paper's ear at full size, untrained."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("run")
    architecture = architecture_of(read_recipe("crnn-av"), 17)
    header = Header("crnn-av", architecture, LABELS, thresholds=EarThresholds(ear=(0.5,) * 17))
    save_checkpoint(folder / "best.safetensors", build_network(architecture), header)
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stand-ins of the right shape; the grouped AlexNet is real where the material is here."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("weights")
    inception = timm.create_model("inception_v4", pretrained=False)
    save_file(inception.state_dict(), folder / "inception_v4.safetensors")
    if GROUPED.is_file():
        (folder / GROUPED.name).symlink_to(GROUPED)
    else:
        state = ARCHITECTURES["alexnet_grouped"].build().state_dict()
        save_file(state, folder / "alexnet_grouped_conv5.safetensors")
    return folder


@pytest.fixture
def weights(parts: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(parts))
    return parts


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 numbers per word, under the name of the paper's vectors; real words where they are."""
    folder = tmp_path_factory.mktemp("words")
    draw = np.random.default_rng(0)
    if GLOVE_PART.is_file():
        lines = GLOVE_PART.read_text(encoding="utf-8").splitlines()
        known = [line.split(" ", 1)[0] for line in lines]
    else:
        known = sorted({w for label in LABELS for w in label.lower().replace(",", "").split()})
    lines = [f"{w} {' '.join(f'{x:.3f}' for x in draw.standard_normal(300))}" for w in known]
    path = folder / "glove.840B.300d.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def config(run: Path, words: Path | None = None, **flags: object) -> Config:
    made = configure(flags={"preset": "paper", "ear": str(run), "offline": True, **flags})
    return replace(made, eye=replace(made.eye, words=words))


def test_the_settings_are_those_of_the_paper() -> None:
    made = applied(Config(preset="paper"))
    eye = made.eye
    assert (eye.layer, eye.selector, eye.keyframes, eye.keep) == ("conv5", "cvxpy", 4, 10)
    assert (eye.recogniser, eye.rule, eye.assignment, eye.floor) == (
        "inception_v4",
        "paper",
        "hard",
        None,
    )
    assert made.frame_rate is None  # every frame
    assert made.fusion == "paper"
    assert applied(made) == made
    assert applied(Config()) == Config()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"fusion": "max"}, "decides about fusion; leave out --fusion"),
        ({"fast": True}, "decides about fast; leave out --fast"),
        ({"only": "ear"}, "decides about only; leave out --only"),
        ({"threshold": 0.5}, "decides about threshold; leave out --threshold"),
        ({"classes": "all"}, "decides about classes; leave out --classes"),
    ],
)
def test_flags_that_contradict_are_refused(flags: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        applied(configure(flags={"preset": "paper", **flags}))


def test_it_needs_the_ear_of_the_paper(
    weights: Path, run: Path, words: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"is not published: train it .av-tag train crnn-av"):
        make_plan(config(Path("starter"), words))
    architecture = architecture_of(read_recipe("crnn-av", ["architecture.frontend.mels=64"]), 17)
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, build_network(architecture), Header("other", architecture, LABELS))
    with pytest.raises(UsageError, match="the ear other is another network than that of the paper"):
        make_plan(config(other, words))


def test_missing_parts_are_named_with_their_command(
    run: Path, words: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match="AlexNet is not on this machine; run `av-tag weights"):
        make_plan(config(run, words))
    for file in parts.glob("*alexnet*"):
        (tmp_path / file.name).symlink_to(file)
    with pytest.raises(WeightsError, match="Inception-v4 is not on this machine; run `av-tag"):
        make_plan(config(run, words))
    (tmp_path / "inception_v4.safetensors").symlink_to(parts / "inception_v4.safetensors")
    with pytest.raises(WeightsError, match=r"glove\.840B\.300d is not on this machine; run"):
        make_plan(config(run))


@pytest.mark.usefixtures("weights")
def test_a_film_through_the_whole_system(run: Path, words: Path, tmp_path: Path) -> None:
    film = make_video(tmp_path / "film.mp4", seconds=1.0)
    plan = make_plan(config(run, words, device="cpu"))
    assert plan.advice[0].startswith("preset paper: ear crnn-av")
    result = plan.build().tag(film)
    scores = [result.scores[label] for label in LABELS]
    heard, seen, fused = (
        np.array([getattr(s, name) for s in scores]) for name in ("heard", "seen", "fused")
    )
    assert np.isfinite(heard).all()
    assert 0 < seen.sum() <= 1 + 1e-6  # objects give everything away, those without words nothing
    assert 1 <= len(result.keyframes) <= 4
    assert "cvxpy" in result.eye.model
    weight = np.where([label in EYE_CLASSES for label in LABELS], 0.2, 0.8)  # of the ear
    np.testing.assert_allclose(fused, weight * heard + (1 - weight) * seen, atol=1e-6)
    assert result.run.fingerprint == plan.fingerprint


EYE_CLASSES = {
    "Ambulance (siren)",
    "Bicycle",
    "Bus",
    "Car passing by",
    "Fire engine, fire truck (siren)",
    "Skateboard",
    "Truck",
}

"""--preset paper: the published system, refused where a part is missing, run to the end."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from av_tagger.audio.checkpoint import save_checkpoint
from av_tagger.audio.header import EarThresholds, Header
from av_tagger.audio.network import build_network
from av_tagger.clip import Clip
from av_tagger.config import Config, configure
from av_tagger.errors import UsageError, WeightsError
from av_tagger.labels import dcase2017
from av_tagger.learning.learner import architecture_of
from av_tagger.learning.recipe import read_recipe
from av_tagger.plan import Plan, make_plan
from av_tagger.preset import applied
from av_tagger.video.alexnet import ARCHITECTURES
from av_tagger.video.imagenet import object_names
from av_tagger.video.recognise import NetworkRecogniser
from tests.assets import make_video
from tests.conftest import SHARED

GROUPED = SHARED / "data" / "weights" / "bvlc_alexnet_features_q7.safetensors"
GLOVE_PART = SHARED / "data" / "words" / "glove.840B.300d.part.txt"
FILMS = SHARED / "data" / "av" / "clips"
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
    torch.nn.init.normal_(inception.last_linear.bias, std=2.0)  # some objects are more probable
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
    """Words of GloVe 840B where the material is here; else stand-ins under the same name."""
    if GLOVE_PART.is_file():
        return GLOVE_PART
    draw = np.random.default_rng(0)
    known = sorted({w for label in LABELS for w in label.lower().replace(",", "").split()})
    lines = [f"{w} {' '.join(f'{x:.3f}' for x in draw.standard_normal(300))}" for w in known]
    path = tmp_path_factory.mktemp("words") / "glove.840B.300d.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def config(run: Path, words: Path | None = None, **flags: object) -> Config:
    made = configure(flags={"preset": "paper", "ear": str(run), "offline": True, **flags})
    return replace(made, eye=replace(made.eye, words=words, precision="float32"))


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
        ({"fusion": "max"}, "sets fusion itself; leave out --fusion"),
        ({"fast": True}, "sets fast itself; leave out --fast"),
        ({"only": "ear"}, "sets only itself; leave out --only"),
        ({"threshold": 0.5}, "sets threshold itself; leave out --threshold"),
        ({"classes": "all"}, "sets classes itself; leave out --classes"),
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


@pytest.fixture(params=["made", "real"])
def film(request: pytest.FixtureRequest, tmp_path: Path) -> Clip:
    if request.param == "made":
        return Clip(make_video(tmp_path / "film.mp4", seconds=1.0))
    found = sorted(FILMS.glob("*.mp4"))
    if not found:
        pytest.skip("the real films are not here")
    return Clip(found[0], 0.0, 2.0)


@pytest.mark.usefixtures("weights")
def test_a_film_through_the_whole_system(
    run: Path, words: Path, film: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognised: list[tuple[list[np.ndarray], np.ndarray]] = []
    recognise = NetworkRecogniser.recognise

    def kept(self: NetworkRecogniser, images: list[np.ndarray]) -> np.ndarray:
        recognised.append((list(images), recognise(self, images)))
        return recognised[-1][1]

    monkeypatch.setattr(NetworkRecogniser, "recognise", kept)
    plan = make_plan(config(run, words, device="cpu"))
    assert plan.advice[0].startswith("preset paper: ear crnn-av")
    result = plan.build().tag(film)
    scores = [result.scores[label] for label in LABELS]
    heard, seen, fused = (
        np.array([getattr(s, name) for s in scores]) for name in ("heard", "seen", "fused")
    )
    assert np.isfinite(heard).all()
    assert 1 <= len(result.keyframes) <= 4
    assert "cvxpy" in result.eye.model
    weight = np.where([label in EYE_CLASSES for label in LABELS], 0.2, 0.8)  # of the ear
    np.testing.assert_allclose(fused, weight * heard + (1 - weight) * seen, atol=1e-6)
    assert result.run.fingerprint == plan.fingerprint

    ((images, probabilities),) = recognised
    assert len(images) == len(result.keyframes)
    np.testing.assert_allclose(probabilities, by_timm(images, plan), rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(seen, mapped(probabilities, words), atol=1e-5)


def by_timm(images: list[np.ndarray], plan: Plan) -> np.ndarray:
    """Inception-v4 as its library runs it."""
    assert plan.eye is not None
    assert plan.eye.recogniser is not None
    assert plan.eye.recogniser.file is not None
    assert plan.eye.recogniser.file.path is not None
    network = timm.create_model("inception_v4", pretrained=False).eval()
    network.load_state_dict(load_file(plan.eye.recogniser.file.path))
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    with torch.inference_mode():
        x = torch.stack([transform(Image.fromarray(image)) for image in images])
        return np.asarray(network(x).softmax(dim=1).numpy())


def mapped(probabilities: np.ndarray, words: Path) -> np.ndarray:
    """AV section 2.2.2 written down again: the ten best objects, each to its nearest sound."""
    vectors = {}
    for line in words.read_text(encoding="utf-8").splitlines():
        word, *numbers = line.rsplit(" ", 300)
        vectors.setdefault(word, np.array(numbers, np.float64))

    def vector(phrase: str) -> np.ndarray | None:
        found = []
        for token in re.findall(r"[^\W_]+(?:-[^\W_]+)*", phrase.replace("'s", "")):
            whole = [w for w in (token.lower(), token, token.capitalize()) if w in vectors]
            parts = [p.lower() for p in token.split("-") if p.lower() in vectors]
            found += [vectors[w] for w in (whole[:1] or parts)]
        mean = np.mean(found, axis=0) if found else np.zeros(300)
        return mean / np.linalg.norm(mean) if mean.any() else None

    def best_ten(row: np.ndarray) -> np.ndarray:
        kept = np.zeros_like(row)
        for best in sorted(range(len(row)), key=lambda k: (-row[k], k))[:10]:
            kept[best] = row[best]
        return kept / kept.sum()

    total = best_ten(np.sum([best_ten(row) for row in probabilities.astype(np.float64)], axis=0))
    sounds = [vector(label) for label in LABELS]
    seen = np.zeros(len(LABELS))
    for name, share in zip(object_names(1000), total, strict=True):
        known = [v for v in map(vector, name.split(",")) if v is not None]
        if share and known:
            nearest = [-2.0 if s is None else float(known[0] @ s) for s in sounds]
            seen[int(np.argmax(nearest))] += share
    return seen


EYE_CLASSES = {
    "Ambulance (siren)",
    "Bicycle",
    "Bus",
    "Car passing by",
    "Fire engine, fire truck (siren)",
    "Skateboard",
    "Truck",
}

"""Names of the eye: what settings resolve to, what is refused, what replaces what is missing."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from av_tagger.errors import MissingExtra, UsageError, WeightsError
from av_tagger.labels import ClassList, SoundClass, dcase2017
from av_tagger.scores import Status
from av_tagger.video import eyes, fetch, keyframes, recognise
from av_tagger.video import load as loading
from av_tagger.video.alexnet import ARCHITECTURES
from av_tagger.video.branch import EyeSettings
from av_tagger.video.eye_source import DAY_ONE
from av_tagger.video.eyes import load, load_features, resolve
from av_tagger.video.features import Compute


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(tmp_path / "own"))
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def alexnet(path: Path) -> Path:
    torch.manual_seed(0)
    shapes = ARCHITECTURES["alexnet"].build().state_dict()
    state = {name: torch.randn(value.shape) * 0.05 for name, value in shapes.items()}
    save_file(state, path)
    return path


def mobilenet(path: Path) -> Path:
    """A small classifier of timm with 1000 classes."""
    network, _ = recognise.timm_network("mobilenetv3_small_050")
    save_file(network.state_dict(), path)
    return path


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Libraries that are not installed."""
    real = eyes.find_spec

    def find_spec(name: str) -> ModuleSpec | None:
        return None if name in names else real(name)

    monkeypatch.setattr(eyes, "find_spec", find_spec)


PAPER = {"network": "alexnet", "recogniser": "inception_v4"}  # neither is here


def test_a_fresh_install_lacks_nothing(own: Path) -> None:
    source = resolve(EyeSettings(), dcase2017())
    assert source.recogniser is not None
    assert source.recogniser.name == source.features.name == DAY_ONE
    assert (source.advice, source.info.status) == ((), Status.OK)


def test_an_eye_of_whatever_is_here_says_what_is_missing(own: Path) -> None:
    source = resolve(EyeSettings(**PAPER), dcase2017())  # type: ignore[arg-type]
    assert (source.features.name, source.recogniser, source.words) == ("thumbnail", None, None)
    assert source.degraded
    assert source.info.status is Status.NO_WEIGHTS
    features, recogniser = source.advice
    assert features.startswith("alexnet: its weights are not here; get it with `av-tag weights")
    assert "the eye shows key frames but names nothing" in recogniser


def test_an_eye_with_everything(own: Path) -> None:
    alexnet(own / fetch.CONVOLUTIONS)
    path = mobilenet(own / "mobilenetv3_small_050.safetensors")
    settings = EyeSettings(recogniser="mobilenetv3_small_050", selector="uniform")
    source = resolve(settings, dcase2017())
    assert source.advice == ()
    assert source.info.status is Status.OK
    assert source.info.model == "alexnet conv5, uniform, mobilenetv3_small_050"
    assert source.words is not None
    assert source.info.weights == f"{path.name}, {source.words.name}"
    assert source.words.name.endswith("rule ours")


@pytest.mark.parametrize("network", ["alexnet", "thumbnail", "timm:mobilenetv3_small_050"])
@pytest.mark.parametrize("recogniser", ["inception_v4", "mobilenetv3_small_050"])
def test_a_source_says_what_the_loaded_eye_says(own: Path, network: str, recogniser: str) -> None:
    alexnet(own / fetch.CONVOLUTIONS)
    mobilenet(own / "mobilenetv3_small_050.safetensors")
    source = resolve(EyeSettings(network=network, recogniser=recogniser), dcase2017())
    eye = load(source, dcase2017())
    assert (eye.info, eye.advice) == (source.info, source.advice)
    assert pickle.loads(pickle.dumps(source)) == source


def test_a_missing_library_costs_its_own_feature_only(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alexnet(own / fetch.CONVOLUTIONS)
    (own / "inception_v4.tf_in1k.safetensors").write_bytes(b"")
    hide(monkeypatch, "timm")
    source = resolve(EyeSettings(), dcase2017())
    assert (source.features.name, source.recogniser) == ("alexnet", None)
    (advice,) = source.advice
    assert advice.startswith(
        "the network 'inception_v4' needs timm, which cannot be imported (it is not"
    )
    features = resolve(EyeSettings(network="timm:resnet10t"), dcase2017())
    assert features.features.name == "thumbnail"
    assert features.degraded


def test_a_library_that_breaks_on_import_is_said_when_the_eye_is_loaded(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alexnet(own / fetch.CONVOLUTIONS)
    mobilenet(own / "inception_v4.tf_in1k.safetensors")
    source = resolve(EyeSettings(), dcase2017())
    assert source.recogniser is not None

    def broken(*_: object) -> Any:
        raise MissingExtra("the network 'inception_v4' needs timm (undefined symbol)")

    monkeypatch.setattr(loading, "load_recogniser", broken)
    eye = load(source, dcase2017())
    assert eye.status is Status.NO_WEIGHTS
    assert eye.advice[-1].startswith("the network 'inception_v4' needs timm (undefined symbol)")


def test_damaged_weights_cost_their_part_of_the_eye(own: Path) -> None:
    """As a damaged ear makes way for another; what was asked for by name is an error."""
    alexnet(own / fetch.CONVOLUTIONS).write_bytes(b"damaged")
    network = mobilenet(own / "mobile.safetensors")
    (own / "inception_v4.tf_in1k.safetensors").write_bytes(network.read_bytes()[:5000])
    eye = load(resolve(EyeSettings(), dcase2017()), dcase2017())
    assert eye.status is Status.NO_WEIGHTS
    features, recogniser = eye.advice[-2:]
    assert features.startswith(f"{own / fetch.CONVOLUTIONS}: cannot be read as weights")
    assert "inception_v4.tf_in1k.safetensors: cannot be read as weights" in recogniser
    assert recogniser.endswith("; the eye works without it")
    for settings in (EyeSettings(network="alexnet"), EyeSettings(recogniser="inception_v4")):
        with pytest.raises(WeightsError, match="cannot be read as weights"):
            load(resolve(settings, dcase2017()), dcase2017())


def test_weights_that_are_no_numbers_are_damaged(own: Path) -> None:
    path = mobilenet(own / "mobilenetv3_small_050.safetensors")
    state = load_file(path)
    state[min(state)].fill_(float("nan"))
    save_file(state, path)
    settings = EyeSettings(network="thumbnail", recogniser="mobilenetv3_small_050")
    with pytest.raises(WeightsError, match="holds numbers that are not finite"):
        load(resolve(settings, dcase2017()), dcase2017())


def test_a_damaged_table_of_words_makes_way_for_names(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = own / fetch.TABLE
    table.write_bytes(b"damaged")
    source = resolve(EyeSettings(), dcase2017())
    assert source.words is not None
    assert source.words.kind != "table"
    assert source.advice[0].startswith(f"{table}: is not a table of similarities")


def test_a_selector_without_its_library_is_refused(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, "cvxpy")
    with pytest.raises(MissingExtra, match="selector 'cvxpy:highs' needs cvxpy, which cannot be"):
        resolve(EyeSettings(selector="cvxpy:highs"), dcase2017())
    assert resolve(EyeSettings(), dcase2017()).features.name == DAY_ONE


def test_word_vectors_need_gensim_and_the_table_takes_their_place(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own / "inception_v4.tf_in1k.safetensors").write_bytes(b"")
    (own / "glove.840B.300d.txt").write_text("train 1 0\n")
    paper = EyeSettings(rule="paper")
    vectors = resolve(paper, dcase2017()).words
    assert vectors is not None
    assert (vectors.kind, vectors.file.size) == ("vectors", 10)
    ours = resolve(EyeSettings(), dcase2017()).words
    assert ours is not None
    assert ours.kind == "table"  # the rule `ours` has no need of larger vectors

    def broken(name: str) -> Any:
        raise ImportError("cannot import name 'triu' from 'scipy.linalg'")

    monkeypatch.setattr(eyes, "import_module", broken)
    source = resolve(paper, dcase2017())
    assert source.words is not None
    assert source.words.kind == "table"
    assert (
        "word vectors need gensim, which cannot be imported (cannot import name 'triu'"
        in source.advice[-1]
    )


def test_other_classes_need_word_vectors_under_the_paper_rule(own: Path) -> None:
    kettles = ClassList((SoundClass("Kettle"),))
    source = resolve(EyeSettings(rule="paper"), kettles)
    assert source.words is None
    assert source.info.status is Status.NO_WEIGHTS
    assert "these classes are not those of the shipped table" in source.advice[-1]
    ours = resolve(EyeSettings(), kettles)
    assert ours.words is not None
    assert (ours.words.kind, ours.advice) == ("names", ())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"network": "alexnett"}, "there is no network 'alexnett'; did you mean 'alexnet'"),
        ({"network": "timm:resnet10x"}, "timm has no network 'resnet10x'"),
        ({"layer": "conv55"}, "there is no layer 'conv55'; did you mean 'conv5'"),
        ({"selector": "sparce"}, "there is no key-frame selector 'sparce'; did you mean 'sparse'"),
        ({"recogniser": "keras:vgg"}, "there is no library 'keras' of classifiers"),
        ({"recogniser": "inception_v5"}, "timm has no network 'inception_v5'"),
        ({"recogniser": "torchvision:alexnett"}, "torchvision has no network 'alexnett'"),
    ],
    ids=str,
)
def test_wrong_names_are_refused(own: Path, wrong: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(EyeSettings(**wrong), dcase2017())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["network_weights", "recogniser_weights", "words"])
def test_files_that_are_not_there_are_refused(own: Path, tmp_path: Path, name: str) -> None:
    (own / "inception_v4.tf_in1k.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"none\.bin: there is no such weights file"):
        resolve(EyeSettings(**{name: tmp_path / "none.bin"}), dcase2017())  # type: ignore[arg-type]


def test_word_vectors_are_found_under_their_usual_names(own: Path, tmp_path: Path) -> None:
    drone = ClassList((SoundClass("Drone"),))
    settings = EyeSettings(rule="paper")
    assert resolve(settings, drone).words is None
    (own / "glove.6B.100d.txt").write_text("drone 0.1 0.2\n")
    found = resolve(settings, drone).words
    assert found is not None
    assert found.name == "glove.6B.100d.txt, rule paper"


@pytest.mark.parametrize("name", ["vectors.txt", "glove.6B.50d", "none", "glove.6B.300d.txt"])
def test_a_bare_name_is_a_file_of_the_weights_folder(own: Path, name: str) -> None:
    (own / "vectors.txt").write_text("drone 0.1 0.2\n")
    settings = EyeSettings(words=Path(name), rule="paper")
    if name == "vectors.txt":
        words = resolve(settings, dcase2017()).words
        assert words is not None
        assert words.file is not None
        assert words.file.path == own / name
        return
    with pytest.raises(WeightsError, match="there is no such weights file"):
        resolve(settings, dcase2017())


def test_advice_names_the_recogniser_that_was_asked_for(own: Path) -> None:
    (said,) = resolve(EyeSettings(recogniser="inception_v4"), dcase2017()).advice
    assert "get it with `av-tag weights fetch inception_v4`" in said
    (said,) = resolve(EyeSettings(recogniser="timm:resnet18"), dcase2017()).advice
    assert "weights fetch" not in said
    assert "resnet18" in said.split("put its weights as ")[1]


def identities(settings: Sequence[EyeSettings]) -> list[list[str]]:
    return [resolve(one, dcase2017()).identity for one in settings]


def test_the_identity_is_of_contents(own: Path, tmp_path: Path) -> None:
    alexnet(own / fetch.CONVOLUTIONS)
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes((own / fetch.CONVOLUTIONS).read_bytes())
    default, moved, other = identities(
        [EyeSettings(), EyeSettings(network_weights=copy), EyeSettings(selector="uniform")]
    )
    assert default == moved
    assert default != other


def test_frame_features_alone_need_their_weights(own: Path) -> None:
    with pytest.raises(WeightsError, match="av-tag weights fetch"):
        load_features(EyeSettings(network="alexnet"), Compute())
    alexnet(own / fetch.CONVOLUTIONS)
    assert load_features(EyeSettings(layer="conv3"), Compute()).name == "alexnet conv3"


def test_names_are_those_that_can_be_loaded() -> None:
    """The names are listed apart from the code that needs torch."""
    assert (*ARCHITECTURES, DAY_ONE) == eyes.NETWORKS
    assert all(tuple(stack.ends) == eyes.LAYERS for stack in ARCHITECTURES.values())
    assert tuple(keyframes.SELECTORS) == eyes.SELECTORS
    assert all(keyframes.selector(name).name == name for name in eyes.SELECTORS)
    assert tuple(recognise.LIBRARIES) == eyes.LIBRARIES

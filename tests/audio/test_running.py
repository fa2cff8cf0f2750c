"""Running predictions: equal to those of the whole clip, early, causal, in bounded memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from av_tagger.audio.architecture import EarArchitecture, FeatureShape, LogMelSettings
from av_tagger.audio.branch import MilEar
from av_tagger.audio.ensemble import EnsembleEar, share_embedders
from av_tagger.audio.ensemble_file import Ensemble, Member
from av_tagger.audio.header import Header
from av_tagger.audio.instance_streams import SoundInstances
from av_tagger.audio.known.ear import KnownEar
from av_tagger.audio.known.families import FAMILIES
from av_tagger.audio.known.on_embeddings import EmbeddedEar
from av_tagger.audio.known.vggish import VGGish
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.network import build_network
from av_tagger.audio.running import RunningPrediction, RunningScore
from av_tagger.clip import Waveform
from av_tagger.errors import MediaError, UsageError
from av_tagger.protocols import AudioBranch

RATE = 4_000
LABELS = ("bell", "rain", "horn")
FRONT = LogMelSettings(rate=RATE, window=100, hop=40, fft=128, mels=16)
VGG = {"groups": ((4,), (5,)), "pools": ((5, 2), (2, 4)), "dense": (8, 6), "frames": 100}
Array = NDArray[np.float32]

# SMALL: one instance per second; the baseline: five frames at a time, 100 instances per second
NETWORKS: dict[str, dict[str, Any]] = {
    "vgg3": {"extractor": "vgg3", "extractor_settings": VGG},
    "vgg3 with deltas": {
        "extractor": "vgg3",
        "extractor_settings": VGG,
        "frontend": replace(FRONT, deltas=True, preemphasis=0.9),
    },
    "vgg3, frames that start in time": {
        "extractor": "vgg3",
        "extractor_settings": VGG,
        "frontend": replace(FRONT, padding="end"),
    },
    "dense in context": {
        "extractor": "dense",
        "extractor_settings": {"widths": (7,), "context": 5},
    },
}


def trained(name: str, **more: Any) -> MilEar:
    torch.manual_seed(3)
    table = {"frontend": FRONT, "pooling": "max", **NETWORKS[name], **more}
    architecture = EarArchitecture(len(LABELS), **table)
    network = build_network(architecture).eval()
    network.normalise.mean.fill_(-9.0)
    network.normalise.std.fill_(3.0)
    return MilEar(network, Header(name, architecture, LABELS), "cpu")


def on_embeddings(embedder: MilEar | KnownEar, extractor: str = "dense") -> EmbeddedEar:
    torch.manual_seed(4)
    shape = FeatureShape(1, embedder.width, 1.0)
    settings = {"dense": {"widths": (7, 5)}, "bilstm": {"units": 3}}[extractor]
    architecture = EarArchitecture(3, extractor, settings, frontend=None, features=shape)
    network = build_network(architecture).eval()
    return EmbeddedEar(embedder, network, Header("stacked", architecture, LABELS))


def vggish() -> KnownEar:
    torch.manual_seed(5)
    network = VGGish((2, 3, 4, 4, 5, 5), (12, 10, 6))
    network.pca.mul_(40.0)
    return KnownEar("vggish", FAMILIES["vggish"], network)


def sound(seconds: float, rate: int = RATE, seed: int = 0) -> Array:
    """Noise whose loudness changes every half second."""
    draw = np.random.default_rng(seed)
    loudness = np.repeat(draw.uniform(0.01, 0.3, 2 * int(seconds) + 2), rate // 2)
    samples = draw.standard_normal(round(seconds * rate))
    return np.asarray(samples * loudness[: len(samples)], np.float32)


def pushed(ear: AudioBranch, samples: Array, sizes: list[int]) -> list[RunningScore]:
    """The sound in pieces of these sizes, in turn, to the end."""
    running, found, at = RunningPrediction(ear), [], 0
    for number in range(len(samples)):
        if at >= len(samples):
            break
        size = sizes[number % len(sizes)]
        found += running.push(samples[at : at + size])
        at += size
    return found + running.finish()


def offline(ear: AudioBranch, samples: Array) -> tuple[Array, NDArray[np.float64]]:
    (scores,) = ear.hear([Waveform(samples, ear.rate)])
    assert scores.activity is not None
    return scores.activity.values, scores.probabilities


def check_equal(ear: AudioBranch, samples: Array, sizes: list[int]) -> None:
    timeline, clip = offline(ear, samples)
    found = pushed(ear, samples, sizes)
    rows = np.stack([score.instance for score in found])
    np.testing.assert_allclose(rows, timeline, atol=1e-5)
    np.testing.assert_allclose(found[-1].so_far, clip, atol=1e-5)
    np.testing.assert_array_equal(
        np.stack([score.so_far for score in found]), np.maximum.accumulate(rows, axis=0)
    )


@pytest.mark.parametrize("sizes", [[4000], [1], [4001, 37, 9000], [10**6]], ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_pieces_of_any_size_give_the_scores_of_the_clip(name: str, sizes: list[int]) -> None:
    seconds = 1.7 if sizes == [1] else 6.63
    check_equal(trained(name), sound(seconds), sizes)


@pytest.mark.parametrize("seconds", [0.4, 1.0, 2.5, 3.01])
def test_a_network_on_embeddings_of_a_run(seconds: float) -> None:
    check_equal(on_embeddings(trained("vgg3 with deltas")), sound(seconds), [900, 1])


def test_embeddings_at_another_rate_are_averaged_per_second() -> None:
    check_equal(on_embeddings(trained("dense in context")), sound(3.4), [700])


@pytest.mark.parametrize("seconds", [0.2, 1.0, 3.0, 4.3, 4.7])
def test_a_network_on_vggish(seconds: float) -> None:
    check_equal(on_embeddings(vggish()), sound(seconds, 16_000), [16_000, 5_000])


def joined(mode: Literal["mean", "vote"], members: list[AudioBranch]) -> EnsembleEar:
    thresholds = ((0.5, 0.4, 0.6), (0.45, 0.5, 0.5), (0.52, 0.48, 0.5))
    parts = tuple(
        Member(f"run-{i}", weight, row)
        for i, (weight, row) in enumerate(zip((0.5, 0.3, 0.4), thresholds, strict=True))
    )
    ensemble = Ensemble(mode, parts[: len(members)], LABELS)
    return EnsembleEar(
        members, ensemble, Header("joined", trained("vgg3").header.architecture, LABELS)
    )


def stacked(count: int) -> list[AudioBranch]:
    """Networks of different weights on the embeddings of one run."""
    base, found = trained("vgg3 with deltas"), []
    for number in range(count):
        ear = on_embeddings(base)
        for p in ear.network.parameters():
            p.data *= 1 + number
        found.append(ear)
    return share_embedders(found)


@pytest.mark.parametrize("mode", ["mean", "vote"])
def test_votes_and_means_of_networks(mode: Literal["mean", "vote"]) -> None:
    """Each second the members' clip scores so far are joined as those of a whole clip are."""
    ear, samples = joined(mode, [*stacked(2), trained("vgg3")]), sound(4.3)
    timeline, clip = offline(ear, samples)
    found = pushed(ear, samples, [1500, 1])
    np.testing.assert_allclose([s.instance for s in found], timeline, atol=1e-5)
    np.testing.assert_allclose(found[-1].so_far, clip, atol=1e-5)
    for second in (0, 2):
        (until,) = ear.hear([Waveform(samples[: (second + 1) * RATE], RATE)])
        np.testing.assert_allclose(found[second].so_far, until.probabilities, atol=0.02)


def test_members_on_one_network_compute_its_embeddings_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocks = []
    original = MilEar.instances

    def counted(self: MilEar, samples: Array, frames: slice) -> tuple[Array, Array]:
        blocks.append(frames)
        return original(self, samples, frames)

    monkeypatch.setattr(MilEar, "instances", counted)
    running, quiet = RunningPrediction(joined("mean", stacked(3))), np.zeros(RATE, np.float32)
    for _ in range(4):
        running.push(quiet)  # the same array again is another second
    assert len(blocks) == 3
    assert len(running.finish()) == 1
    assert len(blocks) == 4


def test_members_of_different_instances_are_refused() -> None:
    mixed = joined("mean", [trained("vgg3"), trained("dense in context")])
    with pytest.raises(UsageError, match="ensemble: its members score instances of"):
        RunningPrediction(mixed)


def test_scores_by_hand() -> None:
    """One dense layer on log-mel frames: sigmoid(w (x - mean) / std + b), in numpy."""
    architecture = EarArchitecture(3, "dense", {"widths": ()}, "max", frontend=FRONT)
    network = build_network(architecture).eval()
    draw = np.random.default_rng(7)
    w, b = draw.standard_normal((3, 16)) * 0.2, draw.standard_normal(3)
    network.head.dense.weight.data = torch.from_numpy(w).float()
    network.head.dense.bias.data = torch.from_numpy(b).float()
    network.normalise.mean.fill_(-8.0)
    network.normalise.std.fill_(2.0)
    ear = MilEar(network, Header("by hand", architecture, LABELS), "cpu")
    samples = sound(2.0)
    with torch.inference_mode():
        x = network.features(torch.from_numpy(samples)[None])[0, 0].double().numpy()
    expected = 1 / (1 + np.exp(-((x + 8) / 2 @ w.T + b)))
    found = pushed(ear, samples, [333])
    np.testing.assert_allclose([s.instance for s in found], expected, atol=1e-5)
    assert [s.start_seconds for s in found] == pytest.approx(np.arange(200) / 100)


@pytest.mark.parametrize("name", ["vgg3", "vgg3 with deltas"])
def test_a_second_is_scored_at_once_whatever_follows(name: str) -> None:
    """The score of a second is known `delay_seconds` after its end, and never changes."""
    ear, start = trained(name), sound(3.0)
    delay = RunningPrediction(ear).delay_seconds
    assert 0 < delay < 0.1
    known = []
    for future in (sound(2.0, seed=8), np.zeros(2 * RATE, np.float32)):
        running = RunningPrediction(ear)
        whole = np.concatenate([start, future])
        early = running.push(whole[: 3 * RATE])
        assert len(early) == 2
        early += running.push(whole[3 * RATE : round((3 + delay) * RATE)])
        assert len(early) == 3
        running.push(whole[round((3 + delay) * RATE) :])
        known.append([score.instance for score in early])
    np.testing.assert_array_equal(known[0][:2], known[1][:2])
    np.testing.assert_allclose(known[0][2], known[1][2], atol=0.1)  # its last frames look ahead


def test_vggish_needs_no_sound_of_the_next_second() -> None:
    running = RunningPrediction(on_embeddings(vggish()))
    assert running.delay_seconds == 0
    assert [len(running.push(sound(1.0, 16_000, seed))) for seed in range(3)] == [1, 1, 1]


def test_memory_does_not_grow() -> None:
    stream = SoundInstances(trained("vgg3 with deltas"))
    held = []
    for seed in range(40):
        stream.push(sound(1.0, seed=seed))
        held.append(len(stream._buffer))
    assert max(held) <= 3 * RATE
    assert held[-1] == held[5]


def test_a_sound_without_samples_has_no_scores() -> None:
    for ear in (trained("vgg3"), on_embeddings(trained("vgg3")), on_embeddings(vggish())):
        running = RunningPrediction(ear)
        assert running.push(np.zeros(0, np.float32)) == []
        assert running.finish() == []
        with pytest.raises(ValueError, match="the sound was finished"):
            running.push(np.zeros(5, np.float32))


def crnn() -> MilEar:
    settings = {"channels": (4,), "pools": ((5, 16),), "units": 3}
    architecture = EarArchitecture(3, "crnn", settings, frontend=FRONT)
    return MilEar(build_network(architecture).eval(), Header("crnn", architecture, LABELS), "cpu")


@pytest.mark.parametrize(
    "made",
    [crnn, lambda: on_embeddings(trained("vgg3"), "bilstm"), lambda: on_embeddings(crnn())],
    ids=["crnn", "bilstm on vgg3", "dense on crnn"],
)
def test_networks_that_need_the_whole_clip_are_refused(made: Any) -> None:
    with pytest.raises(UsageError, match=r"depend on the whole clip, .* no running prediction"):
        RunningPrediction(made())


def test_other_ears_are_refused() -> None:
    torch.manual_seed(0)
    yamnet = KnownEar("yamnet", FAMILIES["yamnet"], YAMNet())
    with pytest.raises(UsageError, match="yamnet: has no running prediction; give a trained ear"):
        RunningPrediction(yamnet)
    with pytest.raises(UsageError, match=r"yamnet: its frames overlap, .*use VGGish"):
        RunningPrediction(on_embeddings(yamnet))
    normed = trained("vgg3", residual_norm=0.1)
    with pytest.raises(UsageError, match="vgg3: its instances depend on the whole clip"):
        RunningPrediction(normed)


def test_samples_that_are_not_sound_are_refused() -> None:
    running = RunningPrediction(trained("vgg3"))
    with pytest.raises(MediaError, match="NaN or infinite"):
        running.push(np.full(100, np.nan, np.float32))
    with pytest.raises(ValueError, match="mono float32"):
        running.push(np.zeros((2, 100), np.float32))

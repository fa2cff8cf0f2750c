"""The whole network: shapes, lengths, margins, architectures, training."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from av_tagger.audio.architecture import EarArchitecture, FeatureShape, LogMelSettings
from av_tagger.audio.losses import BinaryCrossEntropy
from av_tagger.audio.network import MilNetwork, Normalise, build_network
from av_tagger.audio.pooling import POOLINGS
from av_tagger.errors import UsageError

TINY = {"channels": (4, 6), "pools": ((5, 6), (4, 5)), "units": 5}
STORE = FeatureShape(channels=1, bands=60, rate=200.0)


def network(pooling: str = "max", margin: int = 2, seed: int = 0) -> MilNetwork:
    torch.manual_seed(seed)
    built = build_network(
        EarArchitecture(3, extractor_settings=TINY, pooling=pooling, margin=margin)
    )
    built.normalise.set(torch.full((1, 60), -8.0), torch.full((1, 60), 3.0))
    return built.eval()


def features(frames: int, count: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 1, frames, 60, generator=torch.Generator().manual_seed(seed)) * 3 - 8


@pytest.mark.parametrize("pooling", sorted(POOLINGS))
def test_ten_seconds_give_100_instances_and_one_bag(pooling: str) -> None:
    with torch.inference_mode():
        n = network(pooling)
        heard = n(n.features(torch.zeros(2, 200_000)))
    assert heard.bags.shape == (2, 3)
    assert heard.instances.shape == (2, 100, 3)
    assert heard.embeddings.shape == (2, 100, 10)
    assert heard.mask.shape == (2, 100)
    assert bool(heard.mask.all())
    assert bool(((heard.instances > 0) & (heard.instances < 1)).all())
    torch.testing.assert_close(heard.bags[0], heard.bags[1])


@pytest.mark.parametrize("pooling", sorted(POOLINGS))
def test_mixed_lengths_give_the_same_as_single_runs(pooling: str) -> None:
    n, x, lengths = network(pooling), features(90, 4), torch.tensor([90, 41, 1, 41])
    with torch.inference_mode():
        together = n(x, lengths)
        for i, length in enumerate(lengths.tolist()):
            alone = n(x[i : i + 1, :, :length])
            count = -(-length // 20)
            assert together.mask[i].tolist() == [j < count for j in range(5)]
            torch.testing.assert_close(together.bags[i : i + 1], alone.bags, atol=1e-6, rtol=0)
            torch.testing.assert_close(
                together.instances[i : i + 1, :count], alone.instances, atol=1e-6, rtol=0
            )


def test_one_channel_may_be_left_out() -> None:
    n, x = network(), features(40, 2)
    with torch.inference_mode():
        torch.testing.assert_close(n(x[:, 0]).bags, n(x).bags)


@pytest.mark.parametrize("lengths", [[0, 5], [5, 41], [5]])
def test_wrong_lengths_are_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="needs 1 to 40 frames"):
        network()(features(40, 2), torch.tensor(lengths))


def test_training_pads_clips_with_silence() -> None:
    """Values beyond the given length are ignored."""
    n = network().train()
    for module in n.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    x, lengths = features(80, 2), torch.tensor([80, 33])
    dirty = x.clone()
    dirty[1, :, 33:] = 1e3
    torch.testing.assert_close(n(dirty, lengths).bags, n(x, lengths).bags)


def test_a_margin_equals_a_longer_silence() -> None:
    sound = torch.randn(1, 20_000, generator=torch.Generator().manual_seed(3)) * 0.1
    inside = torch.zeros(1, 200_000)
    inside[:, 80_000:100_000] = sound

    def difference(n: MilNetwork) -> float:
        with torch.inference_mode():
            alone, long = n(n.features(sound)).instances, n(n.features(inside)).instances
        return float((alone - long[:, 40:50]).abs().max())

    without, with_margin = difference(network(margin=0)), difference(network(margin=5))
    assert with_margin < 0.02
    assert with_margin < without / 3


def test_the_margin_equals_the_features_of_zeros() -> None:
    n = network()
    quiet = n.features(torch.zeros(1, 2000))
    torch.testing.assert_close(quiet, n.silence[None, :, None].expand_as(quiet))


def test_constant_bands_are_not_scaled() -> None:
    normalise = Normalise(FeatureShape(1, 2, 1.0))
    normalise.set(torch.tensor([[1.0, 5.0]]), torch.tensor([[2.0, 0.0]]))
    torch.testing.assert_close(
        normalise(torch.tensor([[[[3.0, 5.5]]]])), torch.tensor([[[[1.0, 0.5]]]])
    )
    assert set(normalise.state_dict()) == {"mean", "std"}


def test_networks_without_a_front_end_read_features() -> None:
    n = build_network(
        {
            "classes": 2,
            "features": {"channels": 1, "bands": 60, "rate": 200.0},
            "extractor_settings": TINY,
        }
    )
    assert n(features(40)).bags.shape == (1, 2)
    with pytest.raises(UsageError, match="reads features, not waveforms"):
        n.features(torch.zeros(1, 100))


@pytest.mark.parametrize(
    "architecture",
    [
        EarArchitecture(17),
        EarArchitecture(
            5,
            extractor_settings=TINY,
            pooling="attention",
            pooling_settings={"nonlinearity": "relu"},
            margin=5,
        ),
        EarArchitecture(5, frontend=None, features=STORE, activation="softmax"),
        EarArchitecture(
            17,
            frontend=LogMelSettings(
                rate=44_100, window=1102, hop=441, fft=2048, mels=64, deltas=True
            ),
        ),
    ],
)
def test_an_architecture_round_trips_through_json(architecture: EarArchitecture) -> None:
    again = EarArchitecture.from_table(json.loads(json.dumps(architecture.to_table())))
    assert again.to_table() == architecture.to_table()
    one, two = build_network(architecture), build_network(again)
    assert {k: v.shape for k, v in one.state_dict().items()} == {
        k: v.shape for k, v in two.state_dict().items()
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"classes": 0}, "classes must lie between 1 and"),
        ({"classes": 3, "extractor": "crrn"}, "did you mean 'crnn'"),
        ({"classes": 3, "pooling": "maxx"}, "did you mean 'max'"),
        ({"classes": 3, "activation": "tanh"}, "activation is one of"),
        ({"classes": 3, "extractor_settings": {"unit": 3}}, "did you mean 'units'"),
        (
            {"classes": 3, "pooling": "attention", "pooling_settings": {"nonlinearity": "cos"}},
            "'cos'",
        ),
        (
            {"classes": 3, "extractor_settings": {"channels": [2], "pools": [[0, 2]]}},
            "pools must be positive",
        ),
        (
            {"classes": 3, "frontend": {"mels": 20}},
            "cannot be built: pooling leaves none of the 20 bands",
        ),
        (
            {"classes": 3, "frontend": {}, "features": {"channels": 1, "bands": 60, "rate": 1.0}},
            "either a front end or",
        ),
        ({"pooling": "max"}, "classes"),
        ({"classes": 3, "colour": "red"}, "'colour'"),
    ],
)
def test_wrong_architectures_are_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_network(table)


def test_softmax_probabilities_sum_to_one() -> None:
    n = build_network(EarArchitecture(4, extractor_settings=TINY, activation="softmax")).eval()
    torch.testing.assert_close(n(features(40)).instances.sum(-1), torch.ones(1, 2))


def test_it_learns_to_tell_a_tone_from_noise() -> None:
    """Weak labels only: the tone fills a tenth of its clip."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    t = np.arange(20_000) / 20_000
    waves = rng.standard_normal((8, 20_000)).astype(np.float32) * 0.01
    waves[:4, 4000:6000] += (0.2 * np.sin(2 * np.pi * 1000 * t[:2000])).astype(np.float32)
    targets = (torch.arange(8) < 4).float()[:, None]
    n = build_network(
        EarArchitecture(
            1, extractor_settings=TINY | {"dropout": 0.0, "batch_norm": False}, margin=2
        )
    )
    x = n.features(torch.from_numpy(waves))
    n.normalise.set(x.mean(dim=(0, 2)), x.std(dim=(0, 2)))
    optimiser, loss = torch.optim.Adam(n.parameters(), 0.02), BinaryCrossEntropy()
    for _ in range(30):
        optimiser.zero_grad()
        loss(n(x), targets).backward()
        optimiser.step()
    with torch.inference_mode():
        heard = n.eval()(x)
    assert bool(((heard.bags > 0.5) == targets.bool()).all())
    assert heard.instances[:4, :, 0].argmax(1).sub(2).abs().max() <= 1, (
        "the tone is found where it is"
    )

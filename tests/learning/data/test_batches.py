from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from av_tagger.learning.data.augment import Augment
from av_tagger.learning.data.bags import EmbeddingBags, WaveformBags
from av_tagger.learning.data.batches import Batch, Sampling, TrainingBatches, WholeBags, loaded

MakeBags = Callable[..., WaveformBags]
ALL = Augment(gain_db=6, shift_seconds=0.2, background_share=0.5, mixup_alpha=0.4)
SONGS = [("low",), ("deep", "high"), (), ("middle",), ("shrill",), ("low", "shrill")]


def same(a: Batch, b: Batch) -> bool:
    return (
        torch.equal(a.inputs, b.inputs)
        and torch.equal(a.lengths, b.lengths)
        and torch.equal(a.targets, b.targets)
    )


def test_batches_do_not_depend_on_workers_or_order(make_bags: MakeBags) -> None:
    bags = make_bags(SONGS)
    batches = TrainingBatches(bags, Sampling(4, "batch", seed=3), ALL, make_bags([()], seed=1))
    here = [batches[step] for step in range(4)]
    assert all(
        same(a, b)
        for a, b in zip(here, loaded(batches, range(4), workers=2, pin=False), strict=True)
    )
    fresh = TrainingBatches(bags, Sampling(4, "batch", seed=3), ALL, make_bags([()], seed=1))
    assert same(fresh[3], here[3])
    assert not same(here[2], here[3])
    assert not same(TrainingBatches(bags, Sampling(4, "batch", seed=4), ALL)[3], here[3])


def test_ranks_split_a_batch(make_bags: MakeBags) -> None:
    bags = make_bags(SONGS)
    whole = TrainingBatches(bags, Sampling(5), Augment(gain_db=6))[2]
    parts = [
        TrainingBatches(bags, Sampling(5, rank=rank, group=2), Augment(gain_db=6))[2]
        for rank in (0, 1)
    ]
    assert torch.equal(whole.inputs[0::2], parts[0].inputs)
    assert torch.equal(whole.inputs[1::2], parts[1].inputs)


def test_without_augmentation_a_batch_has_the_clips_unchanged(make_bags: MakeBags) -> None:
    bags = make_bags(SONGS)
    batches = TrainingBatches(bags, Sampling(6))
    inputs, _ = bags.fetch(batches.chosen(0), None)
    assert np.array_equal(batches[0].inputs.numpy(), inputs)
    assert np.array_equal(batches[0].targets.numpy(), bags.targets[batches.chosen(0)])


def test_embeddings_stay_bytes_unless_they_are_mixed() -> None:
    bags = EmbeddingBags(
        np.full((4, 3), 200, np.uint8), np.array([0, 2, 4]), np.eye(2, dtype=np.float32), ("a", "b")
    )
    assert TrainingBatches(bags, Sampling(2))[0].inputs.dtype == torch.uint8
    mixed = TrainingBatches(bags, Sampling(2), Augment(mixup_alpha=0.5))[0]
    assert mixed.inputs.dtype == torch.float32
    assert mixed.inputs.numpy() == pytest.approx(np.full((2, 2, 3), 200.0), abs=1e-3)


def test_validation_batches_have_every_bag_once_within_the_budget() -> None:
    lengths = np.array([7, 1, 3, 3, 2, 9, 1])
    first = np.concatenate([[0], np.cumsum(lengths)])
    bags = EmbeddingBags(
        np.zeros((int(first[-1]), 1), np.uint8), first, np.zeros((7, 1), np.float32), ("a",)
    )
    batches = [WholeBags(bags, budget=8)[i] for i in range(len(WholeBags(bags, budget=8)))]
    assert sorted(np.concatenate([chosen for chosen, _ in batches]).tolist()) == list(range(7))
    sizes = [(len(chosen), int(batch.lengths.max())) for chosen, batch in batches]
    assert all(n * longest <= 8 or n == 1 for n, longest in sizes)
    assert sizes == [(3, 2), (2, 3), (1, 7), (1, 9)]


def test_a_background_adds_sound_but_no_label(make_bags: MakeBags) -> None:
    bags, noise = make_bags([("low",)]), make_bags([("shrill",)], seed=1)
    how = Augment(background_share=1.0, background_snr_db=(0, 0))
    batch = TrainingBatches(bags, Sampling(1), how, replace(noise))[0]
    assert batch.targets.tolist() == [[1, 0, 0, 0, 0]]
    added = batch.inputs[0].numpy() - bags.fetch(np.array([0]), None)[0][0]
    assert (
        np.abs(np.fft.rfft(added)).argmax() == 1600
    )  # a second of sound: the bin is the frequency

"""Packing, batches and training steps of the laboratory on a small store."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from av_tagger.bench.laboratory import (
    BANDS,
    FRAMES,
    batches,
    clock_of,
    inference,
    pack,
    training_step,
)
from av_tagger.labels import audioset
from av_tagger.learning.data.batches import Sampling, TrainingBatches
from av_tagger.learning.data.embedding_store import EmbeddingStore

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingStore:
    return pack(tmp_path_factory.mktemp("store") / "store", 300)


def test_the_store_holds_every_clip(store: EmbeddingStore) -> None:
    bags = store.bags(audioset())
    assert len(bags) == 300
    rows, lengths = bags.fetch(np.arange(3), None)
    assert rows.shape == (3, FRAMES, BANDS)
    assert lengths.tolist() == [FRAMES] * 3
    assert (bags.targets.sum(axis=1) >= 1).all()


def test_the_rates_of_batches_are_printed(
    store: EmbeddingStore, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = batches(store, 20, rounds=2)
    said = capsys.readouterr().out
    assert seconds > 0
    assert f"{1 / seconds:9.1f} per second" in said
    assert "MB/s for a plain copy" in said


def test_training_steps_lower_the_loss_of_their_batch(store: EmbeddingStore) -> None:
    bags = store.bags(audioset())
    batch = TrainingBatches(bags, Sampling(20, "batch"))[0]
    torch.manual_seed(0)
    step = training_step("att/feature-attention", bags.labels, batch, CPU)
    losses = [step() for _ in range(4)]
    assert losses[-1] < losses[0]  # type: ignore[operator]


def test_the_clock_counts_cpu_time() -> None:
    clock = clock_of(CPU)
    before = clock()
    sum(range(1_000_000))
    assert clock() > before


def test_inference_prints_both_networks(capsys: pytest.CaptureFixture[str]) -> None:
    inference(CPU, rounds=1, clips=2)
    said = capsys.readouterr().out
    assert "clips/s DNN" in said
    assert "clips/s RNN" in said

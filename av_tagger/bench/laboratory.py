"""The multiple-instance laboratory on this machine: ATT's steps, the embedding store, DNN against RNN, and the synthetic experiments."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from av_tagger.audio.network import build_network
from av_tagger.labels import audioset
from av_tagger.learning.data.audioset import EmbeddingStore, Packer, open_store
from av_tagger.learning.data.batches import Batch, Sampling, TrainingBatches
from av_tagger.learning.learner import architecture_of, features_of, loss_of, make_loss
from av_tagger.learning.optimise import make_optimiser
from av_tagger.learning.recipe import read_recipe
from av_tagger.studies.synthetic import (
    COMMON,
    LOSSES_COMPARED,
    POOLINGS_COMPARED,
    RARE,
    BagScores,
    experiment,
)

BATCH, ROUNDS, CLIPS = 500, 5, 20_000  # clips of the store: a hundredth of AudioSet, 25.6 MB
ALL_CLIPS, STEPS = 2_084_320, 50_000


def main() -> None:
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "one CPU thread"
    print(f"{name}; medians of {ROUNDS} rounds, side by side")
    with tempfile.TemporaryDirectory() as folder:
        store = _store(Path(folder) / "store")
        seconds = _batches(store)
        _att(store, device, seconds)
    _small(device)
    _synthetic()


def medians(device: torch.device, *runs: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Seconds of each; A B A B, so that a busy neighbour disturbs all alike."""
    times: list[list[float]] = [[] for _ in runs]
    for round_ in range(rounds + 1):
        for i, run in enumerate(runs):
            began = _now(device)
            run()
            if round_:
                times[i].append(_now(device) - began)
    return [statistics.median(t) for t in times]


def _now(device: torch.device) -> float:
    """CPU time of this thread's process; on a GPU the clock, after all work is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def _store(folder: Path) -> EmbeddingStore:
    draw, began = np.random.default_rng(0), time.process_time()
    with Packer(folder, audioset().ids) as packer:
        for clip in range(CLIPS):
            packer.add(
                f"clip {clip}",
                draw.integers(0, 256, (10, 128), np.uint8),
                draw.integers(0, 527, 2).tolist(),
            )
    seconds = time.process_time() - began
    every = ALL_CLIPS / CLIPS * seconds / 60
    print(
        f"packing          {CLIPS / seconds:9.0f} clips/s   (AudioSet's {ALL_CLIPS:,}: {every:.1f} min, files aside)"
    )
    return open_store(folder)


def _batches(store: EmbeddingStore) -> float:
    """How fast balanced batches come out of the store, against a plain copy of as many bytes."""
    bags = store.bags(audioset())
    batches = TrainingBatches(bags, Sampling(BATCH, "batch"))
    _ = batches[0]
    numbers, block = iter(range(1, 10**9)), np.zeros(BATCH * 1280, np.uint8)
    indices = [np.random.default_rng(i).integers(0, len(bags), BATCH) for i in range(ROUNDS + 1)]
    turns = iter(indices)
    whole, gather, copy = medians(
        torch.device("cpu"),
        lambda: batches[next(numbers)],
        lambda: bags.fetch(next(turns), None),
        block.copy,
    )
    size = BATCH * 1280 / 1e6
    print(
        f"store            {size / gather:9.0f} MB/s gathered from the map, {size / copy:.0f} MB/s a plain copy of as many bytes"
    )
    print(
        f"balanced batch   {1 / whole:9.1f} a second ({size / whole:.0f} MB/s), drawn, gathered, with targets"
    )
    return whole


def _att(store: EmbeddingStore, device: torch.device, batch_seconds: float) -> None:
    bags = store.bags(audioset())
    batch = TrainingBatches(bags, Sampling(BATCH, "batch"))[0].to(device)
    steps = [
        _stepper(name, bags.labels, batch, device)
        for name in ("att/feature-attention", "att/feature-attention-width-2048")
    ]
    for width, seconds in zip(
        (1024, 2048),
        medians(device, *steps, rounds=50 if device.type == "cuda" else 1),
        strict=True,
    ):
        hours = STEPS * max(seconds, batch_seconds) / 3600
        print(
            f"ATT width {width:4d}   {1 / seconds:9.2f} steps/s   ({STEPS:,} steps: {hours:.2f} h)"
        )


def _stepper(
    name: str, labels: tuple[str, ...], batch: Batch, device: torch.device
) -> Callable[[], object]:
    recipe = read_recipe(name)
    network = build_network(architecture_of(recipe, len(labels))).to(device).train()
    network.normalise.set(
        torch.full((1, 128), 128.0, device=device), torch.full((1, 128), 74.0, device=device)
    )
    optimiser = make_optimiser(network.parameters(), recipe.optimiser)
    loss = make_loss(recipe.loss, None)  # type: ignore[arg-type]  # no weights are counted

    def step() -> None:
        features, frames = features_of(network, batch)
        optimiser.zero_grad()
        loss_of(loss, network(features, frames), batch.targets).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def _small(device: torch.device) -> None:
    """SMALL §5: 2,500 clips a second by the DNN against 500 by the RNN, on a GTX 1080."""
    x = torch.randn(100, 1, 10, 512, device=device)
    networks = [
        build_network(architecture_of(read_recipe(f"small/{n}"), 17)).to(device).eval()
        for n in ("mil-dnn-embed", "mil-rnn-embed")
    ]
    with torch.inference_mode():
        dnn, rnn = medians(device, lambda: networks[0](x), lambda: networks[1](x))
    print(
        f"SMALL            {100 / dnn:9.0f} clips/s DNN, {100 / rnn:.0f} clips/s RNN   (DNN {rnn / dnn:.1f} x as fast)"
    )


def _synthetic() -> None:
    print("synthetic bags, two seeds: mAP of bags, recall of positive instances, false alarms")
    for title, group, methods in (
        ("rare positives", RARE, POOLINGS_COMPARED),
        ("common positives", COMMON, LOSSES_COMPARED),
    ):
        for name, method in methods.items():
            print(
                f"{title:17}{name:26}{_row([experiment(group, method, seed) for seed in range(2)])}"
            )


def _row(found: Sequence[BagScores]) -> str:
    return "   ".join(
        f"{np.mean([getattr(f, what) for f in found]):.3f}"
        for what in ("map", "recall", "false_alarms")
    )


if __name__ == "__main__":
    main()

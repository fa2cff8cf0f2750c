"""Speed of multiple-instance learning: packing embeddings, balanced batches, training steps of ATT.

    python -m av_tagger.bench.laboratory [--clips 20000] [--batch 500] [--rounds 5]

On a GPU times are wall time after all work is done, otherwise CPU time; medians of rounds in turn.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from av_tagger.audio.network import build_network
from av_tagger.bench.measure import Clock, Work, medians_in_turn, parser, run_main
from av_tagger.labels import audioset
from av_tagger.learning.data.batches import Batch, Sampling, TrainingBatches
from av_tagger.learning.data.embedding_store import EmbeddingStore, Packer, open_store
from av_tagger.learning.learner import architecture_of, features_of, loss_of, make_loss
from av_tagger.learning.optimise import make_optimiser
from av_tagger.learning.recipe import read_recipe

FRAMES, BANDS = 10, 128  # of the embeddings of one clip
ALL_CLIPS = 2_084_320  # of AudioSet
STEPS = 50_000  # of a full training


def clock_of(device: torch.device) -> Clock:
    """CPU time; on a GPU wall time, read after all work is done."""
    if device.type != "cuda":
        return time.process_time

    def finished() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return finished


def pack(folder: Path, clips: int) -> EmbeddingStore:
    """Write a store of random embeddings and print the rate."""
    draw, began = np.random.default_rng(0), time.process_time()
    with Packer(folder, audioset().ids) as packer:
        for clip in range(clips):
            rows = draw.integers(0, 256, (FRAMES, BANDS), np.uint8)
            packer.add(f"clip {clip}", rows, draw.integers(0, 527, 2).tolist())
    seconds = time.process_time() - began
    whole = ALL_CLIPS / clips * seconds / 60
    print(
        f"packing          {clips / seconds:9.0f} clips/s   "
        f"(AudioSet's {ALL_CLIPS:,}: {whole:.1f} min without reading files)"
    )
    return open_store(folder)


def batches(store: EmbeddingStore, batch: int, rounds: int) -> float:
    """Rate of balanced batches from the store against a plain copy of as many bytes; seconds."""
    bags = store.bags(audioset())
    drawn = TrainingBatches(bags, Sampling(batch, "batch"))
    size = FRAMES * BANDS * batch
    numbers, block = iter(range(10**9)), np.zeros(size, np.uint8)
    draw = np.random.default_rng(0)
    turns = iter([draw.integers(0, len(bags), batch) for _ in range(rounds + 1)])
    sides: dict[str, Work] = {
        "batch": lambda: drawn[next(numbers)],
        "gather": lambda: bags.fetch(next(turns), None),
        "copy": block.copy,
    }
    found = medians_in_turn(sides, rounds)
    gather, copy = (size / 1e6 / max(found[name], 1e-9) for name in ("gather", "copy"))
    print(f"store            {gather:9.0f} MB/s gathered, {copy:.0f} MB/s for a plain copy")
    print(
        f"balanced batch   {1 / found['batch']:9.1f} per second "
        f"({size / 1e6 / found['batch']:.0f} MB/s) with sampling and targets"
    )
    return found["batch"]


def training_steps(
    store: EmbeddingStore, device: torch.device, batch: int, rounds: int, batch_seconds: float
) -> None:
    """Steps per second of the ATT networks, and the hours of a full training."""
    bags = store.bags(audioset())
    data = TrainingBatches(bags, Sampling(batch, "batch"))[0].to(device)
    recipes = {1024: "att/feature-attention", 2048: "att/feature-attention-width-2048"}
    sides = {
        f"ATT width {width:4d}": training_step(recipe, bags.labels, data, device)
        for width, recipe in recipes.items()
    }
    for name, seconds in medians_in_turn(sides, rounds, clock_of(device)).items():
        hours = STEPS * max(seconds, batch_seconds) / 3600
        print(f"{name}   {1 / seconds:9.2f} steps/s   ({STEPS:,} steps: {hours:.2f} h)")


def training_step(name: str, labels: tuple[str, ...], batch: Batch, device: torch.device) -> Work:
    """Forward, backward and update on one batch with the network of a recipe; returns the loss."""
    recipe = read_recipe(name)
    network = build_network(architecture_of(recipe, len(labels))).to(device).train()
    mean, std = (torch.full((1, BANDS), value, device=device) for value in (128.0, 74.0))
    network.normalise.set(mean, std)
    optimiser = make_optimiser(network.parameters(), recipe.optimiser)
    loss = make_loss(recipe.loss, None)  # type: ignore[arg-type]  # no class weights to count

    def step() -> float:
        features, frames = features_of(network, batch)
        optimiser.zero_grad()
        value = loss_of(loss, network(features, frames), batch.targets)
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return value.item()

    return step


def inference(device: torch.device, rounds: int, clips: int = 100) -> None:
    """Clips per second of SMALL's DNN and RNN (SMALL §5: 2,500 against 500 on a GTX 1080)."""
    x = torch.randn(clips, 1, FRAMES, 512, device=device)
    recipes = ("small/mil-dnn-embed", "small/mil-rnn-embed")
    dnn, rnn = (
        build_network(architecture_of(read_recipe(name), 17)).to(device).eval() for name in recipes
    )
    sides: dict[str, Work] = {"dnn": lambda: dnn(x), "rnn": lambda: rnn(x)}
    with torch.inference_mode():
        found = medians_in_turn(sides, rounds, clock_of(device))
    print(
        f"SMALL            {clips / found['dnn']:9.0f} clips/s DNN, {clips / found['rnn']:.0f} "
        f"clips/s RNN   (DNN {found['rnn'] / found['dnn']:.1f} x as fast)"
    )


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--clips", type=int, default=20_000, help="in the store")
    options.add_argument("--batch", type=int, default=500)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args(words)
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "one CPU thread"
    print(f"{name}; medians of {chosen.rounds} rounds in turn")
    with tempfile.TemporaryDirectory() as folder:
        store = pack(Path(folder) / "store", chosen.clips)
        seconds = batches(store, chosen.batch, chosen.rounds)
        training_steps(store, device, chosen.batch, chosen.rounds, seconds)
    inference(device, chosen.rounds)


if __name__ == "__main__":
    run_main(main)

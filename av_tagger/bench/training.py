"""Training, measured: a step of crnn-av in fp32 against bf16, and crnn-av against crnn-modern on a small set of tones.

python -m av_tagger.bench.training [--batch 16] [--rounds 4] [--epochs 24] [--device cpu]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio.network import build_network
from av_tagger.clip import Clip
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.data.bags import WaveformBags, waveform_bags
from av_tagger.learning.data.balance import generator
from av_tagger.learning.data.manifests import Example, ExampleSet
from av_tagger.learning.data.store import StoreSettings, build_store
from av_tagger.learning.distributed import Precision
from av_tagger.learning.learner import architecture_of, loss_of, make_loss
from av_tagger.learning.optimise import clip_gradients, make_optimiser
from av_tagger.learning.recipe import read_recipe
from av_tagger.learning.run import Data, Options
from av_tagger.learning.train import train
from av_tagger.networks import quick_memory

RATE, SECONDS = 8_000, 2.0
TONES = (300, 500, 800, 1_300, 2_100)  # Hz
SMALL = (
    "architecture.frontend.rate=8000",
    "architecture.frontend.window=192",
    "architecture.frontend.hop=40",
    "architecture.frontend.fft=256",
    "architecture.frontend.mels=32",
    "architecture.extractor_settings.channels=[16, 32]",
    "architecture.extractor_settings.pools=[[5, 4], [4, 8]]",
    "architecture.extractor_settings.units=16",
    "crop_seconds=2.0",
    "batch=16",
    "schedule.patience=3",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--batch", type=int, default=16, help="clips of 10 s a step (95 needs several GB)"
    )
    parser.add_argument("--rounds", type=int, default=4, help="A B A B ...")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    quick_memory()  # as training on a CPU does
    measure_steps(arguments.batch, arguments.rounds, arguments.device)
    compare_recipes(arguments.epochs, arguments.device)


def measure_steps(batch: int, rounds: int, device: str) -> None:
    """Milliseconds a clip of one training step, forward, backward and update, on clips of 10 s."""
    times: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    steps = {dtype: _Step(batch, dtype, device) for dtype in times}
    for step in steps.values():
        step()  # warm-up
    for _ in range(rounds):
        for dtype, step in steps.items():
            times[dtype].append(step() * 1000 / batch)
    medians = {dtype: statistics.median(found) for dtype, found in times.items()}
    for dtype, median in medians.items():
        print(
            f"crnn-av step, batch {batch}, channels_last, {str(dtype).removeprefix('torch.'):9s}: {median:7.1f} ms of {device} a clip"
        )
    print(f"fp32 / bf16: {medians[torch.float32] / medians[torch.bfloat16]:.2f}")


class _Step:
    """A training step of crnn-av that can be taken again and again; says how many seconds of computing it took."""

    def __init__(self, batch: int, dtype: torch.dtype, device: str) -> None:
        self.recipe, self.dtype, self.device = read_recipe("crnn-av"), dtype, device
        self.network = build_network(architecture_of(self.recipe, 17)).to(device).train()
        self.optimiser = make_optimiser(self.network.parameters(), self.recipe.optimiser)
        self.waves = (0.1 * torch.randn(batch, 200_000)).to(device)
        self.targets = (torch.rand(batch, 17) < 0.1).float().to(device)
        self.loss = make_loss(self.recipe.loss, _tones([("300",)], 0, Path(tempfile.mkdtemp())))

    def __call__(self) -> float:
        begun = self._profiler()
        with torch.no_grad():
            features = self.network.features(self.waves)
        with torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32):
            heard = self.network(features)
        loss = loss_of(self.loss, heard, self.targets)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_gradients(self.network.parameters(), self.recipe.optimiser)
        self.optimiser.step()
        return self._profiler() - begun

    def _profiler(self) -> float:
        """The processor's own time on a CPU, which neighbours do not lengthen much; the wall's on a GPU."""
        if self.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()


def compare_recipes(epochs: int, device: str) -> None:
    """Micro-F1 on clips that were not learnt from: thresholds from the validation half, figures from the other."""
    folder = Path(tempfile.mkdtemp())
    training, validation, test = (
        _tones(_tunes(n, seed), seed, folder) for n, seed in ((128, 1), (64, 2), (64, 3))
    )
    data = Data(training, validation)
    cases: list[tuple[str, Precision, tuple[str, ...]]] = [
        ("crnn-av", "float32", ()),
        ("crnn-av", "float32", ("optimiser.clip=1.0",)),
        ("crnn-modern", "float32", ("schedule.warmup_steps=10", "keep.ema=0.95")),
        ("crnn-modern", "bfloat16", ("schedule.warmup_steps=10", "keep.ema=0.95")),
    ]
    for i, (name, precision, changes) in enumerate(cases):
        recipe = read_recipe(
            name, [*SMALL, f"length.epochs={epochs}", "length.patience=0", *changes]
        )
        outcome = train(
            recipe, data, folder / f"run-{i}", Options(device=device, precision=precision)
        )
        f1, ap = _tested(outcome.best, test, outcome.validation.thresholds)
        case = f"{name:12s} {precision:9s} {' '.join(changes):45s}"
        print(
            f"{case} after {outcome.steps} steps: micro-F1 {f1:.3f}  mAP {ap:.3f} on the test half"
        )


def _tested(weights: Path, test: WaveformBags, thresholds: Sequence[float]) -> tuple[float, float]:
    from av_tagger.audio.branch import load_ear
    from av_tagger.clip import Waveform
    from av_tagger.learning.validation import average_precision

    ear = load_ear(str(weights), "cpu")
    waves = test.fetch(np.arange(len(test)), None)[0]
    scores = np.stack(
        [heard.probabilities for heard in ear.hear([Waveform(wave, RATE) for wave in waves])]
    )
    truth, said = test.targets > 0.5, scores >= np.array(thresholds)
    right = int((said & truth).sum())
    precisions = [average_precision(scores[:, k], truth[:, k]) or 0.0 for k in range(len(TONES))]
    return 2 * right / max(1, int(said.sum()) + int(truth.sum())), float(np.mean(precisions))


def _tunes(count: int, seed: int) -> list[tuple[str, ...]]:
    """None to three tones a clip."""
    draw = generator(seed, 1)
    names = [str(tone) for tone in TONES]
    return [
        tuple(map(str, draw.choice(names, draw.integers(0, 4), replace=False)))
        for _ in range(count)
    ]


def _tones(labels: Sequence[tuple[str, ...]], seed: int, folder: Path) -> WaveformBags:
    """Short, wavering tones of any loudness in noise."""
    examples = tuple(Example(Clip(folder / f"{seed}-{i}"), names) for i, names in enumerate(labels))
    rows = {e.clip.path: _sound(e.labels, generator(seed, 2, i)) for i, e in enumerate(examples)}

    def decode(clip: Clip, rate: int, longest: float) -> NDArray[np.int16]:  # noqa: ARG001
        return np.rint(np.clip(rows[clip.path], -1, 1) * 32_767).astype(np.int16)

    store = build_store(
        [e.clip for e in examples], folder / "store", StoreSettings(rate=RATE), decode=decode
    )
    classes = ClassList(tuple(SoundClass(str(tone)) for tone in TONES))
    return waveform_bags(ExampleSet(classes, examples), store, SECONDS)


def _sound(names: Sequence[str], draw: np.random.Generator) -> NDArray[np.float64]:
    wave = 0.05 * draw.standard_normal(round(SECONDS * RATE))
    for name in names:
        n = int(draw.uniform(0.2, 0.5) * RATE)
        start, time_axis = int(draw.integers(len(wave) - n)), np.arange(n) / RATE
        bend = 0.05 * np.sin(2 * np.pi * draw.uniform(2, 6) * time_axis)
        wave[start : start + n] += draw.uniform(0.05, 0.3) * np.sin(
            2 * np.pi * float(name) * (time_axis + bend / 10)
        )
    return wave


if __name__ == "__main__":
    main()

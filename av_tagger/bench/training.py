"""Training: one step of crnn-av in float32 and bfloat16, and recipes compared on tones.

python -m av_tagger.bench.training [--batch 16] [--rounds 4] [--epochs 24] [--device cpu]
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio.network import build_network
from av_tagger.bench.measure import medians_in_turn, parser, run_main
from av_tagger.clip import Clip
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.data.bags import WaveformBags, waveform_bags
from av_tagger.learning.data.balance import generator
from av_tagger.learning.data.examples import Example, ExampleSet
from av_tagger.learning.data.store import StoreSettings, build_store
from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.learner import architecture_of, loss_of, make_loss
from av_tagger.learning.optimise import clip_gradients, make_optimiser
from av_tagger.learning.recipe import read_recipe
from av_tagger.learning.run import TrainingOptions
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


def measure_steps(batch: int, rounds: int, device: str) -> None:
    """Milliseconds per 10-s clip of one training step: forward, backward and update."""
    steps = {
        str(dtype).removeprefix("torch."): _Step(batch, dtype, device)
        for dtype in (torch.float32, torch.bfloat16)
    }
    clock = time.process_time if device == "cpu" else _finished
    medians = medians_in_turn(steps, rounds, clock)
    for dtype, seconds in medians.items():
        each = 1000 * seconds / batch
        print(f"crnn-av step, batch {batch}, channels_last, {dtype:9s}: {each:7.1f} ms per clip")
    print(f"float32 / bfloat16: {medians['float32'] / medians['bfloat16']:.2f}")


def _finished() -> float:
    """Wall time after all work of the GPU is done."""
    torch.cuda.synchronize()
    return time.perf_counter()


class _Step:
    """A repeatable training step of crnn-av on random clips."""

    def __init__(self, batch: int, dtype: torch.dtype, device: str) -> None:
        self.recipe, self.dtype, self.device = read_recipe("crnn-av"), dtype, device
        self.network = build_network(architecture_of(self.recipe, 17)).to(device).train()
        self.optimiser = make_optimiser(self.network.parameters(), self.recipe.optimiser)
        self.waves = (0.1 * torch.randn(batch, 200_000)).to(device)
        self.targets = (torch.rand(batch, 17) < 0.1).float().to(device)
        with tempfile.TemporaryDirectory() as folder:
            self.loss = make_loss(self.recipe.loss, _tones([("300",)], 0, Path(folder)))

    def __call__(self) -> None:
        with torch.no_grad():
            features = self.network.features(self.waves)
        with torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32):
            heard = self.network(features)
        loss = loss_of(self.loss, heard, self.targets)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_gradients(self.network.parameters(), self.recipe.optimiser)
        self.optimiser.step()


CASES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("crnn-av", "float32", ()),
    ("crnn-av", "float32", ("optimiser.clip=1.0",)),
    ("crnn-modern", "float32", ("schedule.warmup_steps=10", "keep.ema=0.95")),
    ("crnn-modern", "bfloat16", ("schedule.warmup_steps=10", "keep.ema=0.95")),
)


def compare_recipes(epochs: int, device: str, clips: int) -> None:
    """Micro-F1 and mAP on test clips, with the thresholds of the validation clips."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        training, validation, test = (
            _tones(_random_labels(n, seed), seed, folder)
            for n, seed in ((clips, 1), (clips // 2, 2), (clips // 2, 3))
        )
        data = TrainingData(training, validation)
        for i, (name, precision, changes) in enumerate(CASES):
            length = (f"length.epochs={epochs}", "length.patience=0")
            recipe = read_recipe(name, [*SMALL, *length, *changes])
            options = TrainingOptions(device=device, precision=precision)
            outcome = train(recipe, data, folder / f"run-{i}", options)
            f1, ap = _tested(outcome.best, test, outcome.validation.thresholds)
            case = f"{name:12s} {precision:9s} {' '.join(changes):45s}"
            print(
                f"{case} after {outcome.steps} steps: micro-F1 {f1:.3f}  mAP {ap:.3f} on test clips"
            )


def _tested(weights: Path, test: WaveformBags, thresholds: Sequence[float]) -> tuple[float, float]:
    from av_tagger.audio.ears import load_ear
    from av_tagger.clip import Waveform
    from av_tagger.metrics import Counts, mean_average_precision

    ear = load_ear(str(weights), "cpu")
    waves = test.fetch(np.arange(len(test)), None)[0]
    scores = np.stack(
        [heard.probabilities for heard in ear.hear([Waveform(wave, RATE) for wave in waves])]
    )
    truth, said = test.targets > 0.5, scores >= np.array(thresholds)
    return Counts.of(said, truth).f1, mean_average_precision(scores, truth)


def _random_labels(count: int, seed: int) -> list[tuple[str, ...]]:
    """None to three tones per clip."""
    draw = generator(seed, 1)
    names = [str(tone) for tone in TONES]
    return [
        tuple(map(str, draw.choice(names, draw.integers(0, 4), replace=False)))
        for _ in range(count)
    ]


def _tones(labels: Sequence[tuple[str, ...]], seed: int, folder: Path) -> WaveformBags:
    """Clips of short, frequency-modulated tones of random level in noise."""
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


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--batch", type=int, default=16, help="10-s clips; 95 need several GB")
    options.add_argument("--rounds", type=int, default=4)
    options.add_argument("--epochs", type=int, default=24)
    options.add_argument("--clips", type=int, default=128, help="of tones to train on")
    options.add_argument("--device", default="cpu")
    chosen = options.parse_args(words)
    torch.set_num_threads(1)
    quick_memory()  # as training on a CPU does
    measure_steps(chosen.batch, chosen.rounds, chosen.device)
    compare_recipes(chosen.epochs, chosen.device, chosen.clips)


if __name__ == "__main__":
    run_main(main)

"""Clips per second, parameters and peak memory of each ear, measured in turn.

    python -m av_tagger.bench.ears [--clips 8] [--rounds 5] [--threads N] [--only NAME ...]

Weights that are not here are random: speed does not depend on them, and only speed is measured.
Parameters are counted after batch normalisation is folded into the convolutions. CNN14 is the
structure of PANNs (Kong et al. 2020), rebuilt here for comparison only.
"""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from multiprocessing.queues import SimpleQueue
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from av_tagger.audio.branch import MilEar
from av_tagger.audio.known.ear import KnownEar
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.families import EFFICIENTAT, YAMNET, Family
from av_tagger.audio.known.files import Network
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.bench.measure import Work, in_turn, parser, peak_mebibytes, run_main
from av_tagger.bench.random_networks import random_ear
from av_tagger.clip import Waveform
from av_tagger.protocols import AudioBranch

REFERENCE = "mn04"


class Cnn14(nn.Module):
    """Six blocks of two 3 x 3 convolutions on 64 mel bands, 100 frames per second, 527 classes."""

    width = 2048

    def __init__(self) -> None:
        super().__init__()
        channels = (1, 64, 128, 256, 512, 1024, 2048)
        self.blocks = nn.ModuleList(self._block(a, b) for a, b in pairwise(channels))
        self.dense, self.out = nn.Linear(2048, 2048), nn.Linear(2048, 527)
        self.register_buffer("window", torch.hann_window(1024))
        self.register_buffer("mel", torch.rand(64, 513))

    @staticmethod
    def _block(before: int, after: int) -> nn.Sequential:
        def convolution(inputs: int) -> list[nn.Module]:
            layer = nn.Conv2d(inputs, after, 3, padding=1, bias=False)
            return [layer, nn.BatchNorm2d(after), nn.ReLU()]

        return nn.Sequential(*convolution(before), *convolution(after))

    def embed(self, waveforms: Tensor) -> Tensor:
        window, mel = cast("Tensor", self.window), cast("Tensor", self.mel)
        spectrum = torch.stft(waveforms, 1024, 320, window=window, return_complex=True)
        x = (mel @ spectrum.abs().square() + 1e-10).log().unsqueeze(1).transpose(2, 3)
        for i, block in enumerate(self.blocks):  # x: (B, C, T, mels)
            x = block(x)
            x = nn.functional.avg_pool2d(x, 2) if i < 5 else x
        return x.mean(dim=3).transpose(1, 2)

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        frames = self.out(self.dense(self.embed(waveforms)).relu()).sigmoid()
        return frames.amax(dim=1), frames


def starter() -> AudioBranch:
    """The shipped ear, or the paper's CRNN with random weights where the file is missing."""
    from av_tagger import weights
    from av_tagger.audio.ears import load_ear

    return load_ear("starter", "cpu") if weights.locate("crnn.starter") else random_ear()


def known(name: str, family: Family, network: nn.Module) -> KnownEar:
    return KnownEar(name, family, cast("Network", network), "cpu")


EARS: dict[str, Callable[[], AudioBranch]] = {
    "starter": starter,
    "crnn of the paper": random_ear,
    "mn04": lambda: known("mn04", EFFICIENTAT, EfficientAT(0.4)),
    "mn10": lambda: known("mn10", EFFICIENTAT, EfficientAT(1.0)),
    "yamnet": lambda: known("yamnet", YAMNET, YAMNet()),
    "cnn14 (structure)": lambda: known("cnn14", EFFICIENTAT, Cnn14()),
}


def waveforms(ear: AudioBranch, clips: int, seconds: float) -> list[Waveform]:
    """Noise at the rate of the ear."""
    draw = np.random.default_rng(0)
    shape = (clips, round(seconds * ear.rate))
    return [Waveform(row, ear.rate) for row in (0.1 * draw.standard_normal(shape, np.float32))]


def _peak_of(name: str, clips: int, seconds: float, answer: SimpleQueue[float]) -> None:
    ear = EARS[name]()
    ear.hear(waveforms(ear, clips, seconds))
    answer.put(peak_mebibytes())


def peak_of(name: str, clips: int, seconds: float) -> float:
    """Peak memory (MiB) of a new process that loads only this ear."""
    context = multiprocessing.get_context("spawn")
    answer: SimpleQueue[float] = context.SimpleQueue()
    process = context.Process(target=_peak_of, args=(name, clips, seconds, answer))
    process.start()
    found = answer.get()
    process.join()
    return found


def parameters(ear: AudioBranch) -> int:
    network = cast("nn.Module", cast("MilEar | KnownEar", ear).network)
    return sum(p.numel() for p in network.parameters())


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--clips", type=int, default=8, help="per call")
    options.add_argument("--seconds", type=float, default=10.0, help="per clip")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--only", nargs="+", choices=EARS, default=list(EARS))
    chosen = options.parse_args(words)
    torch.set_num_threads(chosen.threads)
    ears = {name: EARS[name]() for name in chosen.only}
    sides: dict[str, Work] = {
        name: partial(ear.hear, waveforms(ear, chosen.clips, chosen.seconds))
        for name, ear in ears.items()
    }
    times = {name: statistics.median(t) for name, t in in_turn(sides, chosen.rounds).items()}
    print(
        f"{chosen.clips} clips of {chosen.seconds:g} s per call, {chosen.threads} thread(s), "
        f"median of {chosen.rounds} rounds in turn"
    )
    reference = times.get(REFERENCE, next(iter(times.values())))
    against = f"against {REFERENCE if REFERENCE in times else next(iter(times))}"
    print(
        f"{'ear':20s} {'clips per CPU s':>16s} {against:>14s} {'parameters':>12s} {'peak MiB':>9s}"
    )
    for name, spent in times.items():
        peak = peak_of(name, chosen.clips, chosen.seconds)
        print(
            f"{name:20s} {chosen.clips / spent:16.1f} {reference / spent:13.2f}x "
            f"{parameters(ears[name]):12,d} {peak:9.0f}"
        )


if __name__ == "__main__":
    run_main(main)

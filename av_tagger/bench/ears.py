"""Clips a second, parameters and memory of each ear on this machine, measured turn by turn in one run.

    python -m av_tagger.bench.ears [--clips 8] [--rounds 5] [--threads N]

Weights that are not here are drawn at random: speed does not depend on them, and nothing else is measured.
"Folded" counts parameters after batch normalisation has become a part of the convolutions.
CNN14 is the structure of PANNs (Kong et al. 2020), rebuilt here only to be compared with.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from av_tagger.audio.branch import MilEar
from av_tagger.audio.checkpoint import Header
from av_tagger.audio.known.ear import KINDS, Kind, KnownEar
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.files import Network
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.network import EarArchitecture, build_network
from av_tagger.clip import Waveform
from av_tagger.labels import dcase2017
from av_tagger.protocols import AudioBranch

SECONDS = 10


class Cnn14(nn.Module):
    """Six blocks of two 3 x 3 convolutions on 64 mel bands, 100 frames a second, 2048 features, 527 classes."""

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
        layers = [
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
        return nn.Sequential(
            *layers,
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        )

    def embed(self, waveforms: Tensor) -> Tensor:
        spectrum = (
            torch.stft(
                waveforms, 1024, 320, window=cast("Tensor", self.window), return_complex=True
            )
            .abs()
            .square()
        )
        x = (
            (cast("Tensor", self.mel) @ spectrum + 1e-10).log().unsqueeze(1).transpose(2, 3)
        )  # (B, 1, T, 64)
        for i, block in enumerate(self.blocks):
            x = block(x)
            x = nn.functional.avg_pool2d(x, 2) if i < 5 else x
        return x.mean(dim=3).transpose(1, 2)

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        frames = self.out(self.dense(self.embed(waveforms)).relu()).sigmoid()
        return frames.amax(dim=1), frames


def crnn() -> MilEar:
    architecture = EarArchitecture(17, margin=5)
    return MilEar(
        build_network(architecture), Header("crnn", architecture, dcase2017().labels), "cpu"
    )


def starter() -> AudioBranch:
    """The shipped ear, or its usual structure where it is not here."""
    from av_tagger import weights
    from av_tagger.audio.branch import load_ear

    return load_ear("starter", "cpu") if weights.locate("crnn.starter") else crnn()


def known(name: str, kind: str, network: nn.Module) -> KnownEar:
    return KnownEar(name, KINDS[kind], cast("Network", network), "cpu")


def cnn14() -> KnownEar:
    kind = Kind(32_000, 3.125, KINDS["efficientat"].labels, 10 * 32_000, 16 * 320)
    return KnownEar("cnn14", kind, cast("Network", Cnn14()), "cpu")


EARS: dict[str, Callable[[], AudioBranch]] = {
    "starter": starter,
    "crnn of the paper": crnn,
    "mn04": lambda: known("mn04", "efficientat", EfficientAT(0.4)),
    "mn10": lambda: known("mn10", "efficientat", EfficientAT(1.0)),
    "yamnet": lambda: known("yamnet", "yamnet", YAMNet()),
    "cnn14 (structure)": cnn14,
}


def waveforms(ear: AudioBranch, clips: int) -> list[Waveform]:
    draw = np.random.default_rng(0)
    return [
        Waveform((draw.standard_normal(SECONDS * ear.rate) * 0.1).astype(np.float32), ear.rate)
        for _ in range(clips)
    ]


def seconds(ear: AudioBranch, clips: Sequence[Waveform]) -> float:
    """CPU seconds: a busy machine stretches the wall clock, not these."""
    began = time.process_time()
    ear.hear(clips)
    return time.process_time() - began


def _memory(name: str, clips: int, answer: SimpleQueue[float]) -> None:
    ear = EARS[name]()
    ear.hear(waveforms(ear, clips))
    answer.put(_own_peak())


def _own_peak() -> float:
    """Megabytes; not `ru_maxrss` where there is better, since that begins with the parent's."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def peak_megabytes(name: str, clips: int) -> float:
    """Of a fresh process that loads this ear alone."""
    context = multiprocessing.get_context("spawn")
    answer: SimpleQueue[float] = context.SimpleQueue()
    process = context.Process(target=_memory, args=(name, clips, answer))
    process.start()
    megabytes = answer.get()
    process.join()
    return megabytes


def parameters(ear: AudioBranch) -> int:
    network = cast("nn.Module", cast("MilEar | KnownEar", ear).network)
    return sum(p.numel() for p in network.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    ears = {name: make() for name, make in EARS.items()}
    clips = {name: waveforms(ear, arguments.clips) for name, ear in ears.items()}
    times: dict[str, list[float]] = {name: [] for name in ears}
    for turn in range(arguments.rounds + 1):  # the first round warms up
        for name, ear in ears.items():
            spent = seconds(ear, clips[name])
            times[name] += [spent] if turn else []
    print(
        f"{arguments.clips} clips of {SECONDS} s a call, {arguments.threads} thread(s), median of {arguments.rounds} rounds in turn"
    )
    print(
        f"{'ear':20s} {'clips a CPU second':>20s} {'against mn04':>13s} {'folded':>12s} {'peak memory':>12s}"
    )
    reference = statistics.median(times["mn04"])
    for name, ear in ears.items():
        spent = statistics.median(times[name])
        megabytes = peak_megabytes(name, arguments.clips)
        print(
            f"{name:20s} {arguments.clips / spent:20.1f} {reference / spent:12.2f}x {parameters(ear):12,d} {megabytes:9.0f} MB"
        )


if __name__ == "__main__":
    main()

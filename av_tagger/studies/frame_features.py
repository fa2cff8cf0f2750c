"""Which frame features stand in for AlexNet's conv5: coverage of real films, and cost.

    python -m av_tagger.studies.frame_features FILMS --alexnet FILE [--films 35] [--sides 64,128]

FILE holds the convolutions of the grouped AlexNet. Of each film the first window is taken. `excess`
is how much worse four key frames cover all frames than the best four do, in distances of AlexNet's
conv5; `ms` is CPU time per frame for preparing it and for the network.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.clip import Clip, Frames
from av_tagger.media import find_media, open_media
from av_tagger.protocols import DecodeRequest
from av_tagger.video.branch import EyeSettings
from av_tagger.video.distances import distances
from av_tagger.video.early import early_features
from av_tagger.video.efficientnet import read_lite2
from av_tagger.video.eye_source import DAY_ONE
from av_tagger.video.eyes import load_features, network_source
from av_tagger.video.features import Compute, NetworkFeatures
from av_tagger.video.keyframes import representatives

COUNT = 4  # key frames
SHORT_SIDE = 292
REFERENCE, UNIFORM = "alexnet", "evenly in time"
BLOCKS = (2, 3, 4, 5, 7)
SIDES = (64, 96, 128, 192, 260)


@dataclass
class FeatureCoverage:
    """Of one kind of features, film by film."""

    excess: list[float] = field(default_factory=list)
    seconds: float = 0.0
    frames: int = 0

    def line(self, name: str) -> str:
        excess = 100 * np.array(self.excess)
        cost = 1000 * self.seconds / max(1, self.frames)
        return f"{name:36s} {excess.mean():7.2f} % {excess.max():7.1f} % {cost:8.2f} ms"


def candidates(alexnet: Path, sides: Sequence[int]) -> dict[str, NetworkFeatures]:
    """By name; the reference first."""
    plain = Compute()
    settings = EyeSettings(network="alexnet_grouped", network_weights=alexnet)
    found = {REFERENCE: load_features(settings, plain)}
    file = network_source(EyeSettings(network=DAY_ONE)).file
    assert file is not None
    network = read_lite2(file.here())
    for side in sides:
        for blocks in BLOCKS:
            features = early_features(network, plain, blocks, side)
            found[features.name] = features
    found["thumbnail"] = load_features(EyeSettings(network="thumbnail"), plain)
    return found


def films(folder: Path, most: int) -> Iterator[Frames]:
    """The first windows of the films, where they have more frames than key frames."""
    request = DecodeRequest(audio_rate=None, short_side=SHORT_SIDE)
    for path in find_media([str(folder)])[:most]:
        media = next(iter(open_media(Clip(path), request)), None)
        if media is not None and media.frames is not None and len(media.frames) > COUNT:
            yield media.frames


def add(
    frames: Frames, features: Mapping[str, NetworkFeatures], found: dict[str, FeatureCoverage]
) -> None:
    """Adds a film to what is known of every kind of features."""
    matrices: dict[str, torch.Tensor] = {}
    for name, one in features.items():
        began = time.process_time()
        described = one.describe([frames])
        coverage = found.setdefault(name, FeatureCoverage())
        coverage.seconds += time.process_time() - began
        coverage.frames += len(frames)
        matrices[name] = distances(described)[0]
    reference = matrices[REFERENCE].numpy()
    chosen = {name: representatives(D, COUNT, fill=False).rows for name, D in matrices.items()}
    chosen[UNIFORM] = representatives(reference, COUNT, solver="uniform", fill=False).rows
    best = cost(reference, chosen[REFERENCE])
    for name, rows in chosen.items():
        excess = cost(reference, rows) / best - 1 if best > 0 else 0.0
        found.setdefault(name, FeatureCoverage()).excess.append(excess)


def cost(D: NDArray[np.float32], rows: NDArray[np.int64]) -> float:
    return float(D[rows].min(axis=0).sum())


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--alexnet", type=Path, required=True)
    parser.add_argument("--films", type=int, default=1000, help="at most so many")
    parser.add_argument("--sides", default=",".join(map(str, SIDES)), help="pixels, by commas")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    features = candidates(arguments.alexnet, [int(side) for side in arguments.sides.split(",")])
    found: dict[str, FeatureCoverage] = {}
    for frames in films(arguments.folder, arguments.films):
        add(frames, features, found)
    print(f"{'features':36s} {'excess':>9s} {'worst':>9s} {'cost':>11s}")
    for name in sorted(found, key=lambda name: float(np.mean(found[name].excess))):
        print(found[name].line(name))


if __name__ == "__main__":
    main()

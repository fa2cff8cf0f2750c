"""Speed of the eye: frame features against a matrix product, the whole eye against a plain one.

    python -m av_tagger.bench.eye [--frames 240] [--rounds 3] [--threads 1]

All weights are random: this measures speed alone. The sides take turns (A B A B); each time is CPU
time of one process, and medians are printed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from av_tagger.bench import naive
from av_tagger.bench.clips import film
from av_tagger.bench.measure import Work, medians_in_turn, parser, run_main, seconds_of
from av_tagger.bench.random_networks import (
    ALEXNET_FLOP,
    alexnet_features,
    matmul_rate,
    random_eye,
)
from av_tagger.clip import Frames
from av_tagger.video.features import CPU_BATCH, Compute
from av_tagger.video.precision import choose, has_int8
from av_tagger.video.quantised import works

CPU = torch.device("cpu")


def kinds() -> list[torch.dtype]:
    """The number formats that this CPU can use for frame features, fastest first."""
    int8 = [torch.int8] if has_int8(CPU) and works() else []
    return list(dict.fromkeys([*int8, choose("auto", CPU), torch.float32]))


def measure_features(clip: Frames, rounds: int, n: int) -> None:
    """Frames per second in every number format, and the share of the matrix product's rate."""
    for kind in kinds():
        int8 = kind == torch.int8
        how = Compute(CPU_BATCH, CPU, torch.float32 if int8 else kind, int8)
        features = alexnet_features(how)
        features.describe([clip])
        rates, ratios = [], []
        for _ in range(rounds):
            limit = matmul_rate(kind, n)
            rates.append(len(clip) / seconds_of(lambda f=features: f.describe([clip])))  # type: ignore[misc]
            ratios.append(rates[-1] * ALEXNET_FLOP / limit)
        print(
            f"{kind}: {np.median(rates):.0f} frames per CPU second, {np.median(ratios):.0%} of the "
            f"rate of a matrix product ({limit / 1e9:.0f} billion operations per second)"
        )


def measure_whole(clip: Frames, rounds: int, recogniser: str) -> None:
    """The whole eye against the plain implementation, then its two networks alone."""
    eye = random_eye(Compute(CPU_BATCH, CPU, choose("auto", CPU)), recogniser)
    plain = naive.build(recogniser)
    sides: dict[str, Work] = {
        "naive": lambda: plain.see(list(clip.images)),
        "ours": lambda: eye.see([clip]),
    }
    found = medians_in_turn(sides, rounds)
    print(
        f"whole eye, {len(clip)} frames: naive {found['naive']:.2f} s, ours {found['ours']:.2f} s, "
        f"{found['naive'] / found['ours']:.1f} x"
    )
    network = eye.parts.recogniser
    assert network is not None
    parts: dict[str, Work] = {
        "features": lambda: eye.parts.features.describe([clip]),
        "recognise": lambda: network.recognise(list(clip.images[:4])),
    }
    times = medians_in_turn(parts, rounds)
    print("parts: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in times.items()))


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--frames", type=int, default=240)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--recogniser", default="inception_v4", help="a network of timm")
    options.add_argument("--matrix", type=int, default=2048, help="size of the matrix product")
    chosen = options.parse_args(words)
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    print("random weights: speed alone")
    clip = film(chosen.frames)
    measure_features(clip, chosen.rounds, chosen.matrix)
    measure_whole(clip, chosen.rounds, chosen.recogniser)


if __name__ == "__main__":
    run_main(main)

"""How fast the eye is: frame features against the machine's own matmul, the whole eye against the paper's steps done one by one.

    python -m av_tagger.bench.eye [--frames 240] [--rounds 3] [--threads 1]

All weights are drawn at random: this measures speed alone, and says nothing of what is recognised. Both sides run in turn (A B A B),
each time is processor time of one process, and the median is printed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from av_tagger.clip import Frames, Images
from av_tagger.labels import dcase2017
from av_tagger.video.alexnet import ARCHITECTURES, IMAGENET_MEAN, IMAGENET_STD
from av_tagger.video.assign import rectify, summarise
from av_tagger.video.branch import EyeParts, EyeSettings, SparseEye
from av_tagger.video.features import CPU_BATCH, Compute, NetworkFeatures
from av_tagger.video.folded import Folded
from av_tagger.video.keyframes import representatives, selector
from av_tagger.video.precision import choose, has_int8
from av_tagger.video.quantised import Quantised, works
from av_tagger.video.recognise import Classifier, NetworkRecogniser, build_classifier

ALEXNET_FLOP = 2 * (
    64 * 363 * 55**2 + 192 * 1600 * 27**2 + (384 * 1728 + 256 * 3456 + 256 * 2304) * 13**2
)  # a picture, conv1-5
Clock = Callable[[], float]


@dataclass
class Uniform:
    """A word space that finds everything equally near: what words cost at run time is nothing, their table is made at load."""

    name: str = "uniform"

    def similarity(self, objects: Sequence[str], sounds: Sequence[str]) -> NDArray[np.float32]:
        return np.full((len(objects), len(sounds)), 0.5, dtype=np.float32)


def film(frames: int, height: int = 342, width: int = 608) -> Frames:
    """A few scenes with slow motion in them: 360p material as the decoder hands it over."""
    from PIL import Image

    random = np.random.default_rng(1)
    scenes = random.integers(0, 256, (4, 24, 44, 3), dtype=np.uint8)
    big = [
        np.asarray(Image.fromarray(s).resize((width + frames, height), Image.Resampling.BICUBIC))
        for s in scenes
    ]
    images = [big[i * 4 // frames][:, i : i + width] for i in range(frames)]
    noise = random.integers(0, 5, (frames, height, width, 1), dtype=np.uint8)
    return Frames(np.stack(images) // 2 + noise, np.arange(frames) / 24)


def alexnet() -> nn.Sequential:
    return ARCHITECTURES["alexnet"].up_to("conv5", ARCHITECTURES["alexnet"].build().state_dict())


def ours(classifier: Classifier, how: Compute) -> SparseEye:
    geometry = ARCHITECTURES["alexnet"].geometry
    folded = Folded(alexnet(), geometry)
    kind = replace(how, dtype=torch.float32) if how.int8 else how
    features = NetworkFeatures("alexnet", Quantised(folded) if how.int8 else folded, geometry, kind)
    recogniser = NetworkRecogniser("inception_v4", classifier, how)
    return SparseEye(
        EyeParts(features, selector("sparse"), recogniser, Uniform()), dcase2017(), EyeSettings()
    )


def naive(clip: Frames, network: nn.Sequential, classifier: Classifier) -> NDArray[np.float64]:
    """The paper's steps, one picture at a time in fp32, distances by pdist, key frames by cvxpy."""
    from PIL import Image
    from scipy.spatial.distance import pdist, squareform

    with torch.no_grad():
        features = [network(_as_the_paper(image)).flatten().numpy() for image in clip.images]
        distances = squareform(pdist(np.stack(features)))
        chosen = representatives(distances, 4, solver="cvxpy")
        seen = [
            classifier.network(classifier.transform(Image.fromarray(clip.images[row]))[None])
            .softmax(1)
            .numpy()
            for row in chosen.rows
        ]
    return summarise(rectify(np.concatenate(seen)))


def _as_the_paper(image: Images) -> torch.Tensor:
    from PIL import Image
    from torchvision.transforms import functional as T

    picture = T.center_crop(T.resize(Image.fromarray(image), [256]), [224])
    x: torch.Tensor = T.normalize(T.to_tensor(picture), list(IMAGENET_MEAN), list(IMAGENET_STD))[
        None
    ]
    return x


def matmul_rate(kind: torch.dtype, n: int = 2048) -> float:
    """Operations a second of a large square product, on one thread."""
    if kind == torch.int8:
        a = torch.randint(-127, 128, (n, n), dtype=torch.int8)
        product: Callable[[], object] = lambda: torch._int_mm(a, a)  # noqa: E731, SLF001 - no other name of it
    else:
        a = torch.randn(n, n).to(kind)
        product = lambda: a @ a  # noqa: E731
    return 2 * n**3 / min(timed(product, time.process_time) for _ in range(4))


def timed(work: Callable[[], object], clock: Clock) -> float:
    began = clock()
    work()
    return clock() - began


def in_turn(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median processor seconds of each side, A B A B after one warm-up each."""
    for work in sides.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            times[name].append(timed(work, time.process_time))
    return {name: float(np.median(t)) for name, t in times.items()}


def measure_features(clip: Frames, rounds: int) -> None:
    cpu, geometry = torch.device("cpu"), ARCHITECTURES["alexnet"].geometry
    for kind in dict.fromkeys(
        [*([torch.int8] if has_int8(cpu) and works() else []), choose("auto", cpu), torch.float32]
    ):
        folded = Folded(alexnet(), geometry)
        how = Compute(CPU_BATCH, cpu, torch.float32 if kind == torch.int8 else kind)
        describe = NetworkFeatures(
            "alexnet", Quantised(folded) if kind == torch.int8 else folded, geometry, how
        )
        describe.describe([clip])
        rates, ratios = [], []
        for _ in range(rounds):
            ceiling = matmul_rate(kind)
            rate = len(clip) / timed(lambda d=describe: d.describe([clip]), time.process_time)  # type: ignore[misc]
            rates.append(rate)
            ratios.append(rate * ALEXNET_FLOP / ceiling)
        share = f"{np.median(ratios):.0%} of the matmul rate ({ceiling / 1e9:.0f} billion operations a second)"
        print(f"{kind}: {np.median(rates):.0f} frames a second and thread, {share}")


def measure_whole(clip: Frames, rounds: int) -> None:
    how = Compute(CPU_BATCH, torch.device("cpu"), choose("auto", torch.device("cpu")))
    eye, plain, network = (
        ours(build_classifier("inception_v4"), how),
        build_classifier("inception_v4"),
        alexnet(),
    )
    plain.network.eval()
    found = in_turn(
        {"naive": lambda: naive(clip, network, plain), "ours": lambda: eye.see([clip])}, rounds
    )
    parts: dict[str, Callable[[], object]] = {
        "features": lambda: eye.parts.features.describe([clip]),
        "recognise": lambda: (
            eye.parts.recogniser and eye.parts.recogniser.recognise(list(clip.images[:4]))
        ),
    }
    times = f"naive {found['naive']:.2f} s, ours {found['ours']:.2f} s"
    print(f"whole eye, {len(clip)} frames: {times}, {found['naive'] / found['ours']:.1f} x")
    print(
        "of that "
        + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in in_turn(parts, rounds).items())
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print("random weights: speed alone")
    clip = film(arguments.frames)
    measure_features(clip, arguments.rounds)
    measure_whole(clip, arguments.rounds)


if __name__ == "__main__":
    main()

"""Whether cheap features may choose the frames that the network looks at: key frames and cost.

    python -m av_tagger.bench.candidates FILMS [--network auto] [--network-weights FILE]
        [--cheap thumbnail] [--films 12]

For the first window of each film, the cheap features choose candidates that differ most (farthest
first), and only these get features of the network. Each candidate stands for the frames that are
nearest to it in the cheap features. `excess` is how much worse the four frames so chosen cover the
film than the best four of all frames.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.bench.measure import parser, run_main
from av_tagger.clip import Clip, Frames
from av_tagger.config import Config
from av_tagger.media import close_decoders, find_media, open_media
from av_tagger.plan import load
from av_tagger.protocols import DecodeRequest, FrameFeatures
from av_tagger.video.branch import EyeSettings, SparseEye
from av_tagger.video.distances import distances
from av_tagger.video.keyframes import representatives

SHARES = (0.125, 0.25, 0.5)  # of the frames that are candidates
FEWEST, KEYFRAMES = 16, 4
SIDE = 342  # pixels of the shorter side of decoded pictures

Matrix = NDArray[np.float64]


@dataclass
class CandidateShare:
    """What a share of candidates gave, film by film."""

    same: list[bool] = field(default_factory=list)
    excess: list[float] = field(default_factory=list)


def candidates(D: Matrix, count: int) -> NDArray[np.int64]:
    """Rows that differ most, each the farthest from those before, in ascending order."""
    chosen, near = [0], D[0]
    for _ in range(count - 1):
        chosen.append(int(near.argmax()))
        near = np.minimum(near, D[chosen[-1]])
    return np.unique(chosen)


def chosen_of(D: Matrix, cheap: Matrix, count: int) -> NDArray[np.int64]:
    """Key frames of `count` candidates, of whose distances in `D` alone they are the best."""
    rows = candidates(cheap, count)
    stands_for = rows[cheap[rows].argmin(axis=0)]  # for each frame its candidate
    found = representatives(D[np.ix_(stands_for, stands_for)], KEYFRAMES, fill=False)
    return np.unique(stands_for[found.rows])


def compare(D: Matrix, cheap: Matrix, found: dict[float, CandidateShare]) -> None:
    best = representatives(D, KEYFRAMES, fill=False)
    for share, comparison in found.items():
        rows = chosen_of(D, cheap, max(KEYFRAMES, round(share * len(D))))
        comparison.same.append(np.array_equal(rows, best.rows))
        cost = float(D[rows].min(axis=0).sum())
        comparison.excess.append(cost / best.objective - 1 if best.objective else 0.0)


def _features(settings: EyeSettings) -> FrameFeatures:
    eye = load(Config(eye=settings, only="eye", offline=True)).parts.eye
    assert isinstance(eye, SparseEye)
    return eye.parts.features


def _described(features: FrameFeatures, film: Frames) -> tuple[Matrix, float]:
    began = time.process_time()
    found = features.describe([film])
    seconds = time.process_time() - began
    return distances(found)[0].double().cpu().numpy(), seconds


def _first_window(path: Path) -> Frames | None:
    media = next(iter(open_media(Clip(path), DecodeRequest(None, SIDE))), None)
    frames = None if media is None else media.frames
    return None if frames is None or len(frames) < FEWEST else frames


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("folder", type=Path, help="of films")
    options.add_argument("--network", default="auto")
    options.add_argument("--network-weights", type=Path)
    options.add_argument("--cheap", default="thumbnail", help="the network of the cheap features")
    options.add_argument("--films", type=int, default=12)
    chosen = options.parse_args(words)
    network = _features(EyeSettings(chosen.network, network_weights=chosen.network_weights))
    cheap = _features(EyeSettings(chosen.cheap))
    found, costs = {share: CandidateShare() for share in SHARES}, np.zeros(2)
    paths = find_media([chosen.folder])[: chosen.films]
    for path in paths:
        film = _first_window(path)
        if film is None:
            continue
        (D, first), (small, second) = _described(network, film), _described(cheap, film)
        costs += (first, second)
        compare(D, small, found)
    close_decoders()
    count = len(found[SHARES[0]].same)
    if not count:
        print(f"no film with at least {FEWEST} frames")
        return
    print(
        f"CPU per film: {network.name} {1e3 * costs[0] / count:.0f} ms, "
        f"{cheap.name} {1e3 * costs[1] / count:.0f} ms"
    )
    for share, one in found.items():
        print(
            f"{share:.1%} of the frames: {sum(one.same)} of {count} the same key frames, "
            f"excess {np.mean(one.excess):.2%}, at most {np.max(one.excess):.2%}"
        )


if __name__ == "__main__":
    run_main(main)

"""Speed of tuning thresholds: sorting, two-step and exact search, on two sizes of data.

    python -m av_tagger.bench.thresholds [--sizes 1103x17 51172x527] [--rounds 7 3]

The sizes are those of the challenge's evaluation set and of AudioSet. The methods take turns;
medians and their ratio are printed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import numpy as np

from av_tagger.bench.measure import Work, in_turn, parser, run_main
from av_tagger.fusion.fit import FitSettings, FusionFitter
from av_tagger.fusion.joint import joint
from av_tagger.fusion.thresholds import Floats, all_cuts, exact, two_step

SIZES = ("1103x17", "51172x527")  # clips x classes
ROUNDS = (7, 3)
LARGE = 1_000_000  # clips x classes: no joint search beyond


def random_scores(clips: int, classes: int, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Scores of two branches of different reliability and the truth, about one label per clip."""
    rng = np.random.default_rng(seed)
    rates = rng.pareto(1.2, classes) + 0.1
    truth = rng.random((clips, classes)) < np.minimum(0.5, 1.2 * rates / rates.sum())
    first, second = (
        _logistic(rng.normal(size=truth.shape) + 3 * rng.random(classes) * truth - 3)
        for _ in range(2)
    )
    return first, second, truth


def _logistic(x: Floats) -> Floats:
    result: Floats = 1 / (1 + np.exp(-x))
    return result


def measure(clips: int, classes: int, rounds: int) -> None:
    """Time all methods on one size and print medians and the F1 that each search reaches."""
    heard, seen, truth = random_scores(clips, classes)
    cuts = all_cuts(heard, truth)
    methods: dict[str, Work] = {
        "cuts (sorting)": lambda: all_cuts(heard, truth),
        "two-step search": lambda: two_step(cuts),
        "exact search": lambda: exact(cuts),
    }
    if clips * classes < LARGE:
        fitter = FusionFitter(FitSettings("joint"))
        methods["joint (21 weights and thresholds)"] = lambda: joint(heard, seen, truth)
        methods["whole fit, three threshold rows"] = lambda: fitter.fit(heard, seen, truth)
    times = in_turn(methods, rounds, time.perf_counter)
    print(f"{clips:,} clips x {classes} classes, {rounds} rounds, median:")
    for name, found in times.items():
        print(f"  {name:36} {1000 * statistics.median(found):10.2f} ms")
    pairs = zip(times["two-step search"], times["exact search"], strict=True)
    print(f"  two-step / exact time {statistics.median(a / b for a, b in pairs):.1f}")
    greedy, best = two_step(cuts), exact(cuts)
    print(
        f"  micro-F1: class by class {greedy.start:.6f}, two-step {greedy.score():.6f}, "
        f"exact {best.score():.6f}"
    )


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--sizes", nargs="+", default=SIZES, help="CLIPSxCLASSES")
    options.add_argument("--rounds", type=int, nargs="+", default=ROUNDS, help="one per size")
    chosen = options.parse_args(words)
    for size, rounds in zip(chosen.sizes, chosen.rounds, strict=True):
        clips, _, classes = size.partition("x")
        measure(int(clips), int(classes), rounds)


if __name__ == "__main__":
    run_main(main)

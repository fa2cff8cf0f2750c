"""How long tuning takes: cuts, two-step and exact search at the sizes of the challenge's evaluation set and of AudioSet.

`python -m av_tagger.bench.thresholds` prints medians over rounds in which the ways take turns, and their ratio.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

from av_tagger.fusion.fit import FitSettings, FusionFitter
from av_tagger.fusion.joint import joint
from av_tagger.fusion.thresholds import Floats, all_cuts, exact, two_step

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = ((1_103, 17, 7), (51_172, 527, 3))  # clips, classes, rounds


def scores_like(clips: int, classes: int, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Two witnesses of differing reliability, with about 1.2 labels a clip spread unevenly over the classes."""
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


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def measure(clips: int, classes: int, rounds: int) -> None:
    heard, seen, truth = scores_like(clips, classes)
    cuts = all_cuts(heard, truth)
    ways: dict[str, Callable[[], object]] = {
        "cuts (sorting)": lambda: all_cuts(heard, truth),
        "two-step search": lambda: two_step(cuts),
        "exact search": lambda: exact(cuts),
    }
    if clips * classes < 1_000_000:
        ways["joint (21 weights and thresholds)"] = lambda: joint(heard, seen, truth)
        ways["whole fit, three threshold rows"] = lambda: FusionFitter(FitSettings()).fit(
            heard, seen, truth
        )
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            times[name].append(_seconds(work))
    print(f"{clips:,} clips x {classes} classes, {rounds} rounds, median:")
    for name, found in times.items():
        print(f"  {name:36} {1000 * statistics.median(found):10.2f} ms")
    ratio = statistics.median(
        a / b for a, b in zip(times["two-step search"], times["exact search"], strict=True)
    )
    one, best = two_step(cuts), exact(cuts)
    print(f"  two-step / exact time {ratio:.1f}")
    print(
        f"  micro-F1: class by class {one.start:.6f}, two-step {one.score():.6f}, exact {best.score():.6f}"
    )


def main() -> None:
    for clips, classes, rounds in SIZES:
        measure(clips, classes, rounds)


if __name__ == "__main__":
    main()

"""What poolings and losses find in bags whose instances are known: a table, and the picture of the README.

    python -m av_tagger.bench.bags notebooks/pictures/bags.png [--seeds 10 11 12 13 14]

The worlds were chosen with seeds 0 and 1; the default seeds took no part in that.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from av_tagger.reports.files import whole
from av_tagger.studies.synthetic import (
    COMMON,
    LOSSES_COMPARED,
    POOLINGS_COMPARED,
    RARE,
    BagScores,
    Method,
    SyntheticTask,
    experiment,
)

SEEDS = (10, 11, 12, 13, 14)
BLUE, ORANGE = "#3b6fb6", "#e08a1e"

Results = dict[str, list[BagScores]]


def measured(group: SyntheticTask, methods: dict[str, Method], seeds: tuple[int, ...]) -> Results:
    return {
        name: [experiment(group, method, seed) for seed in seeds]
        for name, method in methods.items()
    }


def table(results: Results) -> str:
    rows = [f"{'':26s} {'mAP':>14s} {'recall':>14s} {'false alarms':>14s}"]
    for name, found in results.items():
        figures = [[getattr(f, key) for f in found] for key in ("map", "recall", "false_alarms")]
        rows.append(
            f"{name:26s} " + " ".join(f"{np.mean(v):7.3f} ± {np.std(v):.3f}" for v in figures)
        )
    return "\n".join(rows)


def draw(rare: Results, common: Results, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    panels = (
        (
            left,
            rare,
            "map",
            BLUE,
            "bags: mean average precision",
            "one positive instance in twenty",
        ),
        (
            right,
            common,
            "recall",
            ORANGE,
            "positive instances found",
            "six positive instances in ten",
        ),
    )
    for axes, results, key, colour, label, title in panels:
        values = np.array([[getattr(f, key) for f in found] for found in results.values()])
        axes.barh(list(results), values.mean(axis=1), xerr=values.std(axis=1), color=colour)
        axes.invert_yaxis()
        axes.set(xlim=(0, 1), xlabel=label, title=title)
        axes.spines[["top", "right"]].set_visible(False)
    with whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rare = measured(RARE, POOLINGS_COMPARED, tuple(arguments.seeds))
    common = measured(COMMON, LOSSES_COMPARED, tuple(arguments.seeds))
    print(f"rare positives\n{table(rare)}\n\ncommon positives\n{table(common)}")
    draw(rare, common, arguments.picture)


if __name__ == "__main__":
    main()

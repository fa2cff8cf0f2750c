"""Poolings and losses on synthetic bags whose instance labels are known: a table and a figure.

    python -m av_tagger.bench.bags notebooks/pictures/bags.png [--seeds 10 11 12 13 14]

The tasks were chosen with seeds 0 and 1, which the default seeds leave out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from av_tagger.bench.measure import parser, run_main
from av_tagger.reports.files import whole
from av_tagger.studies.synthetic import (
    COMMON,
    LOSSES_COMPARED,
    POOLINGS_COMPARED,
    RARE,
    BagScores,
    experiment,
)

SEEDS = (10, 11, 12, 13, 14)
STEPS, BAGS = 250, 200
BLUE, ORANGE = "#3b6fb6", "#e08a1e"

Results = dict[str, list[BagScores]]


def table(results: Results) -> str:
    """Mean and standard deviation over the seeds of each method."""
    rows = [f"{'':26s} {'mAP':>14s} {'recall':>14s} {'false alarms':>14s}"]
    for name, found in results.items():
        figures = [[getattr(f, key) for f in found] for key in ("map", "recall", "false_alarms")]
        cells = " ".join(f"{np.mean(v):7.3f} ± {np.std(v):.3f}" for v in figures)
        rows.append(f"{name:26s} {cells}")
    return "\n".join(rows)


def draw(rare: Results, common: Results, path: Path) -> None:
    """Bars of the bag mAP for rare positives and of the instance recall for common ones."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    bags, instances = "bags: mean average precision", "positive instances found"
    few, many = "one positive instance in twenty", "six positive instances in ten"
    for axes, results, key, colour, label, title in (
        (left, rare, "map", BLUE, bags, few),
        (right, common, "recall", ORANGE, instances, many),
    ):
        values = np.array([[getattr(f, key) for f in found] for found in results.values()])
        axes.barh(list(results), values.mean(axis=1), xerr=values.std(axis=1), color=colour)
        axes.invert_yaxis()
        axes.set(xlim=(0, 1), xlabel=label, title=title)
        axes.spines[["top", "right"]].set_visible(False)
    with whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("picture", type=Path, help="PNG file to write")
    options.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options.add_argument("--steps", type=int, default=STEPS, help="of training")
    options.add_argument("--bags", type=int, default=BAGS, help="to train on, and to test on")
    chosen = options.parse_args(words)
    torch.set_num_threads(1)
    measure = partial(experiment, steps=chosen.steps, bags=chosen.bags)
    rare, common = (
        {
            name: [measure(task, method, seed) for seed in chosen.seeds]
            for name, method in ms.items()
        }
        for task, ms in ((RARE, POOLINGS_COMPARED), (COMMON, LOSSES_COMPARED))
    )
    print(f"rare positives\n{table(rare)}\n\ncommon positives\n{table(common)}")
    draw(rare, common, chosen.picture)


if __name__ == "__main__":
    run_main(main)

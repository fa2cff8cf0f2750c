"""Figures of an analysis, one function per figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import missing_library
from av_tagger.learning.analysis.by_class import Analysis, Correlation
from av_tagger.learning.analysis.instances import Instances, Roc
from av_tagger.reports.plots import CYCLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 60  # most classes whose names fit below their bars
INK = "#43464f"


def precision_beside_counts(analysis: Analysis) -> Figure:
    """ATT figure 6: training clips (log scale, most first) above the AP of each class."""
    classes = sorted(analysis.classes, key=lambda c: -c.training)
    places = np.arange(len(classes))
    with drawing(max(7.0, min(24.0, 0.32 * len(classes))), 5.2, 2) as (figure, (upper, lower)):
        upper.bar(places, [max(c.training, 0.5) for c in classes], color=CYCLE[0], width=0.8)
        upper.set(
            yscale="log",
            ylabel="training clips",
            title=f"{analysis.name}: {_caption(analysis.by_count)}",
        )
        upper.set_ylim(bottom=0.7)
        upper.yaxis.set_major_formatter("{x:g}")
        lower.bar(
            places, [c.ap for c in classes], color=CYCLE[1], width=0.8, label="average precision"
        )
        if any(np.isfinite(c.quality) for c in classes):
            lower.plot(
                places,
                [c.quality for c in classes],
                "+",
                color=CYCLE[2],
                label=f"label quality ({_caption(analysis.by_quality)})",
            )
            lower.legend(loc="upper right")
        lower.set(
            ylim=(0, 1.02),
            ylabel="average precision",
            xlabel=f"{len(classes)} classes" if len(classes) > NAMED else "",
        )
        for axes in (upper, lower):
            axes.set_xlim(-0.7, len(classes) - 0.3)
            axes.set_xticks([])
        if len(classes) <= NAMED:
            lower.set_xticks(
                places, [c.label for c in classes], rotation=55, ha="right", rotation_mode="anchor"
            )
    return figure


def classes_of_runs(named: Mapping[str, Sequence[Analysis]]) -> Figure:
    """ATT figures 4 and 8, FUSE figure 9: AP per class of several runs on one plot.

    A name with several analyses (seeds, folds) is drawn as their mean with the range.
    """
    first = next(iter(named.values()))[0]
    order = sorted(range(len(first.classes)), key=lambda k: -first.classes[k].training)
    places = np.arange(len(order))
    with drawing(max(7.0, min(24.0, 0.4 * len(order))), 4.2) as (figure, (axes,)):
        for number, (name, analyses) in enumerate(named.items()):
            table = np.array([[a.classes[k].ap for k in order] for a in analyses])
            mean = table.mean(axis=0)
            reach = np.abs(np.stack([table.min(axis=0), table.max(axis=0)]) - mean)
            shift = (number - (len(named) - 1) / 2) * 0.6 / len(named)
            style: dict[str, Any] = {
                "fmt": "o",
                "markersize": 4,
                "color": CYCLE[number % len(CYCLE)],
            }
            label = f"{name}: mAP {np.nanmean(mean):.3f}"
            axes.errorbar(places + shift, mean, reach, label=label, elinewidth=1, **style)
        axes.set(ylim=(0, 1.02), ylabel="average precision", xlim=(-0.7, len(order) - 0.3))
        axes.grid(axis="y", alpha=0.3)
        axes.set_xticks([])
        if len(order) <= NAMED:
            labels = [first.classes[k].label for k in order]
            axes.set_xticks(places, labels, rotation=55, ha="right", rotation_mode="anchor")
        axes.legend(loc="lower left", fontsize=8)
    return figure


def detection_curves(named: Mapping[str, Roc]) -> Figure:
    """FUSE figure 10: ROC of bags over the threshold on instances (TMI)."""
    with drawing(4.6, 4.2) as (figure, (axes,)):
        for number, (name, roc) in enumerate(named.items()):
            label = f"{name}: AUC {roc.area:.3f}"
            colour = CYCLE[number % len(CYCLE)]
            axes.plot(roc.false_alarms, roc.detections, label=label, color=colour)
        axes.plot([0, 1], [0, 1], ":", color=INK, linewidth=0.8)
        axes.set(xlabel="rate of false alarms", ylabel="rate of detections")
        axes.legend(loc="lower right", fontsize=8)
    return figure


def confidences(named: Mapping[str, Instances]) -> Figure:
    """FUSE figure 6: scores of instances in the classes of their bag, share of positives."""
    with drawing(6.5, 3.6) as (figure, (axes,)):
        for number, (name, instances) in enumerate(named.items()):
            label = f"{name}: {100 * instances.found():.0f} % of the instances are positive"
            style: dict[str, Any] = (
                {"histtype": "stepfilled", "alpha": 0.35}
                if number == 0
                else {"histtype": "step", "linewidth": 1.8}
            )
            found = np.clip(instances.confidences(), 0, 1)
            shares = np.full(len(found), 1 / max(1, len(found)))
            axes.hist(
                found,
                bins=np.linspace(0, 1, 26).tolist(),
                weights=shares,
                color=CYCLE[number % len(CYCLE)],
                label=label,
                **style,
            )
        axes.set(
            xlabel="score of an instance in the class of its clip",
            ylabel="share of the instances",
            xlim=(0, 1),
        )
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.16 + 0.08 * len(named)), ncols=1)
    return figure


def masked_spectrograms(instances: Instances, labels: Sequence[str], most: int = 4) -> Figure:
    """FUSE figure 7: spectrograms, dark where the clip's class scores low; scores as a line."""
    chosen = _contrasting(instances, most)
    with drawing(8.0, 2.2 * max(1, len(chosen)), max(1, len(chosen))) as (figure, panels):
        for axes, bag in zip(panels, chosen, strict=False):
            picture, sure = instances.features[bag].T, _confidence(instances, bag)
            frames = picture.shape[1]
            along = np.repeat(sure, -(-frames // len(sure)))[:frames]
            low, high = np.percentile(picture, [2, 99.5])
            shown = np.clip((picture - low) / max(high - low, 1e-9), 0, 1) * (0.12 + 0.88 * along)
            axes.imshow(shown, origin="lower", aspect="auto", cmap="magma", vmin=0, vmax=1)
            axes.plot(np.arange(frames), along * (len(picture) - 1), color="#7fe3c4", linewidth=1.1)
            present = instances.targets[bag] > 0.5
            names = ", ".join(label for label, t in zip(labels, present, strict=True) if t)
            mean, best = 100 * sure.mean(), 100 * sure.max()
            axes.set(
                title=f"{names}: score {mean:.0f} % on average, {best:.0f} % at most", yticks=[]
            )
            axes.set_xticks([])
    return figure


def neighbours(
    instances: Instances, labels: Sequence[str], most: int = 600, seed: int = 0
) -> Figure:
    """FUSE figure 8: t-SNE of instances; positive ones are filled, others hollow."""
    points, owners, positive = _sampled(instances, most, seed)
    places = tsne(points, seed)
    with drawing(7.0, 5.6) as (figure, (axes,)):
        for number, k in enumerate(sorted(set(owners.tolist()))):
            colour = CYCLE[number % len(CYCLE)]
            sure, unsure = (owners == k) & positive, (owners == k) & ~positive
            axes.scatter(places[sure, 0], places[sure, 1], s=14, color=colour, label=labels[k])
            axes.scatter(
                places[unsure, 0],
                places[unsure, 1],
                s=14,
                facecolors="none",
                edgecolors=colour,
                linewidths=0.8,
            )
        axes.set(xticks=[], yticks=[], title="Instances: filled are positive, hollow are not")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    return figure


def tsne(points: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """(n, 2) positions; the first two columns for fewer than five points."""
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise missing_library("t-SNE needs", "scikit-learn", error) from error
    if len(points) < 5:
        return np.asarray(points[:, :2], np.float64)
    perplexity = float(min(30, (len(points) - 1) // 3))
    tsne = TSNE(perplexity=perplexity, init="random", random_state=seed)
    return np.asarray(tsne.fit_transform(points), np.float64)


@contextmanager
def drawing(width: float, height: float, rows: int = 1) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure outside of pyplot: no window, no global state."""
    try:
        from matplotlib.figure import Figure as Plain
    except ImportError as error:
        raise missing_library("figures need", "matplotlib", error) from error
    figure = Plain(figsize=(width, height), layout="constrained", facecolor="white")
    axes = [figure.add_subplot(rows, 1, row + 1) for row in range(rows)]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.tick_params(colors=INK, labelsize=8)
    yield figure, axes
    for each in axes:
        each.title.set_fontsize(10)


def _caption(found: Correlation | None) -> str:
    return "correlation undefined" if found is None else f"PCC {found.r:.3f}, p = {found.p:.2g}"


def _confidence(instances: Instances, bag: int) -> NDArray[np.float64]:
    """The highest score of each instance among the classes of the clip."""
    own = instances.probabilities[bag][:, instances.targets[bag] > 0.5]
    return np.asarray(np.clip(own.max(axis=1), 0, 1), np.float64)


def _contrasting(instances: Instances, most: int) -> list[int]:
    """Clips of different classes, those with the widest range of scores."""
    spread = {
        bag: float(np.ptp(_confidence(instances, bag)))
        for bag, t in enumerate(instances.targets)
        if (t > 0.5).any() and instances.features[bag].size
    }
    chosen: list[int] = []
    seen: set[int] = set()
    for bag in sorted(spread, key=lambda b: -spread[b]):
        first = int((instances.targets[bag] > 0.5).argmax())
        if first not in seen and len(chosen) < most:
            chosen.append(bag)
            seen.add(first)
    return chosen


def _sampled(
    instances: Instances, most: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    labelled = [bag for bag, t in enumerate(instances.targets) if (t > 0.5).any()]
    positives = instances.positive()
    points = np.concatenate([instances.embeddings[bag] for bag in labelled])
    owners = np.concatenate(
        [
            np.full(len(instances.embeddings[bag]), (instances.targets[bag] > 0.5).argmax())
            for bag in labelled
        ]
    )
    positive = np.concatenate([positives[bag] for bag in labelled])
    chosen = np.sort(np.random.default_rng(seed).permutation(len(points))[:most])
    return points[chosen], owners[chosen], positive[chosen]

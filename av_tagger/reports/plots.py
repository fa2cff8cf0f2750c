"""Figures: functions of results and scores that return a Matplotlib figure; nothing is computed here that a figure does not show."""

from __future__ import annotations

import io
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from av_tagger.errors import MissingExtra
from av_tagger.fusion.counts import Counts
from av_tagger.reports.files import whole
from av_tagger.reports.spectrogram import SpectrogramSettings, levels, mel_peaks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from av_tagger.clip import Waveform
    from av_tagger.scores import KeyFrame, Tagged

# Ear, eye and both keep their colours in every figure; they stay apart in grey and with any colour vision.
WITNESSES = {"heard": "#5b8ff9", "seen": "#f0932b", "fused": "#1f2a44"}
CYCLE = ("#2f6fde", "#d9590b", "#12876b", "#b83280", "#8a6d00", "#6b4fd0", "#0d8298", "#b4423f")
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8b8e97",
    "axes.labelcolor": "#43464f",
    "axes.titleweight": "bold",
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "xtick.color": "#43464f",
    "ytick.color": "#43464f",
    "figure.facecolor": "white",
    "legend.frameon": False,
}


def class_f1(
    scores: Mapping[str, ArrayLike], labels: Sequence[str], micro: Mapping[str, float] | None = None
) -> Figure:
    """F1 of every class for each witness and the two fused (AV figure 3), the best fused class on top; micro-averages as lines."""
    values = {name: np.asarray(column, dtype=np.float64) for name, column in scores.items()}
    order = np.argsort(next(reversed(values.values())), kind="stable")
    with _figure(8.0, 0.42 * len(labels) + 1.6) as (figure, axes):
        height = 0.8 / len(values)
        for number, (name, column) in enumerate(values.items()):
            places = np.arange(len(labels)) + 0.4 - (number + 0.5) * height
            axes.barh(places, column[order], height * 0.92, color=_colour(name, number), label=name)
        for number, (name, value) in enumerate((micro or {}).items()):
            axes.axvline(
                value,
                color=_colour(name, number),
                linewidth=1.2,
                linestyle=(0, (4, 3)),
                label=f"{name}, micro-average {value:.2f}",
            )
        axes.set(
            xlim=(0, 1),
            xlabel="F1",
            title="Which witness knows which class",
            ylim=(-0.6, len(labels) - 0.4),
        )
        axes.set_yticks(range(len(labels)), [labels[i] for i in order])
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def weight_map(weights: Mapping[str, ArrayLike], labels: Sequence[str]) -> Figure:
    """The ear's weight in every class, one row a way of weighing; what is missing to 1 is the eye's."""
    table = np.array([np.asarray(row, dtype=np.float64) for row in weights.values()])
    with _figure(0.62 * len(labels) + 2.0, 0.5 * len(table) + 2.4) as (figure, axes):
        image = axes.imshow(table, cmap="coolwarm_r", vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(table):
            axes.text(
                column,
                row,
                f"{value:.2g}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if abs(value - 0.5) > 0.35 else "#1d1e22",
            )
        axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
        axes.set_yticks(range(len(table)), list(weights))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_title("How much the ear counts, class by class")
        bar = figure.colorbar(image, ax=axes, pad=0.015, ticks=[0, 0.5, 1])
        bar.ax.set_yticklabels(["eye alone", "even", "ear alone"])
        bar.outline.set_visible(False)
    return figure


def weight_curves(
    curves: ArrayLike, labels: Sequence[str], chosen: Mapping[str, ArrayLike] | None = None
) -> Figure:
    """Every class's best F1 against the ear's weight: `curves` is (classes, weights) over an even grid from 0 to 1."""
    table = np.asarray(curves, dtype=np.float64)
    grid = np.linspace(0, 1, table.shape[1])
    with _panels(len(labels)) as (figure, panels):
        for k, (label, axes) in enumerate(zip(labels, panels, strict=False)):
            axes.plot(grid, table[k], color=WITNESSES["fused"], linewidth=1.6)
            for number, (name, weights) in enumerate((chosen or {}).items()):
                weight = float(np.asarray(weights)[k])
                axes.plot(
                    weight,
                    np.interp(weight, grid, table[k]),
                    "o",
                    color=CYCLE[number],
                    markersize=6,
                    label=name if k == 0 else None,
                )
            axes.set(xlim=(-0.03, 1.03), ylim=(0, 1.05), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
            axes.set_title(_short(label), fontsize=9)
        figure.supxlabel("the ear's weight (0: the eye alone, 1: the ear alone)", fontsize=10)
        figure.supylabel("best F1 of the class", fontsize=10)
        if chosen:
            figure.legend(loc="outside lower right", ncols=len(chosen))
    return figure


def cost_map(points: ArrayLike, labels: Sequence[str]) -> Figure:
    """(classes, weights): how many points of micro-F1 are lost when one class's ear weight, from 0 to 1, is that one."""
    table = np.asarray(points, dtype=np.float64)
    with _figure(7.0, 0.3 * len(labels) + 1.6) as (figure, axes):
        image = axes.imshow(
            table,
            cmap="YlOrBr",
            aspect="auto",
            extent=(-0.025, 1.025, len(labels) - 0.5, -0.5),
            vmin=0,
        )
        axes.set_yticks(range(len(labels)), labels)
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel="the ear's weight in this class", title="What a wrong weight costs")
        bar = figure.colorbar(image, ax=axes, pad=0.02, label="points of micro-F1")
        bar.outline.set_visible(False)
    return figure


def threshold_curves(
    scores: ArrayLike,
    truth: ArrayLike,
    labels: Sequence[str],
    chosen: ArrayLike | None = None,
    only: Sequence[str] | None = None,
) -> Figure:
    """Precision, recall and F1 of classes at every threshold, and the threshold that was chosen."""
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=bool)
    grid = np.linspace(0, 1, 201)
    shown = [labels.index(label) for label in (only or labels)]
    with _panels(len(shown)) as (figure, panels):
        for axes, k in zip(panels, shown, strict=False):
            said = s[:, k, None] >= grid  # NaN is never said
            counts = Counts.of(said, np.repeat(y[:, k, None], len(grid), axis=1))
            for name, values, colour in zip(
                ("precision", "recall", "F1"),
                _ratios(counts),
                ("#9aa0ad", "#c8b06a", "#1f2a44"),
                strict=True,
            ):
                axes.plot(
                    grid,
                    values,
                    color=colour,
                    linewidth=2 if name == "F1" else 1.2,
                    label=name if k == shown[0] else None,
                )
            if chosen is not None and np.isfinite(np.asarray(chosen)[k]):
                axes.axvline(
                    float(np.asarray(chosen)[k]),
                    color="#d9590b",
                    linewidth=1.2,
                    linestyle="--",
                    label="chosen" if k == shown[0] else None,
                )
            axes.set(xlim=(0, 1), ylim=(0, 1.05), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
            axes.set_title(_short(labels[k], f" ({int(y[:, k].sum())})"), fontsize=9)
        figure.supxlabel("threshold (in brackets: how many clips have the class)", fontsize=10)
        figure.legend(loc="outside lower right", ncols=4)
    return figure


def _ratios(counts: Counts) -> tuple[NDArray[np.float64], ...]:
    precision = np.where(
        counts.predicted > 0, counts.class_precision, np.nan
    )  # nothing said: no precision
    return precision, counts.class_recall, counts.class_f1


def precision_recall(
    scores: Mapping[str, ArrayLike],
    truth: ArrayLike,
    labels: Sequence[str],
    only: Sequence[str] | None = None,
) -> Figure:
    """Precision against recall as the threshold falls: one panel a class, one line a witness."""
    y = np.asarray(truth, dtype=bool)
    shown = [labels.index(label) for label in (only or labels)]
    with _panels(len(shown)) as (figure, panels):
        for axes, k in zip(panels, shown, strict=False):
            for number, (name, table) in enumerate(scores.items()):
                recall, precision = precision_recall_points(
                    np.asarray(table, dtype=np.float64)[:, k], y[:, k]
                )
                axes.step(
                    recall,
                    precision,
                    where="pre",
                    color=_colour(name, number),
                    linewidth=1.6,
                    label=name if k == shown[0] else None,
                )
            axes.axhline(y[:, k].mean(), color="#c4c6cc", linewidth=1, linestyle=":")
            axes.set(xlim=(0, 1.02), ylim=(0, 1.05), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
            axes.set_title(_short(labels[k]), fontsize=9)
        figure.supxlabel("recall", fontsize=10)
        figure.supylabel("precision", fontsize=10)
        figure.legend(loc="outside lower right", ncols=len(scores))
    return figure


def precision_recall_points(
    scores: NDArray[np.float64], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(recall, precision) at every distinct score, from the strictest; it starts at recall 0 with the first precision."""
    known = np.isfinite(scores)
    order = np.argsort(-scores[known], kind="stable")
    s, y = scores[known][order], truth[known][order]
    if not len(s):
        return np.array([0.0]), np.array([np.nan])
    last = np.append(np.flatnonzero(np.diff(s)), len(s) - 1)  # equal scores enter together
    right = np.cumsum(y)[last]
    precision, recall = right / (last + 1), right / max(1, int(truth.sum()))
    return np.concatenate([[0.0], recall]), np.concatenate([precision[:1], precision])


def timeline(tagged: Tagged, waveform: Waveform | None = None) -> Figure:
    """The sound as a picture, and over the same seconds each tag's frame activity, its events and the key frames."""
    start, end = tagged.clip.start_seconds, tagged.clip.start_seconds + tagged.duration_seconds
    labels = [tag.label for tag in tagged.tags]
    rows = max(1, len(labels)) + (waveform is not None)
    heights = ([1.8] if waveform is not None else []) + [1.0] * max(1, len(labels))
    with _grid(9.0, 0.95 * sum(heights) + 0.9, rows, heights) as (figure, panels):
        lanes = list(panels)
        if waveform is not None:
            _sound(lanes.pop(0), waveform)
        for number, (axes, tag) in enumerate(zip(lanes, tagged.tags, strict=False)):
            colour = CYCLE[number % len(CYCLE)]
            for event in tag.events:
                axes.axvspan(event.start, event.end, color=colour, alpha=0.18, linewidth=0)
            if tagged.activity is not None:
                values = tagged.activity.values[:, tuple(tagged.scores).index(tag.label)]
                times = (
                    tagged.activity.start_seconds
                    + (np.arange(len(values)) + 0.5) / tagged.activity.rate
                )
                axes.fill_between(times, values, color=colour, alpha=0.3, linewidth=0)
                axes.plot(times, values, color=colour, linewidth=1.4)
            axes.set(ylim=(0, 1.05), yticks=[0, 1])
            axes.set_title(f"{tag.label}  {tag.probability:.2f}", fontsize=10)
        for keyframe in tagged.keyframes:
            lanes[-1].plot(
                keyframe.seconds,
                0,
                marker="D",
                color="#43464f",
                markersize=6,
                clip_on=False,
                zorder=5,
            )
        lanes[-1].set(
            xlim=(start, end),
            xlabel="seconds" + (" (diamonds: key frames)" if tagged.keyframes else ""),
        )
    return figure


def sound(waveform: Waveform) -> Figure:
    """The waveform's mel spectrogram."""
    with _figure(9.0, 2.4) as (figure, axes):
        _sound(axes, waveform)
        axes.set_xlabel("seconds")
    return figure


def _sound(axes: Axes, waveform: Waveform) -> None:
    settings = SpectrogramSettings()
    shown = levels(mel_peaks(waveform, settings), settings)
    begin = waveform.start_seconds
    extent = (begin, begin + waveform.duration_seconds, 0.0, float(settings.bands))
    axes.imshow(
        shown,
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap="magma",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    axes.set(yticks=[], ylabel="mel bands")


def heat(table: ArrayLike, title: str, ylabel: str, xlabel: str = "frames") -> Figure:
    """Any (frames, rows) table over time, such as log-mel features: dark is little, bright is much."""
    with _figure(9.0, 2.6) as (figure, axes):
        image = axes.imshow(
            np.asarray(table, dtype=np.float64).T,
            origin="lower",
            aspect="auto",
            cmap="magma",
            interpolation="nearest",
        )
        axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
        figure.colorbar(image, ax=axes, pad=0.01).outline.set_visible(False)
    return figure


def contact_sheet(keyframes: Sequence[KeyFrame]) -> Figure:
    """The key frames side by side, with their time, their share of the clip and what was recognised in them."""
    from matplotlib import image as pictures

    with _grid(2.9 * max(1, len(keyframes)), 2.9, 1, [1.0], max(1, len(keyframes))) as (
        figure,
        panels,
    ):
        for axes in panels:
            axes.axis("off")
        for axes, keyframe in zip(panels, keyframes, strict=False):
            if keyframe.picture is not None:
                axes.imshow(pictures.imread(io.BytesIO(keyframe.picture), format="jpeg"))
            axes.set_title(
                f"{keyframe.seconds:.1f} s   {keyframe.weight:.0%} of the clip", fontsize=9
            )
            lines = "\n".join(
                f"{name}  {probability:.2f}" for name, probability in keyframe.objects[:3]
            )
            axes.text(
                0, -0.04, lines, transform=axes.transAxes, va="top", fontsize=9, color="#43464f"
            )
    return figure


def confusion(
    table: ArrayLike, labels: Sequence[str], title: str = "What is taken for what"
) -> Figure:
    """A (truth, said) table of counts; each row is coloured by its share."""
    counts = np.asarray(table, dtype=np.float64)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with _figure(0.5 * len(labels) + 2.6, 0.42 * len(labels) + 2.2) as (figure, axes):
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(counts):
            if value:
                axes.text(
                    column,
                    row,
                    f"{value:g}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if share[row, column] > 0.55 else "#1d1e22",
                )
        axes.set_xticks(range(counts.shape[1]), labels[: counts.shape[1]], rotation=40, ha="right")
        axes.set_yticks(range(len(counts)), labels[: len(counts)])
        axes.set(title=title, xlabel="said", ylabel="true")
    return figure


def save(figure: Figure, path: Path, dots_per_inch: int = 110) -> None:
    """The figure as a picture (the suffix says which kind), whole or not at all."""
    with whole(path) as temporary:
        figure.savefig(
            temporary,
            dpi=dots_per_inch,
            format=path.suffix.lstrip(".") or "png",
            bbox_inches="tight",
            metadata={"Software": None} if path.suffix == ".png" else None,
        )


def _short(label: str, rest: str = "") -> str:
    """A label that fits over a small panel."""
    room = 23 - len(rest)
    return (label if len(label) <= room else f"{label[: room - 1].rstrip(' (,')}…") + rest


def png(figure: Figure, dots_per_inch: int = 80) -> bytes:
    """The figure as it is shown in a notebook."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots_per_inch)
    return buffer.getvalue()


def _colour(name: str, number: int) -> str:
    return WITNESSES.get(name, CYCLE[number % len(CYCLE)])


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    with _grid(width, height, 1, [1.0]) as (figure, panels):
        yield figure, panels[0]


@contextmanager
def _panels(count: int) -> Iterator[tuple[Figure, list[Axes]]]:
    """Small axes of one size for `count` classes, five in a row at most; left-over ones are hidden."""
    columns = min(5, max(1, count))
    rows = -(-count // columns)
    with _grid(2.1 * columns + 0.4, 1.75 * rows + 0.9, rows, [1.0] * rows, columns) as (
        figure,
        panels,
    ):
        for axes in panels[count:]:
            axes.axis("off")
        yield figure, panels


@contextmanager
def _grid(
    width: float, height: float, rows: int, heights: Sequence[float], columns: int = 1
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure that belongs to nobody: no window, no state of pyplot, nothing left over when it is dropped."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure as Plain
    except ImportError as error:
        raise MissingExtra(
            f"figures need Matplotlib ({error}); install it: pip install matplotlib"
        ) from error
    settings: Any = dict(_STYLE)  # newer Matplotlib names every key in its type
    with mpl.rc_context(settings):
        figure = Plain(figsize=(width, height), layout="constrained")
        axes = figure.subplots(
            rows,
            columns,
            squeeze=False,
            sharex=rows > 1 and columns == 1,
            gridspec_kw={"height_ratios": list(heights)},
        )
        setattr(figure, "_repr_png_", partial(png, figure))  # noqa: B010 - so that a notebook shows it without any set-up
        yield figure, list(axes.flat)

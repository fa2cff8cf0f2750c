"""Figures and axes in the style of this package, and how they become pictures."""

from __future__ import annotations

import io
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from av_tagger.errors import missing_library
from av_tagger.reports.files import whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours of the branches in every figure; they differ in grey and with any colour vision.
BRANCHES = {"heard": "#5b8ff9", "seen": "#f0932b", "fused": "#1f2a44"}
CYCLE = ("#2f6fde", "#d9590b", "#12876b", "#b83280", "#8a6d00", "#6b4fd0", "#0d8298", "#b4423f")
INK, SOFT = "#1d1e22", "#43464f"
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8b8e97",
    "axes.labelcolor": SOFT,
    "axes.titleweight": "bold",
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "figure.facecolor": "white",
    "legend.frameon": False,
}
_TITLE_LETTERS = 23  # fit over a small panel


def colour_of(name: str, number: int) -> str:
    """The colour of a branch, else the next of the cycle."""
    return BRANCHES.get(name, CYCLE[number % len(CYCLE)])


def short(label: str, rest: str = "") -> str:
    """A label, shortened so that it fits over a small panel with `rest`."""
    room = _TITLE_LETTERS - len(rest)
    return (label if len(label) <= room else f"{label[: room - 1].rstrip(' (,')}…") + rest


def save(figure: Figure, path: Path, dots_per_inch: int = 110) -> None:
    """Write the figure; the suffix chooses the format."""
    with whole(path) as temporary:
        figure.savefig(
            temporary,
            dpi=dots_per_inch,
            format=path.suffix.lstrip(".") or "png",
            bbox_inches="tight",
            metadata={"Software": None} if path.suffix == ".png" else None,
        )


def png(figure: Figure, dots_per_inch: int = 80) -> bytes:
    """The figure as a PNG, as notebooks show it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots_per_inch)
    return buffer.getvalue()


@contextmanager
def single(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure with one pair of axes; sizes are inches."""
    with grid(width, height, [1.0]) as (figure, panels):
        yield figure, panels[0]


@contextmanager
def panels_of(count: int) -> Iterator[tuple[Figure, list[Axes]]]:
    """Small axes of one size, at most five in a row; unused ones are hidden."""
    columns = min(5, max(1, count))
    rows = max(1, -(-count // columns))
    with grid(2.1 * columns + 0.4, 1.75 * rows + 0.9, [1.0] * rows, columns) as (figure, panels):
        for axes in panels[count:]:
            axes.axis("off")
        yield figure, panels


@contextmanager
def grid(
    width: float, height: float, heights: Sequence[float], columns: int = 1
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure outside pyplot: no window and no global state; notebooks show it as a PNG."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure as Plain
    except ImportError as error:
        raise missing_library("figures need", "matplotlib", error) from error
    settings: Any = dict(_STYLE)  # newer Matplotlib names every key in its type
    rows = len(heights)
    with mpl.rc_context(settings):
        figure = Plain(figsize=(width, height), layout="constrained")
        axes = figure.subplots(
            rows,
            columns,
            squeeze=False,
            sharex=rows > 1 and columns == 1,
            gridspec_kw={"height_ratios": list(heights)},
        )
        setattr(figure, "_repr_png_", partial(png, figure))  # noqa: B010 - read by IPython
        yield figure, list(axes.flat)


def tidy_bar(figure: Figure, image: Any, axes: Axes, **details: Any) -> Any:
    """A colour bar without an outline."""
    bar = figure.colorbar(image, ax=axes, **details)
    bar.outline.set_visible(False)
    return bar

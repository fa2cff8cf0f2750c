"""Reliability diagrams as SVG: shares of positives over scores, with intervals and counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from av_tagger.reports.html.markup import Html, h

SIDE = 240  # of the square from 0 to 1
LEFT, TOP = 44, 40
COUNTS = 44  # height of the bars below, which count pairs
WIDTH, HEIGHT = LEFT + SIDE + 16, TOP + SIDE + COUNTS + 52
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
INK, GRID, HUE = "#3a3d45", "#c9c7c0", "#2f6fde"


def reliability_svg(found: Mapping[str, Mapping[str, Any]]) -> str:
    """A file with a diagram per name, side by side.

    `found` is the `calibration` of `av-tag evaluate --json` or `av-tag tune --json`.
    """
    panels = [
        h("g", {"transform": f"translate({i * WIDTH} 0)"}, panel(name, one))
        for i, (name, one) in enumerate(found.items())
    ]
    size = {"width": max(1, len(found)) * WIDTH, "height": HEIGHT}
    space = {"xmlns": "http://www.w3.org/2000/svg"}
    return str(h("svg", space | size | _view(**size) | _font(), _paper(**size), panels)) + "\n"


def diagram(name: str, one: Mapping[str, Any]) -> Html:
    """The same for a page."""
    size = {"width": WIDTH, "height": HEIGHT}
    words = {"role": "img", "aria-label": f"reliability diagram: {name}", "class": "diagram"}
    return h("svg", words | size | _view(**size) | _font(), panel(name, one))


def panel(name: str, one: Mapping[str, Any]) -> list[Html]:
    claimed = _number(one["ece_claimed"])
    error = f"error {_number(one['ece'])}, scores of 0.1 or more {claimed}"
    return [
        _text(LEFT, 14, name, {"font-weight": "600"}),
        _text(LEFT, 28, error, {"font-size": "11"}),
        *_axes(),
        _line(_x(0), _y(0), _x(1), _y(1), GRID),
        *(part for b in one["bins"] for part in _bin(b)),
        *_counts(one["bins"]),
    ]


def _bin(b: Mapping[str, Any]) -> list[Html]:
    """A point with the interval of its share."""
    x, (low, high) = _x(b["score"]), b["bounds"]
    words = f"scores {b['low']:.1f} to {b['high']:.1f}: {b['pairs']} pairs, mean {b['score']:.2f}"
    title = h("title", None, f"{words}, positive {b['share']:.2f}, 95 % {low:.2f} to {high:.2f}")
    dot = {"cx": f"{x:.1f}", "cy": f"{_y(b['share']):.1f}", "r": 4, "fill": HUE}
    return [_line(x, _y(low), x, _y(high), HUE), h("circle", dot, title)]


def _counts(bins: Iterable[Mapping[str, Any]]) -> list[Html]:
    """Bars of the number of pairs, on a logarithmic scale."""
    rows = list(bins)
    most = max((math.log10(1 + b["pairs"]) for b in rows), default=1.0)
    bottom = TOP + SIDE + 30 + COUNTS
    bars = []
    for b in rows:
        height = COUNTS * math.log10(1 + b["pairs"]) / most
        box = {"x": f"{_x(b['low']) + 1:.1f}", "width": f"{SIDE / 10 - 2:.1f}", "fill": GRID}
        bars.append(h("rect", box | {"y": f"{bottom - height:.1f}", "height": f"{height:.1f}"}))
    return [*bars, _text(LEFT, bottom + 14, "pairs of clip and class (log)", {"font-size": "11"})]


def _axes() -> list[Html]:
    frame = {"x": LEFT, "y": TOP, "width": SIDE, "height": SIDE, "fill": "none", "stroke": GRID}
    parts = [h("rect", frame)]
    for tick in TICKS:
        label = f"{tick:.1f}"
        middle, end = ({"text-anchor": a, "font-size": "11"} for a in ("middle", "end"))
        parts.append(_text(_x(tick), TOP + SIDE + 14, label, middle))
        parts.append(_text(LEFT - 6, _y(tick) + 4, label, end))
    turned = f"rotate(-90 12 {TOP + SIDE / 2:.0f})"
    side = {"transform": turned, "text-anchor": "middle", "font-size": "11"}
    parts.append(_text(12, TOP + SIDE / 2, "share of positives", side))
    return parts


def _x(value: float) -> float:
    return LEFT + SIDE * value


def _y(value: float) -> float:
    return TOP + SIDE * (1 - value)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> Html:
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    return h("line", ends | {"stroke": colour, "stroke-width": 1.5})


def _text(x: float, y: float, words: str, more: Mapping[str, Any]) -> Html:
    return h("text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "fill": "currentColor", **more}, words)


def _view(width: int, height: int) -> dict[str, str]:
    return {"viewBox": f"0 0 {width} {height}"}


def _font() -> dict[str, str]:
    return {"font-family": "system-ui, sans-serif", "font-size": "13"}


def _paper(width: int, height: int) -> Html:
    """White behind the drawing of a file, with dark text."""
    return h("rect", {"width": width, "height": height, "fill": "#ffffff", "color": INK})


def _number(value: float | None) -> str:
    return "none" if value is None or not math.isfinite(value) else f"{value:.3f}"

"""The arena's page: a sortable table with intervals as bars, losses per variant, calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from av_tagger.reports.arena.rows import (
    Figure,
    Row,
    calibration,
    class_ap,
    digits,
    loss,
    mean_ap,
    micro_f1,
    variants_of,
)
from av_tagger.reports.html.markup import Html, document, h, join
from av_tagger.reports.reliability import diagram

HEADS = (
    ("mAP", "mean average precision over the classes"),
    ("F1", "micro-F1 at the shipped thresholds"),
    ("error", "expected calibration error, all pairs"),
    ("error ≥ 0.1", "calibration error of scores of 0.1 or more"),
    ("x", "seconds of clips per second of processor time"),
    ("MiB", "peak memory of the process"),
)
BAR = 120  # width of an interval's bar
ROW, NAMES, CHART = 20, 170, 300  # of the chart of losses
COLOURS = 8


def arena_page(rows: Sequence[Row]) -> Html:
    listed = list(rows)
    variants = variants_of(listed)
    degraded = [row for row in listed if row["variants"]]
    sections = [
        _section("table-section", "Contestants", _table(listed), _legend()),
        _section("losses", "What degraded sound costs", _losses(degraded, variants))
        if degraded
        else None,
        _section("calibration", "Do scores mean probabilities?", _diagrams(listed)),
        _section("classes", "Average precision per class", _classes(listed)),
    ]
    body = join([_header(listed), h("main", None, sections)])
    return document("av-tag arena", "arena.js", body)


def _header(rows: Sequence[Row]) -> Html:
    clips = max((row["clips"] for row in rows), default=0)
    recordings = max((row["intervals"]["recordings"] for row in rows), default=0)
    facts = (f"{clips} clips", f"{recordings} recordings", f"{len(rows)} contestants")
    return h(
        "header",
        {"class": "top"},
        h("h1", None, "Arena"),
        h("p", {"class": "meta"}, [h("span", None, fact) for fact in facts]),
    )


def _section(identifier: str, title: str, *content: Html | None) -> Html:
    return h("section", {"id": identifier}, h("h2", None, title), content)


def _legend() -> Html:
    words = "; ".join(f"{name}: {meaning}" for name, meaning in HEADS)
    bars = "Bars: 95 % intervals, drawing recordings with replacement, on a scale from 0 to 1."
    return h("p", {"class": "keys"}, f"{words}. {bars}")


def _table(rows: Sequence[Row]) -> Html:
    heads = [_head("Contestant", "Contestant", "class", "none")]
    heads += [_head(name, words, "n", "none") for name, words in HEADS]
    body = [h("tr", None, h("th", {"scope": "row"}, row["name"]), _cells(row)) for row in rows]
    table = {"class": "sortable"}
    return h(
        "div",
        {"class": "scroll"},
        h("table", table, h("thead", None, h("tr", None, heads)), h("tbody", None, body)),
    )


def _cells(row: Row) -> list[Html]:
    found: Mapping[str, Any] = calibration(row) or {}
    plain = (
        (found.get("ece"), 3),
        (found.get("ece_claimed"), 3),
        (row["speed"], 0),
        (row["memory_mib"], 0),
    )
    figures = [_figure_cell(mean_ap(row)), _figure_cell(micro_f1(row))]
    return figures + [_cell(value, digits(value, places)) for value, places in plain]


def _head(name: str, words: str, kind: str, order: str) -> Html:
    attributes = {"scope": "col", "class": kind, "aria-sort": order, "title": words}
    return h("th", attributes, h("button", {"type": "button"}, name))


def _cell(value: float | None, *content: str | Html | None) -> Html:
    """`data-value` is what the script sorts by."""
    known = value is not None and math.isfinite(value)
    return h("td", {"data-value": f"{value:.6f}" if known else "-1"}, content)


def _figure_cell(figure: Figure) -> Html:
    return _cell(figure.value, _bar(figure), " ", h("span", None, figure.text))


def _bar(figure: Figure) -> Html | None:
    """The interval on a scale from 0 to 1, with a tick at the value."""
    if figure.value is None:
        return None
    low = figure.value if figure.low is None else figure.low
    high = figure.value if figure.high is None else figure.high
    width = max(1.0, BAR * (high - low))
    box = {"x": f"{BAR * low:.1f}", "y": 3, "width": f"{width:.1f}", "height": 8, "rx": 3}
    at = f"{BAR * figure.value:.1f}"
    tick = h("line", {"x1": at, "x2": at, "y1": 0, "y2": 14})
    size = {"width": BAR, "height": 14, "viewBox": f"0 0 {BAR} 14"}
    return h("svg", {"class": "interval", "aria-hidden": "true", **size}, h("rect", box), tick)


def _losses(rows: Sequence[Row], variants: Sequence[str]) -> Html:
    """One chart per contestant, all on the same scale."""
    ends = [
        abs(end)
        for row in rows
        for v in variants
        for end in (loss(row, v).value, loss(row, v).low, loss(row, v).high)
        if end is not None
    ]
    reach = max(0.1, *ends)
    charts = [_chart(row, variants, reach, i % COLOURS) for i, row in enumerate(rows)]
    words = "Change of micro-F1 against the same clips undegraded, with 95 % interval."
    return join([h("div", {"class": "charts"}, charts), h("p", {"class": "keys"}, words)])


def _chart(row: Row, variants: Sequence[str], reach: float, colour: int) -> Html:
    height = ROW * len(variants) + 24
    words = {"role": "img", "aria-label": f"losses of {row['name']}"}
    size = {"width": NAMES + CHART + 60, "height": height}
    view = {"viewBox": f"0 0 {size['width']} {height}", "class": f"losses c{colour}"}
    zero = f"{_place(0.0, reach):.1f}"
    parts = [h("line", {"x1": zero, "x2": zero, "y1": 0, "y2": height - 20, "class": "zero"})]
    for i, name in enumerate(variants):
        parts += _loss_row(name, loss(row, name), reach, ROW * i + ROW / 2)
    ticks = [
        h("text", {"x": f"{_place(v, reach):.1f}", "y": height - 6, **_middle()}, f"{v:+.2f}")
        for v in (-reach, 0.0, reach)
    ]
    return h(
        "figure", None, h("h3", None, row["name"]), h("svg", words | size | view, parts, ticks)
    )


def _loss_row(name: str, found: Figure, reach: float, y: float) -> list[Html]:
    parts = [h("text", {"x": NAMES - 8, "y": f"{y + 4:.1f}", "text-anchor": "end"}, name)]
    if found.value is None:
        return parts
    x, zero = _place(found.value, reach), _place(0.0, reach)
    box = {"x": f"{min(x, zero):.1f}", "width": f"{max(1.0, abs(x - zero)):.1f}"}
    title = h("title", None, f"{name}: {found.signed}")
    parts.append(h("rect", box | {"y": f"{y - 6:.1f}", "height": 12}, title))
    if found.low is not None and found.high is not None:
        ends = {
            "x1": f"{_place(found.low, reach):.1f}",
            "x2": f"{_place(found.high, reach):.1f}",
        }
        parts.append(h("line", ends | {"y1": f"{y:.1f}", "y2": f"{y:.1f}", "class": "range"}))
    return parts


def _place(value: float, reach: float) -> float:
    return NAMES + CHART * (value + reach) / (2 * reach)


def _middle() -> dict[str, str]:
    return {"text-anchor": "middle"}


def _diagrams(rows: Sequence[Row]) -> Html:
    found = [(row["name"], calibration(row)) for row in rows]
    drawn = [diagram(name, one) for name, one in found if one is not None]
    words = (
        "Points on the diagonal: of the pairs with this score, as many are positive as it says."
        " Lines: exact 95 % intervals."
    )
    return join([h("div", {"class": "charts"}, drawn), h("p", {"class": "keys"}, words)])


def _classes(rows: Sequence[Row]) -> Html:
    labels = sorted({label for row in rows for label in row["values"]["classes"]})
    heads = [_head("Class", "Class", "class", "none")]
    heads += [_head(row["name"], row["name"], "n", "none") for row in rows]
    body = [
        h("tr", None, h("th", {"scope": "row"}, label), [_class_cell(row, label) for row in rows])
        for label in labels
    ]
    table = h(
        "table",
        {"class": "sortable"},
        h("thead", None, h("tr", None, heads)),
        h("tbody", None, body),
    )
    few = "No interval: fewer than 10 recordings have the class."
    return join([h("div", {"class": "scroll"}, table), h("p", {"class": "keys"}, few)])


def _class_cell(row: Row, label: str) -> Html:
    found = class_ap(row, label)
    return _cell(found.value, found.text)

"""The table of all classes: branch scores, probability and threshold, sortable by column."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from av_tagger.reports.html.markup import Html, h
from av_tagger.reports.html.parts import is_known, meter, two_digits

if TYPE_CHECKING:
    from av_tagger.scores import ClassScore, Tagged

SORTED_BY = "Probability"
NUMBERS = ("Heard", "Seen", SORTED_BY, "Threshold")


def class_table(tagged: Tagged) -> Html:
    """Sorted by probability; tags are marked."""
    tags = {tag.label for tag in tagged.tags}
    rows = sorted(
        tagged.scores.items(),
        key=lambda item: -item[1].fused if math.isfinite(item[1].fused) else 1.0,
    )
    heads = [_head("Class", "class", "none")]
    heads += [_head(name, "n", "descending" if name == SORTED_BY else "none") for name in NUMBERS]
    body = [_row(label, score, label in tags) for label, score in rows]
    return h(
        "div",
        {"class": "scroll"},
        h("table", {"id": "table"}, h("thead", None, h("tr", None, heads)), h("tbody", None, body)),
    )


def _head(name: str, kind: str, order: str) -> Html:
    attributes = {"scope": "col", "class": kind, "aria-sort": order}
    return h("th", attributes, h("button", {"type": "button"}, name))


def _row(label: str, score: ClassScore, tagged: bool) -> Html:
    mark = [" ", h("span", {"class": "mark"}, "tag")] if tagged else None
    bar = meter(score.fused, score.threshold) if is_known(score.fused) else None
    return h(
        "tr",
        {"class": "tagged" if tagged else None},
        h("th", {"scope": "row"}, label, mark),
        _cell(score.heard),
        _cell(score.seen),
        _cell(score.fused, bar),
        _cell(score.threshold),
    )


def _cell(value: float | None, bar: Html | None = None) -> Html:
    """`data-value` is what the script sorts by."""
    key = f"{value:.6f}" if is_known(value) else "-1"
    return h("td", {"data-value": key}, bar, h("span", None, two_digits(value)))

"""The table of all classes: branch scores, probability and threshold, sortable by column."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from av_tagger.ontology import above, below
from av_tagger.reports.html.markup import Html, h, join
from av_tagger.reports.html.parts import MEANING, has_both, is_known, meter, two_digits

if TYPE_CHECKING:
    from av_tagger.scores import ClassScore, Tagged

SORTED_BY = "Probability"
BRANCHES = ("Heard", "Seen")  # columns that are there where ear and eye both are
FOLDED = "reaches its threshold; a tag names the same sound more exactly"
ROWS_SHOWN = 25  # of more classes the rest is folded, and found with the filter


def class_table(tagged: Tagged) -> Html:
    """Sorted by probability; tags are marked. Many classes get a filter."""
    both = has_both(tagged)
    tags = {tag.label for tag in tagged.tags}
    rows = sorted(
        tagged.scores.items(),
        key=lambda item: -item[1].fused if math.isfinite(item[1].fused) else 1.0,
    )
    heads = [_head("Class", "class", "none")]
    names = (*(BRANCHES if both else ()), SORTED_BY, "Threshold")
    heads += [_head(name, "n", "descending" if name == SORTED_BY else "none") for name in names]
    body = [_row(label, score, tags, both=both) for label, score in rows]
    table = h(
        "div",
        {"class": "scroll"},
        h("table", {"id": "table"}, h("thead", None, h("tr", None, heads)), h("tbody", None, body)),
    )
    return join([_filter(len(rows)), table, _fold(len(rows))])


def _filter(count: int) -> Html | None:
    if count <= ROWS_SHOWN:
        return None
    name = f"Filter {count} classes"
    search = {"id": "class-filter", "type": "search", "placeholder": name, "aria-label": name}
    return h("p", {"class": "filter"}, h("input", search | {"autocomplete": "off"}))


def _fold(count: int) -> Html | None:
    """The script hides the rows after the first few and shows this button."""
    if count <= ROWS_SHOWN:
        return None
    more = {"type": "button", "id": "all-classes", "data-shown": ROWS_SHOWN, "hidden": True}
    return h("button", more, f"and {count - ROWS_SHOWN} more")


def _head(name: str, kind: str, order: str) -> Html:
    attributes = {"scope": "col", "class": kind, "aria-sort": order}
    return h("th", attributes, h("button", {"type": "button"}, name))


def _mark(label: str, score: ClassScore, tags: set[str]) -> Html | None:
    """A tag, or the tag that names the same sound, for which this class is left out."""
    if label in tags:
        return h("span", {"class": "mark"}, "tag")
    if not (is_known(score.fused) and score.fused >= score.threshold):
        return None
    same = sorted(tags & (below(label) | above(label)))
    named = f": {', '.join(same)}" if same else ""
    text = f"see {same[0]}" if same else "left out"
    return h("span", {"class": "mark folded", "title": f"{FOLDED}{named}"}, text)


def _row(label: str, score: ClassScore, tags: set[str], *, both: bool) -> Html:
    mark = _mark(label, score, tags)
    apart = (
        [" ", h("small", {"title": MEANING.get(score.mark)}, score.mark)] if score.mark else None
    )
    bar = meter(score.fused, score.threshold) if is_known(score.fused) else None
    return h(
        "tr",
        {"class": "tagged" if label in tags else None},
        h("th", {"scope": "row"}, label, [" ", mark] if mark else None, apart),
        [_cell(score.heard), _cell(score.seen)] if both else None,
        _cell(score.fused, bar),
        _cell(score.threshold),
    )


def _cell(value: float | None, bar: Html | None = None) -> Html:
    """`data-value` is what the script sorts by."""
    key = f"{value:.6f}" if is_known(value) else "-1"
    return h("td", {"data-value": key}, bar, h("span", None, two_digits(value)))

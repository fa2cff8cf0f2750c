"""The index page: its data, and the controls to search, sort and filter them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av_tagger.reports.html.markup import Html, data_block, document, h, join
from av_tagger.reports.html.parts import base_of, shown_folder
from av_tagger.scores import Failed, Tagged

ORDERS = {
    "given": "as given",
    "name": "name",
    "tags": "most tags",
    "sure": "highest probability",
    "long": "longest",
    "short": "shortest",
}


@dataclass(frozen=True)
class IndexEntry:
    """A file of the index: a result with the link to its page, or a failure."""

    outcome: Tagged | Failed
    link: str | None = None


def index_page(entries: Sequence[IndexEntry]) -> Html:
    labels = sorted({tag.label for entry in entries for tag in _tags(entry)})
    numbers = {label: number for number, label in enumerate(labels)}
    base = base_of(entry.outcome.clip.path for entry in entries)
    data = {"labels": labels, "rows": [_row(entry, numbers, base) for entry in entries]}
    rows = h("ol", {"id": "list", "class": "list"})
    empty = h("p", {"id": "empty", "class": "nothing", "hidden": True}, "No file matches.")
    main = h("main", None, rows, empty)
    body = join([_head(entries), _tools(), main, data_block("data", data)])
    return document("av-tag results", "index.js", body)


def _tags(entry: IndexEntry) -> Sequence[Any]:
    return entry.outcome.tags if isinstance(entry.outcome, Tagged) else ()


def _row(entry: IndexEntry, numbers: dict[str, int], base: Path | None) -> list[Any]:
    """[name, folder, link, seconds, [[label number, probability], ...]].

    A failure is [name, folder, null, null, message].
    """
    outcome, path = entry.outcome, entry.outcome.clip.path
    if isinstance(outcome, Failed):
        message = outcome.message.removeprefix(f"{path}: ")
        message = message.replace(str(path), path.name) if path.is_absolute() else message
        return [path.name or outcome.clip.name, shown_folder(path, base), None, None, message]
    tags = [[numbers[tag.label], _rounded(tag.probability, 2)] for tag in outcome.tags]
    seconds = _rounded(outcome.duration_seconds, 1)
    return [_title(outcome), shown_folder(path, base), entry.link, seconds, tags]


def _rounded(value: float, digits: int) -> float | None:
    return round(value, digits) if math.isfinite(value) else None


def _title(tagged: Tagged) -> str:
    """The file's name, with the part of it that was tagged if not the whole."""
    clip = tagged.clip
    name = clip.path.name or clip.name
    if clip.start_seconds == 0 and clip.end_seconds is None:
        return name
    end = "end" if clip.end_seconds is None else f"{clip.end_seconds:g}"
    return f"{name} [{clip.start_seconds:g} – {end} s]"


def _head(entries: Sequence[IndexEntry]) -> Html:
    tagged = [entry.outcome for entry in entries if isinstance(entry.outcome, Tagged)]
    failed = len(entries) - len(tagged)
    seconds = sum(t.duration_seconds for t in tagged if math.isfinite(t.duration_seconds))
    facts = [
        f"{len(entries):,} file{'' if len(entries) == 1 else 's'}",
        f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes",
        f"{failed:,} failed" if failed else None,
    ]
    return h(
        "header",
        {"class": "top"},
        h("h1", None, "Sounds by file"),
        h("p", {"class": "meta"}, [h("span", None, fact) for fact in facts if fact]),
    )


KEYS = (("/", "search"), ("Esc", "clear"), ("↓ ↑", "next and previous file"), ("?", "these keys"))


def _keys() -> list[Html]:
    return [h("span", None, h("kbd", None, key), f" {what} ") for key, what in KEYS]


def _csv() -> Html:
    title = "the files that the filter shows, as a table"
    return h("button", {"type": "button", "id": "csv", "class": "chip", "title": title}, "CSV")


def _tools() -> Html:
    search = {
        "id": "search",
        "type": "search",
        "placeholder": "Search files",
        "aria-label": "Search files",
        "autocomplete": "off",
        "spellcheck": "false",
    }
    filters = {"id": "filters", "class": "filters", "role": "group"}
    options = [h("option", {"value": value}, text) for value, text in ORDERS.items()]
    return h(
        "div",
        {"class": "tools", "role": "search"},
        h("input", search),
        h("label", {"class": "order"}, "Sort ", h("select", {"id": "order"}, options)),
        h("div", filters | {"aria-label": "Filter by class"}),
        h("p", {"class": "count"}, h("span", {"id": "count", "role": "status"}), " ", _csv()),
        h("p", {"class": "keys", "id": "keys"}, _keys()),
        h("noscript", None, "The index needs JavaScript; the pages are in the folder pages."),
    )

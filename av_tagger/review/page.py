"""The page of a review, and the policy that lets it load from this server only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from av_tagger.reports.html.markup import Html, allowed, asset, data_block, h, join

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    '<path d="M2 10v-4M6 14V2M10 11V5M14 9V7" stroke="#2f6fde" stroke-width="2"/></svg>'
)
SCRIPT, STYLE = "review.js", "review.css"
KEYS = (
    ("Y", "yes"),
    ("N", "no"),
    ("C", "another class"),
    ("S", "skip"),
    ("U", "undo"),
    ("Space", "play again"),
    ("M", "mute"),
    ("T", "thresholds"),
)


@cache
def policy() -> str:
    """The header Content-Security-Policy of every answer."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {allowed(asset(SCRIPT))}",
            f"style-src {allowed(asset(STYLE))}",
            "img-src 'self'",
            "media-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def review_page(labels: Sequence[str], reviewer: str) -> str:
    """The whole page; questions are loaded by its script."""
    head = h(
        "head",
        None,
        h("meta", {"charset": "utf-8"}),
        h("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        h("meta", {"name": "color-scheme", "content": "light dark"}),
        h("link", {"rel": "icon", "href": "icon"}),
        h("title", None, "av-tag review"),
        Html(f"<style>{asset(STYLE)}</style>"),
    )
    data = data_block("data", {"labels": list(labels), "reviewer": reviewer})
    parts = [_top(), _question(), _other(), _summary(), data]
    end = f"<body>{join(parts)}<script>{asset(SCRIPT)}</script></body></html>\n"
    return f'<!doctype html>\n<html lang="en">{head}{end}'


def _top() -> Html:
    name = h(
        "label",
        None,
        "Reviewer ",
        h("input", {"id": "reviewer", "maxlength": "200", "autocomplete": "off"}),
    )
    return h(
        "header",
        None,
        h("strong", None, "av-tag review"),
        h("span", {"id": "progress", "role": "status"}, ""),
        name,
    )


def _question() -> Html:
    buttons = [
        h("button", {"type": "button", "data-do": what}, h("kbd", None, key), f" {what}")
        for key, what in KEYS
    ]
    return h(
        "main",
        {"id": "question"},
        h("p", {"id": "error", "role": "alert", "hidden": True}, ""),
        h("h1", {"id": "asked"}, ""),
        h("p", {"id": "file"}, ""),
        h("div", {"id": "players"}, ""),
        h("div", {"id": "spectrogram", "hidden": True}, ""),
        h("p", {"id": "scores"}, ""),
        h("div", {"id": "pictures"}, ""),
        h("nav", {"id": "keys"}, buttons),
    )


def _other() -> Html:
    """Type-ahead over the classes."""
    attributes = {"id": "class", "autocomplete": "off", "aria-controls": "matches"}
    hint = "type a part of its name, Enter takes the first, Esc goes back"
    return h(
        "dialog",
        {"id": "other"},
        h("label", None, "Another class: ", h("input", attributes)),
        h("ol", {"id": "matches"}, ""),
        h("p", None, hint),
    )


def _summary() -> Html:
    heads = ("class", "yes", "no", "now", "suggested", "F1 now", "F1 held-out", "")
    note = (
        "F1 is weighted: uncertain events are asked first, so each answer counts as many"
        " candidates as it stands for. Held-out: the threshold was chosen without the recording."
        " Recall is among the candidates of the run."
    )
    return h(
        "dialog",
        {"id": "summary"},
        h("h2", None, "Thresholds"),
        h(
            "table",
            None,
            h("thead", None, h("tr", None, [h("th", None, x) for x in heads])),
            h("tbody", {"id": "advice"}, ""),
        ),
        h("p", None, note),
        h("p", {"id": "done", "role": "status"}, ""),
        h("pre", {"id": "log"}, ""),
        h("button", {"type": "button", "id": "fusion"}, "Write the fusion file"),
        h("button", {"type": "button", "id": "train"}, "Train my own classes"),
        h("button", {"type": "button", "id": "close"}, "Back (Esc)"),
    )

"""Small pieces that several parts of a page share: numbers, time buttons, evidence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from av_tagger.reports.html.markup import Html, h

if TYPE_CHECKING:
    from av_tagger.scores import Evidence


def is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def two_digits(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.2f}"


def named(value: float | None, name: str) -> Html:
    """A small number; its name is shown when the pointer rests on it."""
    return h("small", {"title": name}, two_digits(value))


def clock(seconds: float, digits: int = 1) -> str:
    """0:03.2, 12:07.0, 1:02:03.2."""
    if not math.isfinite(seconds):
        return "?"
    ticks = round(seconds * 10**digits)
    whole, rest = divmod(ticks, 10**digits)
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02d}:{whole:02d}" if hours else f"{minutes}:{whole:02d}"
    return f"{text}.{rest:0{digits}d}" if digits else text


def seek_button(seconds: float, *content: str | Html) -> Html:
    """A button that moves the player to a time."""
    return h("button", {"type": "button", "data-seek": f"{seconds:.3f}"}, content)


def meter(share: float, threshold: float | None = None) -> Html:
    """A bar from 0 to 1, with a tick at the threshold if there is one."""
    width = {"width": f"{100 * share:.1f}%", "height": "100%", "rx": "3"}
    tick = f"{100 * threshold:.1f}%" if threshold is not None and is_known(threshold) else None
    return h(
        "svg",
        {"class": "meter", "aria-hidden": "true"},
        h("rect", width),
        h("line", {"x1": tick, "x2": tick, "y1": "0", "y2": "100%"}) if tick else None,
    )


def evidence_chain(evidence: Evidence, label: str) -> list[Html]:
    """The recognised object, the similarity of its name to the class's, and the class."""
    object_ = h(
        "span",
        {"class": "object"},
        evidence.object,
        " ",
        named(evidence.probability, "probability of the object in the key frame"),
    )
    arrow = h("span", {"class": "arrow"}, named(evidence.similarity, "similarity of the two names"))
    return [object_, arrow, h("span", {"class": "class"}, label)]

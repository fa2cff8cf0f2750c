"""The tags of a page: one card per tag with probability, branch scores, events and evidence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from av_tagger.reports.html.markup import Html, h
from av_tagger.reports.html.parts import (
    clock,
    folded,
    has_both,
    is_known,
    marked,
    match,
    meter,
    seek_button,
    seen_object,
    spoken_for,
    two_digits,
)

if TYPE_CHECKING:
    from av_tagger.reports.html.timeline import Lane
    from av_tagger.scores import Event, Evidence, Tag, Tagged

EVENTS_SHOWN = 12
EVIDENCE_SHOWN = 3


def tag_cards(tagged: Tagged, lanes: list[Lane]) -> Html:
    """The section "Tags": the cards, or the class that came nearest to its threshold."""
    both = has_both(tagged)
    cards = [
        _card(lane.tag, lane.colour, number, both=both)
        for number, lane in enumerate(lanes)
        if lane.tag
    ]
    return h(
        "section",
        {"class": "found", "aria-labelledby": "found-title"},
        h("h2", {"id": "found-title"}, "Tags"),
        h("ul", {"class": "cards"}, cards) if cards else _no_tags(tagged),
    )


def _no_tags(tagged: Tagged) -> Html:
    near = max(
        (
            (score.fused - score.threshold, label, score)
            for label, score in tagged.scores.items()
            if math.isfinite(score.fused) and math.isfinite(score.threshold)
        ),
        default=None,
    )
    nearest = ""
    if near:
        _, label, score = near
        numbers = f"probability {score.fused:.2f}, threshold {score.threshold:.2f}"
        nearest = f" The nearest is {label}: {numbers}."
    return h("p", {"class": "nothing"}, f"No class reaches its threshold.{nearest}")


def _card(tag: Tag, colour: int, number: int, *, both: bool) -> Html:
    """Heard and seen are named where there are both."""
    probability = [
        h("small", None, "probability"),
        " ",
        h("strong", None, two_digits(tag.probability)),
    ]
    reasons = spoken_for(tag)[:EVIDENCE_SHOWN]
    return h(
        "li",
        {"class": f"card c{colour}", "data-lane": number},
        h("div", {"class": "title"}, h("h3", None, tag.label), h("span", None, probability)),
        marked(tag.mark),
        h("dl", {"class": "heard-seen"}, _bar("heard", tag.heard), _bar("seen", tag.seen))
        if both
        else None,
        h("div", {"class": "times"}, _times(tag.events)),
        h("ul", {"class": "chain"}, [_reason(e) for e in reasons]) if reasons else None,
    )


def _bar(name: str, value: float | None) -> list[Html]:
    bar = meter(value) if value is not None and is_known(value) else None
    return [h("dt", None, name), h("dd", None, bar, h("span", None, two_digits(value)))]


def _times(events: tuple[Event, ...]) -> list[Html | str | None]:
    """A button per event, with the event's peak; of many events all but the first are folded."""
    if not events:
        return ["No single event: seen rather than heard."]
    shown = [_event(event) for event in events[:EVENTS_SHOWN]]
    rest = [_event(event) for event in events[EVENTS_SHOWN:]]
    return [*shown, folded(len(rest), h("div", {"class": "times"}, rest))]


def _event(event: Event) -> Html:
    span = f"{clock(event.start)} – {clock(event.end)} "
    return seek_button(event.start, span, h("small", None, f"peak {two_digits(event.peak)}"))


def _reason(evidence: Evidence) -> Html:
    """Object, where it is seen, and how strongly it stands for the class of the card."""
    button = seek_button(evidence.seconds, clock(evidence.seconds))
    return h("li", None, seen_object(evidence), button, match(evidence))

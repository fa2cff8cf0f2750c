"""The key frames of a page: picture, weight, recognised objects, and the tags they support."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from av_tagger.reports.html.heat import overlay, toggle
from av_tagger.reports.html.markup import Html, h, join
from av_tagger.reports.html.parts import (
    MATCH,
    OBJECT_PROBABILITY,
    clock,
    folded,
    match,
    named,
    seek_button,
    seen_object,
    spoken_for,
)
from av_tagger.reports.schema import data_uri

if TYPE_CHECKING:
    from av_tagger.reports.html.timeline import Lane
    from av_tagger.scores import Evidence, KeyFrame, Tagged

FRAMES_SHOWN = 48
OBJECTS_SHOWN = 2  # in a key frame, with the classes that they support

Links = list[tuple["Evidence", str]]  # the evidence of a key frame, with the tag it is for


def keyframe_cards(tagged: Tagged, lanes: list[Lane]) -> Html:
    """Of many key frames, those with evidence are shown first, then those with large weights."""
    colours = {lane.label: lane.colour for lane in lanes}
    links = _links(tagged)
    frames = tagged.keyframes
    ranked = sorted(range(len(frames)), key=lambda i: (i not in links, -frames[i].weight))
    shown, rest = sorted(ranked[:FRAMES_SHOWN]), sorted(ranked[FRAMES_SHOWN:])
    cards = [_card(frames[i], links.get(i, []), colours) for i in shown]
    legend = (
        "Under an object: the sounds that it speaks for. Its number is its probability in the key "
        f"frame; match: {MATCH}."
    )
    placed = any(e.where is not None for group in links.values() for e, _ in group)
    return join(
        [
            toggle() if placed else None,
            h("ol", {"class": "keyframes"}, cards),
            folded(len(rest), h("ul", {"class": "times"}, [_line(frames[i]) for i in rest])),
            h("p", {"class": "legend"}, legend) if links else None,
        ]
    )


def _line(keyframe: KeyFrame) -> Html:
    """A key frame without its picture."""
    names = ", ".join(name for name, _ in keyframe.objects[:3])
    return h("li", None, seek_button(keyframe.seconds, clock(keyframe.seconds)), f" {names}")


def _links(tagged: Tagged) -> dict[int, Links]:
    """The evidence of all tags by the number of its key frame."""
    links: dict[int, Links] = {}
    for tag in tagged.tags:
        for evidence in spoken_for(tag):
            links.setdefault(_nearest(tagged, evidence), []).append((evidence, tag.label))
    return links


def _nearest(tagged: Tagged, evidence: Evidence) -> int:
    distances = [abs(k.seconds - evidence.seconds) for k in tagged.keyframes]
    return min(range(len(distances)), key=distances.__getitem__, default=-1)


def _card(keyframe: KeyFrame, links: Links, colours: dict[str, int]) -> Html:
    explained = {e.object for e, _ in links}
    others = [(name, p) for name, p in keyframe.objects if name not in explained]
    return h(
        "li",
        None,
        _shot(keyframe, overlay(links, colours)),
        h("p", {"class": "weight"}, f"stands for {100 * keyframe.weight:.0f} % of the clip")
        if math.isfinite(keyframe.weight)
        else None,
        _supports(links, colours) if links else None,
        h("ul", {"class": "objects"}, [_object(name, p) for name, p in others]) if others else None,
    )


def _shot(keyframe: KeyFrame, heat: Html | None) -> Html:
    """The picture as a button that moves the player there; above it where objects are seen."""
    names = ", ".join(name for name, _ in keyframe.objects[:3]) or "nothing recognised"
    picture = (
        h("img", {"src": data_uri(keyframe.picture), "alt": f"key frame: {names}"})
        if keyframe.picture
        else h("span", {"class": "blank"}, "no picture stored")
    )
    return h(
        "button",
        {"type": "button", "class": "shot", "data-seek": f"{keyframe.seconds:.3f}"},
        picture,
        heat if keyframe.picture else None,
        h("span", {"class": "stamp"}, clock(keyframe.seconds)),
    )


def _supports(links: Links, colours: dict[str, int]) -> Html:
    """What the objects support; all but the first objects are folded."""
    lines = [_for(group, colours) for group in _by_object(links)]
    rest = folded(len(lines) - OBJECTS_SHOWN, h("ul", None, lines[OBJECTS_SHOWN:]))
    return h("ul", {"class": "chain"}, lines[:OBJECTS_SHOWN], h("li", None, rest) if rest else None)


def _by_object(links: Links) -> list[Links]:
    """The links of each object, the most probable object first."""
    groups: dict[str, Links] = {}
    for evidence, label in links:
        groups.setdefault(evidence.object, []).append((evidence, label))
    return sorted(groups.values(), key=lambda group: -group[0][0].probability)


def _for(links: Links, colours: dict[str, int]) -> Html:
    """An object and the classes that it supports."""
    classes = [
        h(
            "span",
            {"class": f"class c{colours.get(label, 0)}"},
            h("span", None, label),
            " ",
            match(evidence),
        )
        for evidence, label in links
    ]
    return h("li", None, seen_object(links[0][0]), " ", classes)


def _object(name: str, probability: float) -> Html:
    return h("li", None, name, " ", named(probability, OBJECT_PROBABILITY))

"""The page of one media file: player, tags, timeline, key frames and the scores of all classes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from av_tagger.reports.html.cards import tag_cards
from av_tagger.reports.html.keyframes import keyframe_cards
from av_tagger.reports.html.markup import Html, data_block, document, h, join
from av_tagger.reports.html.parts import breakable, clock, shown_folder
from av_tagger.reports.html.player import PageOptions, player
from av_tagger.reports.html.table import class_table
from av_tagger.reports.html.timeline import (
    Lane,
    Scale,
    lanes_of,
    scale_of,
    timeline,
    zoom_buttons,
)
from av_tagger.scores import BranchInfo, Status, Tagged

_EXPLAINED = {
    Status.OK: "",
    Status.DEGRADED: "parts of the track could not be read",
    Status.NO_TRACK: "the file has no such track",
    Status.NO_WEIGHTS: "its weights are not installed: av-tag weights fetch",
    Status.OFF: "not used",
}
_KEYS = (
    ("Space", "play or pause"),
    ("← →", "one second"),
    ("Shift ← →", "a tenth of a second"),
    ("Home End", "start and end"),
    ("+ −", "zoom the timeline"),
    ("0", "whole timeline"),
    ("?", "these keys"),
)
_LEGEND = "Curves: activity, the probability per frame. Bars: events. Click to go there."


def page(tagged: Tagged, target: Path, spectrogram: bytes | None, options: PageOptions) -> Html:
    scale = scale_of(tagged)
    lanes = lanes_of(tagged, scale)
    when = (zoom_buttons(), timeline(tagged, scale, lanes, spectrogram), _keys())
    seen = keyframe_cards(tagged, lanes) if tagged.keyframes else None
    sections = [
        h("div", {"class": "stage"}, player(tagged, target, options), tag_cards(tagged, lanes)),
        _section("when", "When", *when),
        _section("seen", "What was seen", seen) if seen else None,
        _section("numbers", "All classes", class_table(tagged)),
    ]
    body = join(
        [
            h("a", {"class": "skip", "href": "#when"}, "Skip to the timeline"),
            _header(tagged, options),
            h("main", None, sections),
            _footer(tagged),
            data_block("data", _data(scale, lanes)),
        ]
    )
    return document(tagged.clip.path.name or tagged.clip.name, "page.js", body)


def _section(identifier: str, title: str, *content: Html | None) -> Html:
    return h(
        "section",
        {"id": identifier, "aria-labelledby": f"{identifier}-title"},
        h("h2", {"id": f"{identifier}-title"}, title),
        content,
    )


def _data(scale: Scale, lanes: list[Lane]) -> dict[str, Any]:
    """What the script needs to follow the player: activity and events per lane."""
    return {
        "start": scale.start,
        "end": scale.end,
        "lanes": [
            {
                "activity": _rounded(lane),
                "events": [[e.start, e.end] for e in lane.tag.events] if lane.tag else [],
            }
            for lane in lanes
        ],
    }


def _rounded(lane: Lane) -> list[float | None] | None:
    if lane.activity is None:
        return None
    return [None if np.isnan(v) else round(float(v), 2) for v in lane.activity]


def _header(tagged: Tagged, options: PageOptions) -> Html:
    clip = tagged.clip
    facts = (clock(tagged.duration_seconds), _part(tagged), shown_folder(clip.path))
    notes = [h("li", None, note) for note in tagged.notes]
    return h(
        "header",
        {"class": "top"},
        h("nav", None, h("a", {"href": options.index}, "← All files")) if options.index else None,
        h("h1", None, breakable(clip.path.name or clip.name)),
        h("p", {"class": "meta"}, [h("span", None, fact) for fact in facts if fact]),
        h("ul", {"class": "branches"}, _branch("Ear", tagged.ear), _branch("Eye", tagged.eye)),
        h("ul", {"class": "notes", "role": "note"}, notes) if notes else None,
    )


def _part(tagged: Tagged) -> str | None:
    """Which part of the file was tagged, if not the whole."""
    clip = tagged.clip
    if clip.start_seconds == 0 and clip.end_seconds is None:
        return None
    end = "end" if clip.end_seconds is None else clock(clip.end_seconds)
    return f"{clock(clip.start_seconds)} – {end} of the file"


def _branch(name: str, branch: BranchInfo) -> Html:
    model = " · ".join(filter(None, (branch.model, branch.weights)))
    why = _EXPLAINED[branch.status]
    text = branch.status.value + (f": {why}" if why else "")
    return h(
        "li",
        {"class": branch.status.value.replace(" ", "-")},
        [h("b", None, name), " ", h("span", None, model), " "],
        h("span", {"class": "state", "title": why or None}, text),
    )


def _keys() -> Html:
    keys = [h("span", None, h("kbd", None, key), f" {what} ") for key, what in _KEYS]
    legend = h("p", {"class": "legend"}, _LEGEND)
    return join([legend, h("p", {"class": "keys", "id": "keys"}, keys)])


def _footer(tagged: Tagged) -> Html:
    run = tagged.run
    facts = [
        f"av-tag {run.version}",
        f"on {run.device}",
        f"in {run.seconds:.1f} s" if math.isfinite(run.seconds) else None,
        f"settings {run.fingerprint}" if run.fingerprint else None,
    ]
    return h("footer", None, " · ".join(fact for fact in facts if fact))

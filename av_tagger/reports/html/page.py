"""One media file as a page: the film, the verdict, when, what was seen, and every class's numbers."""

from __future__ import annotations

import base64
import math
import mimetypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import numpy as np

from av_tagger.reports.html.markup import Html, data_block, document, h, join
from av_tagger.reports.html.timeline import Lane, Scale, clock, lanes_of, scale_of, timeline
from av_tagger.reports.schema import data_uri
from av_tagger.scores import BranchInfo, ClassScore, Event, Evidence, KeyFrame, Status, Tag, Tagged

_EVENTS_SHOWN = 12
_MOST_KEYFRAMES = 48
_EXPLAINED = {
    Status.OK: "",
    Status.DEGRADED: "parts of the track could not be read",
    Status.NO_TRACK: "the file has no such track",
    Status.NO_WEIGHTS: "its weights are not there: av-tag weights fetch",
    Status.OFF: "switched off",
}


@dataclass(frozen=True)
class PageOptions:
    """How a page holds its media file, and what stands above it."""

    embed: bool = False  # the media file inside the page instead of a link to it
    embed_limit: int = 200_000_000  # bytes; a larger file is linked all the same
    listen: bool = (
        True  # read the media file once more and draw its spectrogram, where the result brings none
    )
    index: str | None = None  # link to the list of all files


def page(tagged: Tagged, target: Path, spectrogram: bytes | None, options: PageOptions) -> Html:
    scale = scale_of(tagged)
    lanes = lanes_of(tagged, scale)
    body = join(
        [
            h("a", {"class": "skip", "href": "#when"}, "Skip to the timeline"),
            _header(tagged, options),
            h(
                "main",
                None,
                h(
                    "div",
                    {"class": "stage"},
                    _player(tagged, target, options),
                    _verdict(tagged, lanes),
                ),
                _section("when", "When", timeline(tagged, scale, lanes, spectrogram), _keys()),
                _section("seen", "What was seen", _keyframes(tagged, lanes))
                if tagged.keyframes
                else None,
                _section("numbers", "All classes", _table(tagged)),
            ),
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
    """What the script needs to follow the playhead."""
    return {
        "start": scale.start,
        "end": scale.end,
        "lanes": [
            {
                "curve": None
                if lane.curve is None
                else [None if np.isnan(v) else round(float(v), 2) for v in lane.curve],
                "events": [[e.start, e.end] for e in lane.tag.events] if lane.tag else [],
            }
            for lane in lanes
        ],
    }


# The head of the page.


def _header(tagged: Tagged, options: PageOptions) -> Html:
    clip = tagged.clip
    part = None
    if clip.start_seconds > 0 or clip.end_seconds is not None:
        part = f"{clock(clip.start_seconds)} – {'end' if clip.end_seconds is None else clock(clip.end_seconds)} of the file"
    facts = [
        clock(tagged.duration_seconds),
        part,
        str(clip.path.parent) if clip.path.parent != Path() else None,
    ]
    return h(
        "header",
        {"class": "top"},
        h("nav", None, h("a", {"href": options.index}, "← All files")) if options.index else None,
        h("h1", {"title": clip.name}, clip.path.name or clip.name),
        h("p", {"class": "meta"}, [h("span", None, fact) for fact in facts if fact]),
        h("ul", {"class": "branches"}, _branch("Ear", tagged.ear), _branch("Eye", tagged.eye)),
        h("ul", {"class": "notes", "role": "note"}, [h("li", None, note) for note in tagged.notes])
        if tagged.notes
        else None,
    )


def _branch(name: str, branch: BranchInfo) -> Html:
    what = " · ".join(filter(None, (branch.model, branch.weights)))
    why = _EXPLAINED[branch.status]
    state = h(
        "span",
        {"class": "state", "title": why or None},
        branch.status.value + (f": {why}" if why else ""),
    )
    return h(
        "li",
        {"class": branch.status.value.replace(" ", "-")},
        h("b", None, name),
        " ",
        h("span", None, what),
        " ",
        state,
    )


def _player(tagged: Tagged, target: Path, options: PageOptions) -> Html:
    path = tagged.clip.path
    kind = mimetypes.guess_type(path.name)[0] or ""
    sound_only = tagged.eye.status is Status.NO_TRACK or kind.startswith("audio/")
    attributes = {
        "id": "media",
        "controls": True,
        "preload": "metadata",
        "playsinline": True,
        "src": _source(path, target, kind, options),
    }
    lost = [
        "This browser cannot play the file, or it is no longer at ",
        h("code", None, str(path)),
        ".",
    ]
    poster = None if sound_only else _poster(tagged)
    player = h("audio" if sound_only else "video", attributes | {"poster": poster}, "")
    return h(
        "div",
        {"class": "player sound-only" if sound_only else "player"},
        player,
        h("p", {"id": "lost", "hidden": True}, lost),
    )


def _poster(tagged: Tagged) -> str | None:
    """The key frame that stands for most, until the film plays."""
    shown = [k for k in tagged.keyframes if k.picture is not None]
    best = max(shown, key=lambda k: k.weight if math.isfinite(k.weight) else -1.0, default=None)
    return data_uri(best.picture) if best is not None and best.picture is not None else None


def _source(path: Path, target: Path, kind: str, options: PageOptions) -> str:
    full = path.absolute()
    if options.embed and full.is_file() and full.stat().st_size <= options.embed_limit:
        return f"data:{kind or 'video/mp4'};base64,{base64.b64encode(full.read_bytes()).decode('ascii')}"
    try:
        relative = os.path.relpath(full, target.absolute().parent)
    except ValueError:  # on another drive
        return full.as_uri()
    return quote_from_bytes(os.fsencode(relative.replace(os.sep, "/")), safe="/")


# The verdict: a card a tag.


def _verdict(tagged: Tagged, lanes: list[Lane]) -> Html:
    cards = [_card(lane.tag, lane.colour, number) for number, lane in enumerate(lanes) if lane.tag]
    content = h("ul", {"class": "cards"}, cards) if cards else _nothing(tagged)
    return h(
        "section",
        {"class": "verdict", "aria-labelledby": "verdict-title"},
        h("h2", {"id": "verdict-title"}, "What sounds here"),
        content,
    )


def _nothing(tagged: Tagged) -> Html:
    near = max(
        (
            (s.fused - s.threshold, label, s)
            for label, s in tagged.scores.items()
            if math.isfinite(s.fused) and math.isfinite(s.threshold)
        ),
        default=None,
    )
    nearest = (
        f" The nearest is {near[1]}: {near[2].fused:.2f} of {near[2].threshold:.2f}."
        if near
        else ""
    )
    return h("p", {"class": "nothing"}, f"No class reaches its threshold.{nearest}")


def _card(tag: Tag, colour: int, number: int) -> Html:
    return h(
        "li",
        {"class": f"card c{colour}", "data-lane": number},
        h(
            "div",
            {"class": "title"},
            h("h3", None, tag.label),
            h("strong", None, _two(tag.probability)),
        ),
        h("dl", {"class": "witnessed"}, _bar("heard", tag.heard), _bar("seen", tag.seen)),
        h("p", {"class": "times"}, _times(tag.events)),
        h(
            "ul",
            {"class": "chain"},
            [h("li", None, _chain(e, tag.label, with_time=True)) for e in tag.evidence[:3]],
        )
        if tag.evidence
        else None,
    )


def _bar(name: str, value: float | None) -> list[Html]:
    share = value if value is not None and math.isfinite(value) else None
    meter = (
        h(
            "svg",
            {"class": "meter", "aria-hidden": "true"},
            h("rect", {"width": f"{100 * share:.1f}%", "height": "100%", "rx": "3"}),
        )
        if share is not None
        else None
    )
    return [h("dt", None, name), h("dd", None, meter, h("span", None, _two(value)))]


def _times(events: tuple[Event, ...]) -> list[Html | str]:
    if not events:
        return ["No moment stands out; it was seen rather than heard."]
    more = len(events) - _EVENTS_SHOWN
    shown: list[Html | str] = [
        _seek(e.start, f"{clock(e.start)} – {clock(e.end)}") for e in events[:_EVENTS_SHOWN]
    ]
    return [*shown, h("span", {"class": "more"}, f"and {more} more")] if more > 0 else shown


def _seek(seconds: float, text: str) -> Html:
    return h("button", {"type": "button", "data-seek": f"{seconds:.3f}"}, text)


def _chain(evidence: Evidence, label: str, *, with_time: bool) -> list[Html]:
    """What was recognised, how near its name is to the sound's, and the sound."""
    links = [
        h(
            "span",
            {"class": "object"},
            evidence.object,
            " ",
            h("small", None, _two(evidence.probability)),
        ),
        h(
            "span",
            {"class": "arrow", "title": "how near the two names are"},
            h("small", None, _two(evidence.similarity)),
        ),
        h("span", {"class": "class"}, label),
    ]
    return [*links, _seek(evidence.seconds, clock(evidence.seconds))] if with_time else links


# What was seen.


def _keyframes(tagged: Tagged, lanes: list[Lane]) -> Html:
    colours = {lane.label: lane.colour for lane in lanes}
    links: dict[int, list[tuple[Evidence, str]]] = {}
    for tag in tagged.tags:
        for evidence in tag.evidence:
            links.setdefault(_nearest(tagged, evidence), []).append((evidence, tag.label))
    ranked = sorted(
        range(len(tagged.keyframes)), key=lambda i: (i not in links, -tagged.keyframes[i].weight)
    )
    shown = sorted(
        ranked[:_MOST_KEYFRAMES]
    )  # a long file has hundreds: those that gave evidence, then those that stand for most
    more = len(ranked) - len(shown)
    cards = h(
        "ol",
        {"class": "keyframes"},
        [_keyframe(tagged.keyframes[i], links.get(i, []), colours) for i in shown],
    )
    return join([cards, h("p", {"class": "keys"}, f"and {more} more")]) if more else cards


def _nearest(tagged: Tagged, evidence: Evidence) -> int:
    return min(
        range(len(tagged.keyframes)),
        key=lambda i: abs(tagged.keyframes[i].seconds - evidence.seconds),
        default=-1,
    )


def _keyframe(
    keyframe: KeyFrame, links: list[tuple[Evidence, str]], colours: dict[str, int]
) -> Html:
    alt = "key frame: " + (
        ", ".join(name for name, _ in keyframe.objects[:3]) or "nothing recognised"
    )
    shown = (
        h("img", {"src": data_uri(keyframe.picture), "alt": alt})
        if keyframe.picture
        else h("span", {"class": "blank"}, "no picture kept")
    )
    explained = {e.object for e, _ in links}
    others = [(name, p) for name, p in keyframe.objects if name not in explained]
    return h(
        "li",
        None,
        h(
            "button",
            {"type": "button", "class": "shot", "data-seek": f"{keyframe.seconds:.3f}"},
            shown,
            h("span", {"class": "stamp"}, clock(keyframe.seconds)),
        ),
        h("p", {"class": "weight"}, f"stands for {100 * keyframe.weight:.0f} % of the clip")
        if math.isfinite(keyframe.weight)
        else None,
        h(
            "ul",
            {"class": "chain"},
            [
                h("li", {"class": f"c{colours.get(label, 0)}"}, _chain(e, label, with_time=False))
                for e, label in links
            ],
        )
        if links
        else None,
        h(
            "ul",
            {"class": "objects"},
            [h("li", None, name, " ", h("small", None, _two(p))) for name, p in others],
        )
        if others
        else None,
    )


# Every class's numbers.


def _table(tagged: Tagged) -> Html:
    named = {tag.label for tag in tagged.tags}
    rows = sorted(
        tagged.scores.items(),
        key=lambda item: -item[1].fused if math.isfinite(item[1].fused) else 1.0,
    )
    heads = [
        _head("class", "Class", "none"),
        *(
            _head("n", name, "descending" if name == "Fused" else "none")
            for name in ("Heard", "Seen", "Fused", "Threshold")
        ),
    ]
    body = [_table_row(label, score, label in named) for label, score in rows]
    return h(
        "div",
        {"class": "scroll"},
        h("table", {"id": "table"}, h("thead", None, h("tr", None, heads)), h("tbody", None, body)),
    )


def _head(kind: str, name: str, order: str) -> Html:
    return h(
        "th",
        {"scope": "col", "class": kind, "aria-sort": order},
        h("button", {"type": "button"}, name),
    )


def _table_row(label: str, score: ClassScore, tagged: bool) -> Html:
    cells = [
        _cell(score.heard),
        _cell(score.seen),
        _cell(score.fused, score),
        _cell(score.threshold),
    ]
    return h(
        "tr",
        {"class": "tagged" if tagged else None},
        h(
            "th",
            {"scope": "row"},
            label,
            [" ", h("span", {"class": "mark"}, "tag")] if tagged else None,
        ),
        cells,
    )


def _cell(value: float | None, score: ClassScore | None = None) -> Html:
    known = value is not None and math.isfinite(value)
    meter = _meter(score) if score is not None and known else None
    return h(
        "td", {"data-value": f"{value:.6f}" if known else "-1"}, meter, h("span", None, _two(value))
    )


def _meter(score: ClassScore) -> Html:
    """The fused probability as a bar with a tick at the threshold."""
    tick = f"{100 * score.threshold:.1f}%" if math.isfinite(score.threshold) else None
    return h(
        "svg",
        {"class": "meter", "aria-hidden": "true"},
        h("rect", {"width": f"{100 * score.fused:.1f}%", "height": "100%", "rx": "3"}),
        h("line", {"x1": tick, "x2": tick, "y1": "0", "y2": "100%"}) if tick else None,
    )


def _two(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.2f}"


def _keys() -> Html:
    keys = (
        ("Space", "plays"),
        ("← →", "one second"),
        ("Shift ← →", "a tenth"),
        ("Home End", "first and last"),
    )
    return h(
        "p",
        {"class": "keys"},
        "Click to go there. ",
        [h("span", None, h("kbd", None, key), f" {what} ") for key, what in keys],
    )


def _footer(tagged: Tagged) -> Html:
    run = tagged.run
    facts = [
        f"av-tag {run.version}",
        f"on {run.device}",
        f"in {run.seconds:.1f} s" if math.isfinite(run.seconds) else None,
        f"settings {run.fingerprint}" if run.fingerprint else None,
    ]
    return h("footer", None, " · ".join(fact for fact in facts if fact))

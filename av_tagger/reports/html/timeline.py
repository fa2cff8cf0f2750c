"""The timeline: axis, spectrogram, key frames and one lane per class over the same seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from av_tagger.reports.html.markup import Html, h
from av_tagger.reports.html.parts import clock
from av_tagger.reports.schema import data_uri

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from av_tagger.scores import Activity, Tag, Tagged

_BINS = 1200  # more than a screen has pixels
_MOST_OTHERS = 40  # classes without a tag; the table has all
_HEIGHT = 100.0  # of a curve, in units of its viewBox
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
COLOURS = 8  # hues in the style sheet


@dataclass(frozen=True)
class Lane:
    """One class over time."""

    label: str
    colour: int
    tag: Tag | None
    activity: NDArray[np.float64] | None  # (bins,) highest in each bin; NaN: not heard


@dataclass(frozen=True)
class Scale:
    """The seconds of the file that the timeline shows."""

    start: float
    end: float

    def percent(self, seconds: float) -> float:
        return round(100 * (seconds - self.start) / (self.end - self.start), 4)


def scale_of(tagged: Tagged) -> Scale:
    start = tagged.clip.start_seconds
    events = [event.end for tag in tagged.tags for event in tag.events]
    length = tagged.duration_seconds if math.isfinite(tagged.duration_seconds) else 0.0
    return Scale(start, max([start + max(length, 0.1), *events]))


def lanes_of(tagged: Tagged, scale: Scale) -> list[Lane]:
    """Tags first, then up to 40 other classes that the ear knows, by probability."""
    tags = {tag.label: tag for tag in tagged.tags}
    curves = _curves(tagged.activity, tuple(tagged.scores), scale)
    others = sorted(
        (label for label in curves if label not in tags),
        key=lambda label: -_known(tagged.scores[label].fused),
    )
    return [
        Lane(label, number % COLOURS if label in tags else -1, tags.get(label), curves.get(label))
        for number, label in enumerate([*tags, *others[:_MOST_OTHERS]])
    ]


def _known(value: float) -> float:
    return value if math.isfinite(value) else -1.0


def _curves(
    activity: Activity | None, labels: tuple[str, ...], scale: Scale
) -> dict[str, NDArray[np.float64]]:
    """The highest activity of each class in each of at most `_BINS` equal bins of the timeline."""
    if activity is None or not len(activity.values):
        return {}
    bins = max(1, min(_BINS, math.ceil((scale.end - scale.start) * activity.rate)))
    times = activity.start_seconds + np.arange(len(activity.values)) / activity.rate
    places = np.floor((times - scale.start) / (scale.end - scale.start) * bins + 1e-6).astype(int)
    inside = (places >= 0) & (places < bins)
    peaks = np.full((bins, len(labels)), -np.inf)
    np.maximum.at(
        peaks,
        places[inside],
        np.nan_to_num(activity.values[inside].astype(np.float64), nan=-np.inf),
    )
    peaks[np.isneginf(peaks)] = np.nan
    return {
        label: column
        for label, column in zip(labels, peaks.T, strict=True)
        if np.isfinite(column).any()
    }


def timeline(tagged: Tagged, scale: Scale, lanes: list[Lane], spectrogram: bytes | None) -> Html:
    """All rows under one cover that receives clicks and carries the playhead."""
    named = [lane for lane in lanes if lane.tag is not None]
    rest = [lane for lane in lanes if lane.tag is None]
    rows = [
        _row("", "axis", _axis(scale), _heading(lanes)),
        _row("Sound", "picture", h("img", {"src": data_uri(spectrogram), "alt": "mel spectrogram"}))
        if spectrogram
        else None,
        _row("Key frames", "marks", _marks(tagged, scale)) if tagged.keyframes else None,
        *(_lane(lane, n, scale) for n, lane in enumerate(named)),
    ]
    slider = {
        "class": "lanes",
        "id": "lanes",
        "role": "slider",
        "tabindex": 0,
        "aria-label": "Position in the file",
        "aria-valuemin": f"{scale.start:.1f}",
        "aria-valuemax": f"{scale.end:.1f}",
        "aria-valuenow": f"{scale.start:.1f}",
    }
    others = (
        h(
            "details",
            {"class": "others", "open": not named},
            h("summary", None, f"{len(rest)} {'other ' if named else ''}classes"),
            h(
                "div",
                {"class": "lanes quiet"},
                [_lane(lane, n + len(named), scale) for n, lane in enumerate(rest)],
                _cover(),
            ),
        )
        if rest
        else None
    )
    return Html(h("div", slider, rows, _cover()) + (others or ""))


def zoom_buttons() -> Html:
    """Work with the script only, which shows them."""
    buttons = {"-": ("−", "zoom out"), "0": ("whole", "whole timeline"), "+": ("+", "zoom in")}
    return h(
        "p",
        {"class": "zoom", "id": "zoom", "hidden": True},
        [
            h("button", {"type": "button", "data-zoom": key, "aria-label": name}, text)
            for key, (text, name) in buttons.items()
        ],
    )


def _heading(lanes: list[Lane]) -> Html | None:
    """The name of the numbers beside the lanes."""
    if all(lane.activity is None for lane in lanes):
        return None
    return h("small", {"title": "probability per frame, at the playhead"}, "activity")


def _cover() -> Html:
    return h(
        "div",
        {"class": "cover"},
        h("div", {"class": "ghost"}, h("span")),
        h("div", {"class": "playhead"}),
    )


def _row(name: str, kind: str, track: Html, now: Html | None = None) -> Html:
    return h(
        "div",
        {"class": f"lane {kind}"},
        h("div", {"class": "name"}, h("span", None, name), now),
        h("div", {"class": "track"}, track),
    )


def _lane(lane: Lane, number: int, scale: Scale) -> Html:
    colour = f"c{lane.colour}" if lane.colour >= 0 else "plain"
    now = (
        h("output", {"class": "now", "data-lane": number, "title": "activity now"})
        if lane.activity is not None
        else None
    )
    return _row(
        lane.label,
        f"sound {colour}",
        h("svg", {"class": "graph", "aria-hidden": "true"}, _bars(lane, scale), _curve(lane)),
        now,
    )


def _bars(lane: Lane, scale: Scale) -> list[Html]:
    if lane.tag is None:
        return []
    if not lane.tag.events:
        return [
            h("rect", {"class": "whole", "x": "0", "y": "0", "width": "100%", "height": "100%"})
        ]
    return [
        h(
            "rect",
            {
                "class": "event",
                "x": f"{scale.percent(e.start)}%",
                "width": f"{_width(scale, e.start, e.end)}%",
                "y": "0",
                "height": "100%",
                "rx": "3",
            },
        )
        for e in lane.tag.events
    ]


def _width(scale: Scale, start: float, end: float) -> float:
    return max(round(scale.percent(end) - scale.percent(start), 4), 0.2)


def _curve(lane: Lane) -> Html | None:
    """The activity as a line over an area, with gaps where nothing was heard."""
    if lane.activity is None:
        return None
    known = np.flatnonzero(np.isfinite(lane.activity))
    areas = [
        _area(lane.activity, run) for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    ]
    box = {
        "viewBox": f"0 0 {len(lane.activity)} {_HEIGHT:g}",
        "preserveAspectRatio": "none",
        "width": "100%",
        "height": "100%",
    }
    fills = [
        h(
            "path",
            {"class": "area", "d": f"M{run[0]} {_HEIGHT:g}L{line}L{run[-1] + 1} {_HEIGHT:g}Z"},
        )
        for run, line in areas
    ]
    lines = [
        h("path", {"class": "line", "d": f"M{line}", "vector-effect": "non-scaling-stroke"})
        for _, line in areas
    ]
    return h("svg", box, fills, lines)


def _area(curve: NDArray[np.float64], run: NDArray[np.int64]) -> tuple[NDArray[np.int64], str]:
    points = [f"{i + 0.5:g} {_HEIGHT * (1 - curve[i]):.4g}" for i in run]
    first, last = (
        f"{run[0]} {_HEIGHT * (1 - curve[run[0]]):.4g}",
        f"{run[-1] + 1} {_HEIGHT * (1 - curve[run[-1]]):.4g}",
    )
    return run, "L".join([first, *points, last])


def _marks(tagged: Tagged, scale: Scale) -> Html:
    dots = [
        h(
            "circle",
            {
                "cx": f"{scale.percent(k.seconds)}%",
                "cy": "50%",
                "r": f"{4 + 6 * math.sqrt(min(max(_known(k.weight), 0.0), 1.0)):.1f}",
            },
        )
        for k in tagged.keyframes
    ]
    return h("svg", {"class": "graph", "aria-hidden": "true"}, dots)


def _axis(scale: Scale) -> Html:
    step = _step(scale.end - scale.start)
    first = math.ceil(scale.start / step - 1e-9)
    ticks = [n * step for n in range(first, int(scale.end / step + 1e-9) + 1)]
    lines = [
        h(
            "line",
            {"x1": f"{scale.percent(t)}%", "x2": f"{scale.percent(t)}%", "y1": "60%", "y2": "100%"},
        )
        for t in ticks
    ]
    texts = [
        h(
            "text",
            {
                "x": f"{scale.percent(t)}%",
                "dx": 4 if _anchor(scale.percent(t)) == "start" else None,  # beside the playhead
                "y": "45%",
                "text-anchor": _anchor(scale.percent(t)),
                "class": "odd" if round(t / step) % 2 else None,  # left out on narrow screens
            },
            clock(t, 1 if step < 1 else 0),
        )
        for t in ticks
    ]
    return h("svg", {"class": "graph", "aria-hidden": "true"}, lines, texts)


def _step(length: float) -> float:
    """Seconds between ticks: at most eleven ticks, however long the file is."""
    step = next((s for s in _STEPS if length / s <= 10), float(_STEPS[-1]))
    while length / step > 10:
        step *= 2
    return step


def _anchor(percent: float) -> str:
    return "start" if percent < 2 else "end" if percent > 97 else "middle"

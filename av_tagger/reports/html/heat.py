"""The overlay of a key frame: where the objects that speak for a tag are seen."""

from __future__ import annotations

from collections.abc import Iterable

from av_tagger.reports.html.markup import Html, h
from av_tagger.scores import Evidence, Heat

HEIGHT = 100.0  # of the drawing; its width follows the picture
FAINTEST = 0.05  # cells below are left out
DENSEST = 0.75  # opacity of the hottest cell

Links = Iterable[tuple[Evidence, str]]


def overlay(links: Links, colours: dict[str, int]) -> Html | None:
    """Cropped as the picture below it; None without any place. The first tag of an object counts.

    The grid covers a square of the picture, which tells the picture's own form.
    """
    first: dict[str, tuple[Evidence, str]] = {}
    for evidence, label in links:
        if evidence.where is not None:
            first.setdefault(evidence.object, (evidence, label))
    if not first:
        return None
    heats = [e.where for e, _ in first.values() if e.where is not None]
    width = HEIGHT * _form(heats[0])
    groups = [_drawn(e, label, width, colours) for e, label in first.values()]
    form = {"viewBox": f"0 0 {width:.1f} {HEIGHT:g}", "preserveAspectRatio": "xMidYMid slice"}
    names = ", ".join(first)
    return h(
        "svg", {"class": "heat", "role": "img", "aria-label": f"where: {names}", **form}, groups
    )


def toggle() -> Html:
    """Switches all overlays of the page."""
    words = {"type": "button", "id": "where", "class": "chip", "aria-pressed": "true"}
    return h("p", None, h("button", words, "Show where"))


def _form(heat: Heat) -> float:
    """Width of the picture by its height."""
    left, top, right, bottom = heat.area
    return (bottom - top) / max(1e-6, right - left)


def _drawn(evidence: Evidence, label: str, width: float, colours: dict[str, int]) -> Html:
    heat = evidence.where
    assert heat is not None
    left, top, right, bottom = heat.box
    frame = {
        "x": f"{width * left:.1f}",
        "y": f"{HEIGHT * top:.1f}",
        "width": f"{width * (right - left):.1f}",
        "height": f"{HEIGHT * (bottom - top):.1f}",
        "class": "place",
    }
    title = h("title", None, f"{evidence.object}: {label}")
    hue = {"class": f"c{colours.get(label, 0)}"}
    return h("g", hue, title, *_cells(heat, width), h("rect", frame))


def _cells(heat: Heat, width: float) -> list[Html]:
    left, top, right, bottom = heat.area
    down = HEIGHT * (bottom - top) / len(heat.grid)
    across = width * (right - left) / len(heat.grid[0])
    size = {"width": f"{across:.2f}", "height": f"{down:.2f}"}
    return [
        h(
            "rect",
            {
                "x": f"{width * left + across * column:.1f}",
                "y": f"{HEIGHT * top + down * row:.1f}",
                "fill-opacity": f"{DENSEST * value:.2f}",
                **size,
            },
        )
        for row, values in enumerate(heat.grid)
        for column, value in enumerate(values)
        if value >= FAINTEST
    ]

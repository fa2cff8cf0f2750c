"""Small pieces that several parts of a page share: numbers, time buttons, evidence."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.reports.html.markup import Child, Html, h
from av_tagger.scores import HEARD_NOT_SEEN, SEEN_SILENT

if TYPE_CHECKING:
    from av_tagger.scores import Evidence, Tag, Tagged

OBJECT_PROBABILITY = "probability of the object in the key frame"
MEANING = {
    HEARD_NOT_SEEN: "the sound alone reaches its threshold; no key frame shows such a thing",
    SEEN_SILENT: "a key frame shows it; the sound alone stays below its threshold",
}
MATCH = "how strongly the object stands for the sound; 1: by its name or definition"


def shown_folder(path: Path, base: Path | None = None) -> str:
    """The folder of a file as pages show it, empty for the working folder.

    Of an absolute path only what lies below `base` (by default its last folder), so that a page
    does not disclose where the files of its maker are.
    """
    parent = path.parent
    if not path.is_absolute():
        return "" if parent == Path() else str(parent)
    below = base or parent.parent
    return str(parent.relative_to(below)) if parent.is_relative_to(below) else parent.name


def breakable(name: str) -> list[str | Html]:
    """A file name that may be broken after `_`, `-` and `.` where it is too long for a line."""
    pieces = re.split(r"(?<=[_.-])(?=[^_.-])", name)
    return [part for piece in pieces for part in (Html("<wbr>"), piece)][1:]


def base_of(paths: Iterable[Path]) -> Path | None:
    """The folder above everything that absolute paths have in common."""
    folders = {str(path.parent) for path in paths if path.is_absolute()}
    try:
        return Path(os.path.commonpath(folders)).parent if folders else None
    except ValueError:  # on several drives
        return None


def is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def two_digits(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.2f}"


def marked(mark: str) -> Html | None:
    """Where ear and eye disagree, with what that means when the pointer rests on it."""
    if not mark:
        return None
    return h("p", {"class": "disagree", "title": MEANING.get(mark)}, mark)


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


def spoken_for(tag: Tag) -> list[Evidence]:
    """The evidence of a tag without objects that two digits would show as 0.00."""
    return [e for e in tag.evidence if round(e.probability, 2) > 0]


def seen_object(evidence: Evidence) -> Html:
    """A recognised object with its probability in the key frame."""
    number = named(evidence.probability, OBJECT_PROBABILITY)
    return h("span", {"class": "object"}, evidence.object, " ", number)


def match(evidence: Evidence) -> Html:
    """How strongly the object stands for the class."""
    return h("small", {"title": MATCH}, f"match {two_digits(evidence.similarity)}")


def folded(more: int, content: Child) -> Html | None:
    """What a list leaves out, behind a line that opens it."""
    if more <= 0:
        return None
    return h("details", {"class": "more"}, h("summary", None, f"and {more} more"), content)


def has_both(tagged: Tagged) -> bool:
    """Whether ear and eye both scored anything; else the one score is the probability itself."""
    scores = tagged.scores.values()
    tags = tagged.tags
    return all(
        any(is_known(getattr(score, name)) for score in (*scores, *tags))
        for name in ("heard", "seen")
    )

"""Hits as a page with players: made like the report pages, nothing is loaded from outside."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from pathlib import Path

from av_tagger.collection.search import Found, FoundEvent, Hit
from av_tagger.collection.tables import date_of, media_of, whole_of
from av_tagger.reports.html.markup import Html, document, h, join
from av_tagger.reports.html.parts import base_of, breakable, clock, folded, shown_folder, two_digits
from av_tagger.reports.html.player import media_link

EVENTS_SHOWN = 12
PLAYERS = "Click a time to play it. The films are linked by paths relative to this page."


def hits_page(query: str, why: Sequence[str], found: Found, target: Path) -> Html:
    """The page of a search; `target` is where it will be, for links to the media."""
    hits, total = found.hits, found.total
    base = base_of(Path(hit.file) for hit in hits)
    shown = f"{total:,} found" + (f", the best {len(hits):,} here" if total > len(hits) else "")
    head = h(
        "header",
        {"class": "top"},
        h("h1", None, query),
        h("p", {"class": "meta"}, h("span", None, shown)),
        h("ul", {"class": "notes"}, [h("li", None, line) for line in why]) if why else None,
        h("p", {"class": "keys"}, PLAYERS),
    )
    cards = [_card(hit, number, target, base) for number, hit in enumerate(hits)]
    nothing = h("p", {"class": "nothing"}, "Nothing was found.")
    found_here = [h("h2", None, "Best first"), h("ul", {"class": "cards"}, cards)]
    main = h("main", None, found_here if cards else nothing)
    return document(f"{query} - av-tag find", "find.js", join([head, main]))


def _card(hit: Hit, number: int, target: Path, base: Path | None) -> Html:
    path = Path(hit.file)
    day = (date_of(hit) or "")[:16].replace("T", " ")  # to the minute, local time
    facts = [shown_folder(path, base), day, ", ".join(n for n, _ in hit.tags[:6])]
    score = h(
        "span", None, h("small", None, "score"), " ", h("strong", None, two_digits(hit.score))
    )
    details = h(
        "div",
        None,
        h("div", {"class": "title"}, h("h3", None, breakable(path.name or hit.file)), score),
        h("p", {"class": "meta"}, [h("span", None, fact) for fact in facts if fact]),
        _times(hit, number),
    )
    players = [_player(media, f"p{number}-{i}", target) for i, media in enumerate(_media(hit))]
    stage = h("div", {"class": "stage"}, h("div", {"class": "player"}, players), details)
    return h("li", {"class": f"card c{number % 8}"}, stage if players else details)


def _media(hit: Hit) -> list[str]:
    """The files to play: the film, or the kept sounds of a stream."""
    played = (media_of(hit, event) for event in _events(hit))
    return list(dict.fromkeys(media[0] for media in played if media is not None))[:EVENTS_SHOWN]


def _player(media: str, name: str, target: Path) -> Html:
    kind = mimetypes.guess_type(media)[0] or ""
    sound = kind.startswith("audio/")
    source = media_link(Path(media), target)
    attributes = {"id": name, "controls": True, "preload": "none", "playsinline": True}
    return h("audio" if sound else "video", attributes | {"src": source}, "")


def _times(hit: Hit, number: int) -> Html:
    files = _media(hit)
    buttons = [_button(hit, event, number, files) for event in _events(hit)]
    rest = folded(len(buttons) - EVENTS_SHOWN, h("div", {"class": "times"}, buttons[EVENTS_SHOWN:]))
    return h("div", {"class": "times"}, buttons[:EVENTS_SHOWN], rest)


def _button(hit: Hit, event: FoundEvent, number: int, files: list[str]) -> Html:
    media = media_of(hit, event)
    text = f"{event.label} {clock(event.start)} – {clock(event.end)} "
    attributes = {"type": "button"}
    if media is not None and media[0] in files:
        player = f"p{number}-{files.index(media[0])}"
        attributes |= {"data-player": player, "data-seek": f"{media[1]:.3f}"}
    return h("button", attributes, text, h("small", None, f"peak {two_digits(event.peak)}"))


def _events(hit: Hit) -> tuple[FoundEvent, ...]:
    return hit.events or (whole_of(hit),)

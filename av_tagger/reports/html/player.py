"""The media player of a page, with a link to the media file or the file itself inside."""

from __future__ import annotations

import base64
import math
import mimetypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from av_tagger.reports.html.markup import Html, h
from av_tagger.reports.html.parts import shown_folder
from av_tagger.reports.schema import data_uri
from av_tagger.scores import Status

if TYPE_CHECKING:
    from av_tagger.clip import Clip
    from av_tagger.scores import Tagged


@dataclass(frozen=True)
class PageOptions:
    """How a page holds its media file, and where its index is."""

    embed: bool = False  # the media file inside the page instead of a link to it
    embed_limit: int = 200_000_000  # bytes; larger files are linked
    embed_small: int = 0  # bytes; files up to this size are inside the page in any case
    listen: bool = True  # read the media file to draw a spectrogram if the result has none
    index: str | None = None  # link to the index


def player(tagged: Tagged, target: Path, options: PageOptions) -> Html:
    """A <video>, or an <audio> for files without pictures; a message if it cannot be played."""
    path = tagged.clip.path
    kind = mimetypes.guess_type(path.name)[0] or ""
    sound_only = tagged.eye.status is Status.NO_TRACK or kind.startswith("audio/")
    source = _source(tagged.clip, target, kind, options)
    attributes = {
        "id": "media",
        "controls": True,
        "preload": "metadata",
        "playsinline": True,
        "src": source,
        "poster": None if sound_only else _poster(tagged),
    }
    where = tagged.clip.source or str(Path(shown_folder(path)) / path.name)
    lost = ["This browser cannot play the file, or it is not at ", h("code", None, where), "."]
    return h(
        "div",
        {"class": "player"},
        h("audio" if sound_only else "video", attributes, ""),
        h("p", {"id": "lost", "hidden": source is not None}, lost),
    )


def _poster(tagged: Tagged) -> str | None:
    """The key frame with the largest weight, shown until the video plays."""
    shown = [k for k in tagged.keyframes if k.picture is not None]
    best = max(shown, key=lambda k: k.weight if math.isfinite(k.weight) else -1.0, default=None)
    return data_uri(best.picture) if best is not None and best.picture is not None else None


def _source(clip: Clip, target: Path, kind: str, options: PageOptions) -> str | None:
    """A data URI, or a link relative to the page.

    The copy of an address will be deleted: it is inside the page, or there is None.
    """
    full, whole = clip.path.absolute(), options.embed or bool(clip.source)
    limit = options.embed_limit if whole else options.embed_small
    if limit and full.is_file() and full.stat().st_size <= limit:
        data = base64.b64encode(full.read_bytes()).decode("ascii")
        return f"data:{kind or 'video/mp4'};base64,{data}"
    if clip.source:
        return None
    return media_link(clip.path, target)


def media_link(path: Path, target: Path) -> str:
    """A link to a media file, relative to the page."""
    full = path.absolute()
    try:
        relative = os.path.relpath(full, target.absolute().parent)
    except ValueError:  # on another drive
        return full.as_uri()
    return quote_from_bytes(os.fsencode(relative.replace(os.sep, "/")), safe="/")

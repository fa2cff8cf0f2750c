"""Hits as JSON lines, CSV and a playlist (M3U)."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from av_tagger.clip import is_address
from av_tagger.collection.search import FoundEvent, Hit
from av_tagger.reports.writers.tables import csv_lines

COLUMNS = (
    "file",
    "label",
    "start",
    "end",
    "peak",
    "score",
    "date",
    "source",
)


def hit_object(hit: Hit) -> dict[str, Any]:
    """One hit for `--json`; times are seconds of the file, of a stream those of the stream."""
    found: dict[str, Any] = {
        "file": hit.file,
        "source": hit.source,
        "score": _rounded(hit.score, 6),
    }
    if hit.start > 0 or hit.end is not None:
        found["clip"] = {"start": _rounded(hit.start, 3), "end": _rounded(hit.end, 3)}
    found["date"] = date_of(hit)
    found["tags"] = [{"label": n, "probability": _rounded(p, 6)} for n, p in hit.tags]
    found["events"] = [_event_object(event) for event in hit.events]
    return found


def json_lines(hits: Iterable[Hit]) -> Iterator[str]:
    """Pure ASCII, so that names that are not UTF-8 survive any encoding."""
    return (json.dumps(hit_object(hit), allow_nan=False) + "\n" for hit in hits)


def csv_table(hits: Iterable[Hit]) -> Iterator[str]:
    """A row per event; a hit without events has one row for the whole clip."""
    return csv_lines(COLUMNS, (row for hit in hits for row in _rows(hit)), raw=False)


def playlist(hits: Iterable[Hit], target: Path) -> Iterator[str]:
    """M3U for players that know start and stop times (VLC); an entry per event."""
    yield "#EXTM3U\n"
    for hit in hits:
        for event in hit.events or (whole_of(hit),):
            media = media_of(hit, event)
            if media is None:
                continue
            path, start, end = media
            length = -1 if end is None else max(1, round(end - start))
            title = f"{event.label} {event.start:.1f} s, {Path(hit.file).name}"
            yield f"#EXTINF:{length},{_line(title)}\n#EXTVLCOPT:start-time={start:.3f}\n"
            if end is not None:
                yield f"#EXTVLCOPT:stop-time={end:.3f}\n"
            yield f"{location(path, target)}\n"


def whole_of(hit: Hit) -> FoundEvent:
    """The whole clip, for a tag that was seen and has no events."""
    label = next(iter((*hit.asked, *(label for label, _ in hit.tags))), "")
    end = hit.end if hit.end is not None else hit.start + (hit.duration or 0.0)
    return FoundEvent(label, hit.start, end, hit.score or 0.0)


def media_of(hit: Hit, event: FoundEvent) -> tuple[str, float, float | None] | None:
    """What to play: path, start and end in it; of a stream the sound that was kept, if any."""
    end = event.end if event.end > event.start else None
    if event.media:
        return event.media, *_moved(event, event.media_start)
    return None if hit.live else (hit.file, event.start, end)


def _moved(event: FoundEvent, origin: float) -> tuple[float, float | None]:
    start = max(0.0, event.start - origin)
    return start, max(start, event.end - origin)


def location(path: str, target: Path) -> str:
    """A path relative to the playlist, or an address; one line without control characters."""
    if is_address(path):
        return _line(path)
    full = Path(path).absolute()
    try:
        relative = os.path.relpath(full, target.absolute().parent)
    except ValueError:  # on another drive
        return full.as_uri()
    plain = relative.isprintable() and relative == relative.strip() and "://" not in relative
    if not plain or relative.encode("utf-8", "replace").decode() != relative:
        return full.as_uri()
    return f"./{relative}" if relative.startswith("#") else relative


def date_of(hit: Hit) -> str | None:
    """Local date and time in ISO form."""
    if hit.moment is None:
        return None
    try:
        return dt.datetime.fromtimestamp(hit.moment).astimezone().isoformat(timespec="seconds")
    except (ValueError, OSError, OverflowError):
        return None


def _rows(hit: Hit) -> Iterator[dict[str, Any]]:
    for event in hit.events or (whole_of(hit),):
        row = {"file": hit.file, "source": hit.source, "date": date_of(hit)}
        yield row | _event_object(event) | {"score": _rounded(hit.score, 6)}


def _event_object(event: FoundEvent) -> dict[str, Any]:
    found = {
        "label": event.label,
        "start": _rounded(event.start, 3),
        "end": _rounded(event.end, 3),
        "peak": _rounded(event.peak, 6),
    }
    return found | ({"media": event.media} if event.media else {})


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits) + 0.0


def _line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())

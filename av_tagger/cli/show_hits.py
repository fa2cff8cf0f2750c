"""The table of `av-tag find`: a row per hit, 80 columns wide on a terminal of that width."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from av_tagger.cli.console import stdout_console
from av_tagger.cli.output import visible
from av_tagger.cli.styles import QUIET
from av_tagger.cli.tables import plain_table

if TYPE_CHECKING:
    from av_tagger.collection.search import Found, FoundEvent, Hit

EVENTS_SHOWN = 4


def show_hits(found: Found) -> None:
    """The best hits, and how many there are."""
    console = stdout_console()
    if not found.hits:
        console.say("nothing was found")
        return
    folder = _folder(found)
    several = len({hit.source for hit in found.hits}) > 1
    table = plain_table()
    table.add_column("score", justify="right", no_wrap=True)
    if several:
        table.add_column("run", overflow="fold", max_width=16)
    table.add_column("file", overflow="fold", ratio=2)
    table.add_column("when", overflow="fold", ratio=3)
    for hit in found.hits:
        run = [Text(visible(hit.source))] if several else []
        score = "" if hit.score is None else f"{hit.score:.2f}"
        table.add_row(Text(score), *run, Text(_name(hit, folder)), Text(visible(_when(hit))))
    console.print(table)
    if folder:
        console.say(f"files in {folder}", QUIET)
    more = f", the best {len(found.hits):,} shown (-n N)" if found.total > len(found.hits) else ""
    console.say(f"{found.total:,} found{more}")


def _folder(found: Found) -> str:
    """The folder that all files have in common; empty where the whole paths are as short."""
    parents = {str(Path(hit.file).parent) for hit in found.hits}
    try:
        common = os.path.commonpath(parents)
    except ValueError:  # relative and absolute ones, or several drives
        return ""
    return "" if common in ("", ".", os.sep) else common


def _name(hit: Hit, folder: str) -> str:
    """The path below the common folder, with the part of the file if that was not the whole."""
    name = os.path.relpath(hit.file, folder) if folder else hit.file
    if (hit.start == 0 and hit.end is None) or hit.live:
        return visible(name)
    end = "end" if hit.end is None else f"{hit.end:g}"
    return visible(f"{name} [{hit.start:g}–{end} s]")


def _when(hit: Hit) -> str:
    """`Siren 1.0–4.2 s, 7.0–8.1 s; Car horn 5.0–5.5 s`; without events the whole clip's tags."""
    if not hit.events:
        labels = hit.asked or tuple(label for label, _ in hit.tags)
        return "; ".join(labels[:EVENTS_SHOWN]) or "no tags"
    by_label: dict[str, list[FoundEvent]] = {}
    for event in hit.events:
        by_label.setdefault(event.label, []).append(event)
    return "; ".join(_times(label, events) for label, events in by_label.items())


def _times(label: str, events: list[FoundEvent]) -> str:
    shown = ", ".join(f"{e.start:.1f}–{e.end:.1f} s" for e in events[:EVENTS_SHOWN])
    more = f" and {len(events) - EVENTS_SHOWN} more" if len(events) > EVENTS_SHOWN else ""
    return f"{label} {shown}{more}"

"""Which formats there are, and how several are written at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from av_tagger.errors import UsageError, did_you_mean
from av_tagger.reports.files import safe_names
from av_tagger.reports.writers import captions, challenge, elan, events, jams_file, tables
from av_tagger.reports.writers.sheet import Sheet
from av_tagger.scores import Outcome, Tagged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

AnySheet = Sheet | tables.ParquetSheet


def check_formats(formats: Iterable[str]) -> tuple[str, ...]:
    """The formats without repetition; an unknown one is an error."""
    names = tuple(dict.fromkeys(name.strip().lower() for name in formats))
    for name in names:
        if name not in WRITERS:
            raise UsageError(f"there is no format {name!r}; {did_you_mean(name, WRITERS)}")
    return names


def write_all(formats: Iterable[str], outcomes: Sequence[Outcome], folder: Path, name: str = "results") -> list[Path]:
    """Write every format into the folder and say which files came to be.

    Formats for one file at a time give one file an input, named after it; the others one file, named `name`.
    """
    sheets = [sheet for format_ in check_formats(formats) for sheet in WRITERS[format_]]
    tagged = [o for o in outcomes if isinstance(o, Tagged)]
    names = safe_names([t.clip for t in tagged]) if any(sheet.each for sheet in sheets) else []
    written = []
    for sheet in sheets:
        jobs = [(n, [t]) for n, t in zip(names, tagged, strict=True)] if sheet.each else [(name, outcomes)]
        for stem, part in jobs:
            path = folder / f"{stem}{sheet.suffix}"
            sheet.write(part, path)
            written.append(path)
    return written


WRITERS: dict[str, tuple[AnySheet, ...]] = {
    "json": (tables.JSON,),
    "json-detail": (tables.JSON_DETAIL,),
    "csv": (tables.TAGS_CSV, tables.EVENTS_CSV),
    "parquet": (tables.TAGS_PARQUET, tables.EVENTS_PARQUET),
    "dcase": (challenge.SUBTASK_A, challenge.SUBTASK_B),
    "audacity": (events.AUDACITY,),
    "raven": (events.RAVEN,),
    "rttm": (events.RTTM,),
    "elan": (elan.ELAN,),
    "jams": (jams_file.JAMS,),
    "vtt": (captions.VTT,),
    "srt": (captions.SRT,),
}

"""Which formats there are, and how several are written at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from av_tagger.errors import UsageError, did_you_mean
from av_tagger.reports.files import safe_names
from av_tagger.reports.writers import captions, challenge, elan, events, jams_file, tables
from av_tagger.reports.writers.sheet import Sheet, answers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from av_tagger.protocols import Outcomes

AnySheet = Sheet | tables.ParquetSheet


def check_formats(formats: Iterable[str]) -> tuple[str, ...]:
    """The formats without repetition; an unknown one, or one whose library is not here, is an error."""
    names = tuple(dict.fromkeys(name.strip().lower() for name in formats))
    for name in names:
        if name not in WRITERS:
            raise UsageError(f"there is no format {name!r}; {did_you_mean(name, WRITERS)}")
        for sheet in WRITERS[name]:
            sheet.check()
    return names


def write_all(
    formats: Iterable[str], outcomes: Outcomes, folder: Path, name: str = "results"
) -> list[Path]:
    """Write every format into the folder and say which files came to be.

    Formats for one file at a time give one file an input, named after it; the others one file, named `name`.
    """
    return [path for _, path in write_each(formats, outcomes, folder, name)]


def write_each(
    formats: Iterable[str], outcomes: Outcomes, folder: Path, name: str = "results"
) -> Iterator[tuple[AnySheet, Path]]:
    """The same, file by file as they are asked for: of any number of results one is in memory, and every clip's name."""
    sheets = [sheet for format_ in check_formats(formats) for sheet in WRITERS[format_]]
    for sheet in sheets:
        if not sheet.each:
            sheet.write(outcomes, path := folder / f"{name}{sheet.suffix}")
            yield sheet, path
    if each := [sheet for sheet in sheets if sheet.each]:
        yield from _one_a_clip(each, outcomes, folder)


def _one_a_clip(
    sheets: Sequence[AnySheet], outcomes: Outcomes, folder: Path
) -> Iterator[tuple[AnySheet, Path]]:
    names = safe_names(tagged.clip for tagged in answers(outcomes))
    for stem, tagged in zip(names, answers(outcomes), strict=True):
        for sheet in sheets:
            sheet.write([tagged], path := folder / f"{stem}{sheet.suffix}")
            yield sheet, path


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

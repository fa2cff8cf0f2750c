"""The output formats by name, and writing several at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from av_tagger.errors import UsageError, did_you_mean
from av_tagger.reports.files import safe_names
from av_tagger.reports.writers import (
    captions,
    chapters,
    datasets,
    dcase_tsv,
    editors,
    edl,
    elan,
    events,
    jams_file,
    otio_file,
    tables,
)
from av_tagger.reports.writers.base import TextWriter, only_tagged
from av_tagger.reports.writers.timeline import TimelineSettings, TimelineWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from av_tagger.protocols import Outcomes

AnyWriter = TextWriter | tables.ParquetWriter | TimelineWriter


def check_formats(formats: Iterable[str]) -> tuple[str, ...]:
    """The formats without repetitions.

    An unknown format is an error, and so is one whose library is not installed.
    """
    names = tuple(dict.fromkeys(name.strip().lower() for name in formats))
    for name in names:
        if name not in WRITERS:
            raise UsageError(f"there is no format {name!r}; {did_you_mean(name, WRITERS)}")
        for writer in WRITERS[name]:
            writer.check()
    return names


def write_all(
    formats: Iterable[str],
    outcomes: Outcomes,
    folder: Path,
    name: str = "results",
    timeline: TimelineSettings | None = None,
) -> list[Path]:
    """Write every format into the folder; returns the written files.

    A format writes either one file per result, named after its media file, or one file `name`.
    """
    return [path for _, path in write_each(formats, outcomes, folder, name, timeline)]


def write_each(
    formats: Iterable[str],
    outcomes: Outcomes,
    folder: Path,
    name: str = "results",
    timeline: TimelineSettings | None = None,
) -> Iterator[tuple[AnyWriter, Path]]:
    """As `write_all`, but lazily, file by file. One result is in memory at a time."""
    writers = [writer for format_ in check_formats(formats) for writer in WRITERS[format_]]
    if timeline is not None:
        writers = [w.at(timeline) if isinstance(w, TimelineWriter) else w for w in writers]
    for writer in writers:
        if not writer.each:
            writer.write(outcomes, path := folder / f"{name}{writer.suffix}")
            yield writer, path
    if each := [writer for writer in writers if writer.each]:
        yield from _one_per_result(each, outcomes, folder)


def _one_per_result(
    writers: Sequence[AnyWriter], outcomes: Outcomes, folder: Path
) -> Iterator[tuple[AnyWriter, Path]]:
    names = safe_names(tagged.clip for tagged in only_tagged(outcomes))
    for stem, tagged in zip(names, only_tagged(outcomes), strict=True):
        for writer in writers:
            writer.write([tagged], path := folder / f"{stem}{writer.suffix}")
            yield writer, path


WRITERS: dict[str, tuple[AnyWriter, ...]] = {
    "json": (tables.JSON,),
    "json-detail": (tables.JSON_DETAIL,),
    "csv": (tables.TAGS_CSV, tables.EVENTS_CSV),
    "csv-raw": (tables.RAW_TAGS_CSV, tables.RAW_EVENTS_CSV),
    "parquet": (tables.TAGS_PARQUET, tables.EVENTS_PARQUET),
    "dcase": (dcase_tsv.SUBTASK_A, dcase_tsv.SUBTASK_B, dcase_tsv.SUBTASK_B_TEXT),
    "audacity": (events.AUDACITY,),
    "raven": (events.RAVEN,),
    "rttm": (events.RTTM,),
    "elan": (elan.ELAN,),
    "jams": (jams_file.JAMS,),
    "vtt": (captions.VTT,),
    "srt": (captions.SRT,),
    "vtt-scores": (captions.VTT_SCORES,),
    "srt-scores": (captions.SRT_SCORES,),
    "edl": (edl.EDL,),
    "fcpxml": (editors.FCPXML,),
    "premiere": (editors.XMEML,),
    "otio": (otio_file.OTIO,),
    "ffmetadata": (chapters.FFMETADATA,),
    "chapters": (chapters.CHAPTER_TEXT,),
    "losslesscut": (datasets.LOSSLESSCUT,),
    "label-studio": (datasets.LABEL_STUDIO,),
    "coco": (datasets.COCO,),
    "yolo": (datasets.YOLO, datasets.YOLO_NAMES),
}

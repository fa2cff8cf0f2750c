"""av-tag handover: results as markers and chapters for editors, as labels for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.cli.options import ModelOptions, TalkOptions, command
from av_tagger.cli.stored_inputs import INPUTS
from av_tagger.flags import argument, option

if TYPE_CHECKING:
    from av_tagger.scores import Tagged


@dataclass(frozen=True, kw_only=True)
class HandoverOptions(ModelOptions, TalkOptions):
    inputs: list[str] = argument("FILE...", INPUTS)
    output: Path | None = option(
        None, "Folder for the files of --format.", "-o", "--output", metavar="FOLDER"
    )
    format: str = option(
        "edl,fcpxml,premiere",
        "Comma-separated: edl, fcpxml, premiere, otio, chapters, ffmetadata, losslesscut,"
        " label-studio, coco, yolo, and all formats of av-tag tag.",
        metavar="LIST",
    )
    chapters: Path | None = option(
        None,
        "Write a copy of the film with chapters (.mp4, .mkv, .mov; nothing is encoded again); a"
        " folder for several.",
        metavar="FILE.mkv",
    )
    fps: str | None = option(
        None,
        "Frame rate of the editor's project: 23.976, 24, 25, 29.97, 29.97df, 30, 48, 50, 59.94,"
        " 59.94df or 60. Default: that of the film, non-drop.",
        metavar="RATE",
    )
    start: str = option(
        "00:00:00:00",
        "Timecode of the timeline's first frame; DaVinci Resolve begins at 01:00:00:00.",
        metavar="TIMECODE",
    )
    results: Path | None = option(
        None, "Take the results of the files from this run; nothing is tagged.", metavar="RUN"
    )


def _handover(options: HandoverOptions) -> int:
    """Hand results over to video editors, players and labelling programs."""
    from av_tagger.cli.session import say
    from av_tagger.cli.stored_inputs import Request, outcomes_of, tagged_only
    from av_tagger.errors import UsageError
    from av_tagger.media.containers import check_film
    from av_tagger.reports.timecode import parse_rate
    from av_tagger.reports.writers import check_formats, write_all
    from av_tagger.reports.writers.timeline import timeline_settings

    if options.output is None and options.chapters is None:
        raise UsageError("name a folder with -o, or a copy of the film with --chapters")
    formats = check_formats(options.format.split(",")) if options.output else ()
    rate = None if options.fps is None else parse_rate(options.fps)
    timeline = timeline_settings(rate, options.start)
    if options.chapters is not None and options.chapters.suffix:
        check_film(options.chapters)
    request = Request(inputs=options.inputs, models=options, talk=options, results=options.results)
    with outcomes_of(request) as outcomes:
        results = tagged_only(outcomes, options)
        if options.output is not None:
            for path in write_all(formats, outcomes, options.output, timeline=timeline):
                say(f"wrote {path}", options)
        if options.chapters is not None:
            for line in _copies(results, options.chapters):
                say(line, options)
    return 1 if len(results) < len(outcomes) else 0


def _copies(results: Sequence[Tagged], target: Path) -> Iterator[str]:
    """A copy of each film; of one into a file, of several into a folder."""
    from av_tagger.cli.outputs import make_folder
    from av_tagger.errors import MediaError, UsageError
    from av_tagger.media.chapters import copy_with_chapters
    from av_tagger.reports.files import safe_names
    from av_tagger.reports.writers.chapters import chapters

    if target.suffix and not target.is_dir():
        if len(results) > 1:
            raise UsageError(f"--chapters {target} is one film of {len(results)}; name a folder")
        for tagged in results:
            yield f"wrote {copy_with_chapters(tagged.clip.path, target, chapters(tagged))}"
        return
    make_folder(target)
    names = safe_names(tagged.clip for tagged in results)
    for name, tagged in zip(names, results, strict=True):
        place = target / f"{name}.chapters.mkv"
        try:
            yield f"wrote {copy_with_chapters(tagged.clip.path, place, chapters(tagged))}"
        except MediaError as error:
            yield f"--chapters left out {error}"


handover = command(HandoverOptions, _handover)

"""av-tag caption: sound captions for a film, alone or merged into its subtitles."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.cli.options import ModelOptions, TalkOptions, command
from av_tagger.cli.stored_inputs import INPUTS
from av_tagger.flags import argument, option

if TYPE_CHECKING:
    from av_tagger.reports.captioning import (
        CaptionSettings,
        CaptionWords,
        Merged,
        SubtitleFile,
    )
    from av_tagger.scores import Tagged

TEXT, TIME = "Captions", "Time and space"
SUFFIX = ".sounds.vtt"  # of files in a folder


@dataclass(frozen=True, kw_only=True)
class CaptionOptions(ModelOptions, TalkOptions):
    inputs: list[str] = argument("FILE...", INPUTS)
    output: Path | None = option(
        None,
        "A .vtt or .srt file, or a folder for several results. Default: WebVTT on stdout.",
        "-o",
        "--output",
        metavar="FILE.vtt",
    )
    into: Path | None = option(
        None,
        "Subtitles (SRT or WebVTT) to merge into; speech then has no captions.",
        metavar="FILE.srt",
    )
    results: Path | None = option(
        None, "Take the results of the files from this run; nothing is tagged.", metavar="RUN"
    )
    language: str = option(
        "en",
        "de, en, es, fr, it, ja, nl, pl, pt, ru, sv, tr, zh, or one of --table.",
        metavar="CODE",
        group=TEXT,
    )
    table: Path | None = option(
        None,
        "Texts of your own: tab-separated, a heading label and languages, a row per class.",
        metavar="FILE.tsv",
        group=TEXT,
    )
    loudness: bool = option(
        True,
        "Read the film's sound again to tell faint and loud sounds (on by default).",
        "--loudness/--no-loudness",
        group=TEXT,
    )
    reading_speed: float = option(17.0, "Characters that are read per second.", low=1.0, group=TIME)
    line_length: int = option(42, "Characters per line.", low=10, group=TIME)
    lines: int = option(2, "Lines per caption.", low=1, group=TIME)
    shortest: float = option(0.833, "Seconds that a caption lasts at least.", low=0.1, group=TIME)
    longest: float = option(7.0, "Seconds that a caption lasts at most.", low=0.1, group=TIME)
    gap: float = option(0.083, "Seconds between two captions.", low=0.0, group=TIME)
    shift: float = option(
        1.0, "Seconds that a caption may be before or after its sound.", low=0.0, group=TIME
    )


def _caption(options: CaptionOptions) -> int:
    """Write sound captions of a film, alone or merged into its subtitles (--into)."""
    from av_tagger.cli.session import say
    from av_tagger.cli.stored_inputs import Request, outcomes_of, tagged_only
    from av_tagger.errors import UsageError
    from av_tagger.reports.captioning import caption_words, read_subtitles

    settings, words = _settings(options), caption_words(options.language, options.table)
    _check_output(options)
    dialogue = None if options.into is None else read_subtitles(options.into)
    request = Request(inputs=options.inputs, models=options, talk=options, results=options.results)
    with outcomes_of(request) as outcomes:
        results = tagged_only(outcomes, options)
        if len(results) > 1 and (dialogue is not None or not _is_folder(options.output)):
            raise UsageError(
                f"there are {len(results)} results; --into and an output file are for one:"
                " name a folder with -o, or one video with --results RUN"
            )
        for tagged, target in zip(results, _targets(results, options.output), strict=True):
            merged = _merged(tagged, words, settings, dialogue, options)
            say(_written(merged, target), options)
    return 1 if len(results) < len(outcomes) else 0


def _settings(options: CaptionOptions) -> CaptionSettings:
    from av_tagger.reports.captioning import CaptionSettings

    return CaptionSettings(
        characters_per_second=options.reading_speed,
        characters_per_line=options.line_length,
        lines=options.lines,
        shortest=options.shortest,
        longest=options.longest,
        gap=options.gap,
        shift=options.shift,
    )


def _check_output(options: CaptionOptions) -> None:
    """Refuse a wrong name, and overwriting the subtitles, before anything is tagged."""
    from av_tagger.errors import UsageError
    from av_tagger.reports.captioning.subtitles import format_of

    target = options.output
    if target is None or _is_folder(target):
        return
    format_of(target)
    if options.into is not None and target.resolve() == options.into.resolve():
        raise UsageError(f"{target}: these are the subtitles to read; name another file to write")


def _is_folder(target: Path | None) -> bool:
    return target is not None and (target.is_dir() or not target.suffix)


def _targets(results: list[Tagged], output: Path | None) -> Iterator[Path | None]:
    from av_tagger.reports.files import safe_names

    if output is None or not _is_folder(output):
        yield from [output] * len(results)
        return
    for name in safe_names(tagged.clip for tagged in results):
        yield output / f"{name}{SUFFIX}"


def _merged(
    tagged: Tagged,
    words: CaptionWords,
    settings: CaptionSettings,
    dialogue: SubtitleFile | None,
    options: CaptionOptions,
) -> Merged:
    from av_tagger.reports.captioning import measure_levels, merge_captions, sound_captions
    from av_tagger.reports.captioning.sounds import speech_labels

    levels = measure_levels(tagged.clip) if options.loudness else None
    told = speech_labels() if dialogue is not None else ()
    captions = sound_captions(tagged, words, settings, levels, told)
    end = tagged.clip.start_seconds + tagged.duration_seconds
    return merge_captions(captions, settings, dialogue, end)


def _written(merged: Merged, target: Path | None) -> str:
    """Write the captions, and say how many there are."""
    from av_tagger.cli.help import counted
    from av_tagger.reports.captioning import render_subtitles, write_subtitles
    from av_tagger.reports.captioning.subtitles import VTT, as_format

    if target is None:
        sys.stdout.write("".join(render_subtitles(as_format(merged.file, VTT))))
    else:
        write_subtitles(merged.file, target)
    counts = {
        "in cues of dialogue": merged.shared,
        "left out for lack of room": len(merged.left_out),
    }
    told = [
        counted(merged.placed, "sound caption"),
        *(f"{n} {what}" for what, n in counts.items() if n),
    ]
    return f"{'wrote ' + str(target) + ': ' if target else ''}{', '.join(told)}"


caption = command(CaptionOptions, _caption)

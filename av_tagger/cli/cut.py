"""av-tag cut VIDEO|RUN: films without, or of nothing but, some sounds; parts; highlight reels."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from av_tagger.cli.options import ModelOptions, TalkOptions, command
from av_tagger.flags import OUTPUT, argument, option

if TYPE_CHECKING:
    from av_tagger.collection.parts import CutRequest, PlannedFilm
    from av_tagger.media.cut import CutFilm
    from av_tagger.scores import Outcome, Tagged

WHAT = "What to cut"
STATED = 0.05  # seconds of difference between what was asked for and what was cut


@dataclass(frozen=True, kw_only=True)
class CutCommandOptions(ModelOptions, TalkOptions):
    inputs: list[str] = argument("VIDEO|RUN...", "Films, folders of av-tag batch, or JSON lines.")
    keep: str | None = option(
        None, "Keep only the parts with these classes.", metavar="CLASSES", group=WHAT
    )
    drop: str | None = option(
        None, "Leave out the parts with these classes.", metavar="CLASSES", group=WHAT
    )
    extract: str | None = option(
        None, "Write a film per event of these classes.", metavar="CLASSES", group=WHAT
    )
    split: str | None = option(
        None,
        "Write the whole film in pieces, cut where events of these classes begin and end.",
        metavar="CLASSES",
        group=WHAT,
    )
    reel: float | None = option(
        None, "Write a reel of the best events, at most this long.", metavar="SECONDS", group=WHAT
    )
    of: str = option("", "Classes of the reel. Default: all.", metavar="CLASSES", group=WHAT)
    over: float = option(
        0.0, "Use events whose peak is at least this.", metavar="0..1", low=0, high=1, group=WHAT
    )
    pad: float | None = option(
        None,
        "Seconds before and after each event. Default: 0.5; 0 for --drop and --split.",
        metavar="SECONDS",
        low=0,
        group=WHAT,
    )
    exact: bool = option(
        False, "Cut at any frame by encoding again. Without it: at key frames.", group=OUTPUT
    )
    output: Path = option(
        Path("cut"), "Folder for the films.", "-o", "--output", metavar="FOLDER", group=OUTPUT
    )
    json: bool = option(False, "Print JSON lines: one object per film.", group=OUTPUT)
    results: Path | None = option(
        None, "Results of these films: a run's folder or JSON lines.", metavar="RUN"
    )


def _cut(options: CutCommandOptions) -> int:
    """Cut films by their sounds: keep, drop, extract, split, or a highlight reel.

    Uses the results of a run, or tags first. Copies without encoding where it can, and says where
    each cut is. The source is never changed.
    """
    from av_tagger.cli.help import counted
    from av_tagger.cli.outputs import make_folder
    from av_tagger.cli.session import say
    from av_tagger.collection.parts import labels_of
    from av_tagger.errors import AvTaggerError

    request = _request(options)
    by_file = dict(_results(options))
    labels, why = labels_of(request, [r for found in by_file.values() for r in found])
    for line in why:
        say(line, options)
    make_folder(options.output)
    failed = without = 0
    for name, file in zip(_names(by_file), by_file, strict=True):
        try:
            films = _plan(request, by_file[file], labels, Path(file))
            without += not films
            for film in _write(films, Path(file), name, options):
                _show(film, file, options)
        except AvTaggerError as error:
            say(str(error), options)
            failed += 1
    if without:
        say(f"{without} of {counted(len(by_file), 'file')}: no event of these classes", options)
    return 1 if failed else 0


def _request(options: CutCommandOptions) -> CutRequest:
    from av_tagger.collection.parts import CutRequest
    from av_tagger.errors import UsageError

    kinds = ("keep", "drop", "extract", "split", "reel")
    given = [kind for kind in kinds if getattr(options, kind) is not None]
    if len(given) != 1:
        flags = ", ".join(f"--{kind}" for kind in kinds)
        raise UsageError(f"say what to cut with one of {flags}")
    if options.of and options.reel is None:
        raise UsageError("--of names the classes of --reel; add --reel SECONDS")
    if options.reel is not None and not 0 < options.reel < 1e6:
        raise UsageError(f"--reel {options.reel:g}: give its length in seconds, such as 60")
    classes = options.of if options.reel is not None else getattr(options, given[0])
    if options.reel is None and not classes.strip(" ;"):
        raise UsageError(f'--{given[0]} needs classes, such as "any siren; Car alarm"')
    return CutRequest(given[0], classes, options.over, options.pad, options.reel or 0.0)  # type: ignore[arg-type]


def _results(options: CutCommandOptions) -> Iterator[tuple[str, list[Tagged]]]:
    """By media file, its results: stored ones, or new ones."""
    from av_tagger.clip import is_address
    from av_tagger.errors import UsageError
    from av_tagger.path_checks import is_dir
    from av_tagger.reports.schema import find_results, read_outcomes

    stored: list[str] = []
    films: list[str] = []
    for name in options.inputs:
        if name == "-" or is_address(name):
            raise UsageError(f"{name}: a film is cut from a file; download it first")
        is_run = is_dir(name) or Path(name).suffix in (".jsonl", ".json")
        (stored if is_run else films).append(name)
    for name in stored:
        yield from _grouped(read_outcomes(find_results(Path(name)))).items()
    if films and options.results is not None:
        yield from _looked_up(films, options.results)
    elif films:
        yield from _grouped(_tagged(films, options)).items()


def _grouped(outcomes: Iterator[Outcome]) -> dict[str, list[Tagged]]:
    """Several results can be about parts of one file."""
    from av_tagger.scores import Tagged

    found: dict[str, list[Tagged]] = {}
    for outcome in outcomes:
        if isinstance(outcome, Tagged):
            found.setdefault(outcome.clip.name, []).append(outcome)
    return found


def _looked_up(films: Sequence[str], results: Path) -> Iterator[tuple[str, list[Tagged]]]:
    """The results of films by their paths."""
    from av_tagger.errors import UsageError
    from av_tagger.reports.schema import find_results, read_outcomes

    grouped = _grouped(read_outcomes(find_results(results)))
    by_path = {str(Path(name).resolve()): found for name, found in grouped.items()}
    for film in films:
        found = by_path.get(str(Path(film).resolve()))
        if found is None:
            raise UsageError(f"{film}: has no result in {results}; leave out --results to tag it")
        yield film, found


def _tagged(films: Sequence[str], options: CutCommandOptions) -> Iterator[Outcome]:
    from functools import partial

    from av_tagger.cli.inputs import at_hand, gather, say_skipped
    from av_tagger.cli.session import build_tagger, plan_of, say
    from av_tagger.scores import Failed

    found = gather(films)
    say_skipped(found, partial(say, talk=options))
    plan = plan_of(options, options)
    with at_hand(found, offline=plan.config.offline, quiet=options.quiet) as jobs:
        tagger = build_tagger(plan, options)
        for outcome in jobs.outcomes(tagger):
            if isinstance(outcome, Failed):
                say(outcome.message, options)
            yield outcome


def _names(files: Sequence[str] | dict[str, Any]) -> list[str]:
    """A safe name per source for the films cut from it."""
    from av_tagger.clip import Clip
    from av_tagger.reports.files import safe_names

    return safe_names(Clip(Path(file)) for file in files)


def _plan(
    request: CutRequest, results: Sequence[Tagged], labels: frozenset[str], source: Path
) -> list[PlannedFilm]:
    from av_tagger.collection.parts import events_of, planned_films
    from av_tagger.media.cut import seconds_of_film

    events = events_of(results, labels, request.over)
    return planned_films(request, events, seconds_of_film(source)) if events else []


def _write(
    films: Sequence[PlannedFilm], source: Path, name: str, options: CutCommandOptions
) -> Iterator[CutFilm]:
    from av_tagger.cli.progress import progress_bar
    from av_tagger.media.cut import CutOptions, cut_film, suffix_for

    how = CutOptions(exact=options.exact, inward=options.drop is not None)
    suffix = suffix_for(source, exact=options.exact)
    with progress_bar("cutting", "films", quiet=options.quiet) as bar:
        for film in bar.track(films, len(films)):
            target = options.output / f"{name}.{film.name}{suffix}"
            done = cut_film(source, target, film.spans, how)
            with bar.hidden():
                yield done


def _show(film: CutFilm, source: str, options: CutCommandOptions) -> None:
    from av_tagger.cli.console import stdout_console

    if options.json:
        sys.stdout.write(json.dumps(_object(film, source), allow_nan=False) + "\n")
        return
    console = stdout_console()
    console.say(f"wrote {film.path}")
    for line in _lines(film):
        console.say(f"  {line}")


def _lines(film: CutFilm) -> Iterator[str]:
    """What became of each cut, in words."""
    before = None
    for part in film.parts:
        same, before = part.segment is before and before is not None, part.segment
        asked = f"{part.asked.start:.2f}–{part.asked.end:.2f} s"
        if part.segment is None:
            yield f"{asked}: left out, no key frame lies in it; --exact keeps it"
        elif same:
            yield f"{asked}: copied with the part before, no key frame lies between"
        elif not part.copied:
            yield f"{asked}: encoded again"
        else:
            early, late = part.asked.start - part.got.start, part.got.end - part.asked.end
            got = f"{part.got.start:.2f}–{part.got.end:.2f} s"
            exact = max(abs(early), abs(late)) < STATED
            yield f"{asked}: copied" + ("" if exact else f" at key frames as {got}")
    yield from film.notes


def _object(film: CutFilm, source: str) -> dict[str, Any]:
    parts = [
        {
            "asked": [round(part.asked.start, 3), round(part.asked.end, 3)],
            "got": None
            if part.segment is None
            else [round(part.got.start, 3), round(part.got.end, 3)],
            "copied": part.copied,
        }
        for part in film.parts
    ]
    return {"film": str(film.path), "source": source, "parts": parts, "notes": list(film.notes)}


cut = command(CutCommandOptions, _cut)

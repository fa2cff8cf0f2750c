"""av-tag review RUN: a local page that asks about uncertain results; answers become labels."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.cli.options import TalkOptions, command
from av_tagger.flags import argument, option

if TYPE_CHECKING:
    from av_tagger.review.answers import AnswerLog
    from av_tagger.review.media_files import MediaFiles
    from av_tagger.review.session import ReviewSession
    from av_tagger.review.thresholds import ThresholdAdvice
    from av_tagger.review.units import FoundUnits

NAMED = 3  # missing files in a sentence
AFTER = "After the review"


@dataclass(frozen=True, kw_only=True)
class ReviewOptions(TalkOptions):
    results: Path = argument(
        "RESULTS", "A run's folder, JSON lines, or a journal of av-tag listen with kept sound."
    )
    output: Path | None = option(
        None,
        "Folder of answers and labels. Default: RUN/review.",
        "-o",
        "--output",
        metavar="FOLDER",
    )
    media: Path | None = option(
        None, "Folder of the files, where they were moved.", metavar="FOLDER"
    )
    classes: str | None = option(
        None, "Ask about these classes only. Default: all of the results.", metavar="CLASSES"
    )
    reviewer: str = option("", "Name that is stored with each answer.", metavar="NAME")
    random: int = option(20, "Percent of the questions drawn at random.", low=0)
    port: int = option(0, "Port on this machine. Default: a free one.", low=0)
    open: bool = option(True, "Open the page in a browser (on by default).", "--open/--no-open")
    summary: bool = option(False, "Show what the answers say, and end.", group=AFTER)
    write_fusion: Path | None = option(
        None, "Write a fusion file with better thresholds, and end.", metavar="FILE", group=AFTER
    )
    fusion: str = option("auto", "The fusion of the run: a name or a file.", group=AFTER)
    device: str = option("auto", "Device for training on the page.", metavar="NAME", group=AFTER)


def _review(options: ReviewOptions) -> int:
    """Answer questions about uncertain results: y yes, n no, c another class, s skip, u undo."""
    from av_tagger.collection.sources import sources_of
    from av_tagger.errors import UsageError
    from av_tagger.labels import choose_classes
    from av_tagger.review.answers import AnswerLog
    from av_tagger.review.media_files import MediaFiles
    from av_tagger.review.units import read_units

    if options.random > 100:
        raise UsageError("--random is a percentage, at most 100")
    sources = sources_of([str(options.results)])
    chosen = choose_classes(options.classes).labels if options.classes else ()
    found = read_units(sources, frozenset(chosen))
    if not found.units:
        reason = "has no class with a score near its threshold"
        raise UsageError(f"{options.results}: {reason}; name a run of av-tag batch")
    folder = options.output or _folder(options.results)
    beside = [sources[0].path.parent, *([options.media] if options.media else [])]
    media = MediaFiles(beside)
    if options.summary or options.write_fusion:
        return _after(options, found, AnswerLog.read(folder), media)
    _check_media(found, media, options)
    log = AnswerLog.open(folder)
    try:
        _serve(options, _session(options, found, log, media))
    finally:
        log.close()
    return 0


def _folder(results: Path) -> Path:
    return results / "review" if results.is_dir() else results.with_name(f"{results.name}.review")


def _check_media(found: FoundUnits, media: MediaFiles, options: ReviewOptions) -> None:
    """One sentence about files that are not there; an error if none is."""
    from av_tagger.errors import UsageError

    files = {unit.file: unit for unit in found.units}
    missing = [name for name, unit in files.items() if media.locate(unit) is None]
    if not missing:
        return
    some = ", ".join(missing[:NAMED]) + (" ..." if len(missing) > NAMED else "")
    text = f"{len(missing)} of {len(files)} files are not where the results say ({some})"
    remedy = "name their folder with --media"
    if len(missing) == len(files):
        raise UsageError(f"{options.results}: {text}; {remedy}")
    _say(f"{text}; they are not asked about; {remedy}", options)


def _session(
    options: ReviewOptions, found: FoundUnits, log: AnswerLog, media: MediaFiles
) -> ReviewSession:
    from av_tagger.collection.sources import sources_of
    from av_tagger.labels import audioset
    from av_tagger.review.pictures import PictureReader
    from av_tagger.review.session import ReviewSession

    paths = [source.path for source in sources_of([str(options.results)])]
    return ReviewSession(
        found,
        log,
        media,
        PictureReader(paths),
        reviewer=options.reviewer,
        random_percent=options.random,
        classes=audioset().labels,
    )


def _serve(options: ReviewOptions, session: ReviewSession) -> None:
    from av_tagger.cli.console import stdout_console
    from av_tagger.review.routes import ReviewRoutes
    from av_tagger.review.server import ReviewServer
    from av_tagger.review.training import HeadTraining

    folder = session.log.path.parent
    training = HeadTraining(folder, options.device)
    server = ReviewServer(ReviewRoutes(session, training, options.fusion).table(), options.port)
    session.write_tables()
    _notes(session, options)
    try:
        stdout_console().say(f"review at {server.address}")
        sys.stdout.flush()
        _open_browser(server.address, options)
        server.serve()
    except KeyboardInterrupt:
        pass
    finally:
        training.stop()
        session.write_tables()
    _say(f"{len(session.log.answers)} answers in {folder}", options)


def _open_browser(address: str, options: ReviewOptions) -> None:
    import webbrowser

    if options.open:
        webbrowser.open(address)


def _notes(session: ReviewSession, options: ReviewOptions) -> None:
    found = session.found
    if found.placeless:
        text = f"{found.placeless} candidates in long files have no event to play; not asked about"
        _say(text, options)
    if found.share < 1:
        _say(f"very many candidates: a random {100 * found.share:g} % of the files", options)
    if session.log.answers:
        _say(f"continues after {len(session.log.answers)} answers", options)
    _say("answers are stored one by one; Ctrl-C ends the review", options)


def _after(options: ReviewOptions, found: FoundUnits, log: AnswerLog, media: MediaFiles) -> int:
    """The tables, the thresholds, and the fusion file if it was asked for."""
    from av_tagger.cli.console import stdout_console
    from av_tagger.review.labels import write_labels
    from av_tagger.review.new_fusion import write_suggested
    from av_tagger.review.state import ReviewState
    from av_tagger.review.thresholds import advise

    state = ReviewState.of(found.units, log.answers.values())
    advice = advise(state)
    if log.answers:
        write_labels(state, log.path.parent, media.locate)
    if options.summary:
        _show(advice, len(state.answers))
    if options.write_fusion:
        changed = write_suggested(found, advice, options.fusion, options.write_fusion)
        stdout_console().say(f"wrote {options.write_fusion}: {', '.join(a.label for a in changed)}")
    return 0


def _show(advice: Sequence[ThresholdAdvice], answers: int) -> None:
    from av_tagger.cli.console import stdout_console
    from av_tagger.cli.tables import print_table

    console = stdout_console()
    if not advice:
        console.say(f"{answers} answers; none says yes or no yet")
        return
    heads = ("class", "yes", "no", "now", "new", "F1 now", "held-out", "")
    print_table(console, f"{answers} answers", heads, [_row(a) for a in advice])
    lines = [
        "F1 in %, weighted: each answer counts as many candidates as it stands for",
        "held-out: the threshold was chosen without the recording it is measured on",
    ]
    for line in lines:
        console.say(line)


def _row(a: ThresholdAdvice) -> tuple[object, ...]:
    start = (a.label, a.present, a.absent, f"{a.threshold:.3f}")
    if a.suggested is None:
        return (*start, "", "", "", a.refusal)
    new = "never" if a.suggested > 1 else f"{a.suggested:.3f}"
    figures = (f"{100 * a.f1:.1f}", f"{100 * a.held_out:.1f}")
    return (*start, new, *figures, "change" if a.better else "keep")


def _say(text: str, options: ReviewOptions) -> None:
    from av_tagger.cli.console import stderr_console

    if not options.quiet:
        stderr_console().say(text)


review = command(ReviewOptions, _review)

"""What tagging commands write besides the table: formats, pages, annotated films; one line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.errors import MediaError, UsageError
from av_tagger.scores import Outcome, Tagged

if TYPE_CHECKING:
    from av_tagger.cli.options import OutputOptions

SMALL_MEDIA = 10_000_000  # bytes: a film up to this size is inside the page of --report
PAGE = (".html", ".htm")


def check_outputs(options: OutputOptions) -> None:
    """Refuse wrong output flags before any file is searched for."""
    if options.format is not None:
        from av_tagger.reports.writers import check_formats

        check_formats(options.format.split(","))
        if options.output is None:
            raise UsageError("--format needs a folder to write into; add -o FOLDER")
    if options.annotate is not None and options.annotate.suffix:
        from av_tagger.media.containers import check_film

        check_film(options.annotate)


def check_targets(options: OutputOptions, count: int) -> None:
    """Refuse one target for several files, as soon as their number is known."""
    target = options.annotate
    if target is not None and count > 1 and target.suffix:
        raise UsageError(
            f"--annotate {target} names one film, but there are {count} files;"
            f" name a folder, such as {target.with_suffix('')}"
        )


def write_outputs(outcomes: Sequence[Outcome], options: OutputOptions) -> Iterator[str]:
    """Write everything that the flags ask for; a line about each file, or why there is none."""
    if options.output is not None:
        from av_tagger.reports.writers import write_all

        formats = (options.format or "json").split(",")
        yield from (f"wrote {p}" for p in write_all(formats, outcomes, options.output))
    tagged = [o for o in outcomes if isinstance(o, Tagged)]
    wanted = {"--report": options.report, "--annotate": options.annotate}
    for flag in (name for name, target in wanted.items() if target is not None and not tagged):
        yield f"{flag} wrote nothing: no file could be tagged"
    if options.report is not None and tagged:
        yield f"wrote {_write_report(outcomes, tagged, options.report)}"
    if options.annotate is not None and tagged:
        yield from _annotate(outcomes, tagged, options.annotate)


def _write_report(outcomes: Sequence[Outcome], tagged: Sequence[Tagged], target: Path) -> Path:
    """A page for one file; for several a folder with an index, never one named like a page."""
    from av_tagger.reports.html import PageOptions, write_page, write_site
    from av_tagger.reports.spectrogram import draw_clip

    if len(outcomes) > 1 or not target.suffix:
        is_page = target.suffix.lower() in PAGE
        return write_site(outcomes, target.with_suffix("") if is_page else target)
    options = PageOptions(embed_small=SMALL_MEDIA)
    write_page(tagged[0], target, draw_clip(tagged[0].clip), options)
    return target


def _annotate(outcomes: Sequence[Outcome], tagged: Sequence[Tagged], target: Path) -> Iterator[str]:
    """A copy of the film; of several, or where the target is a folder, one each in that folder."""
    from av_tagger.reports.annotate import annotate
    from av_tagger.reports.files import safe_names

    if len(outcomes) == 1 and target.suffix and not target.is_dir():
        yield f"wrote {annotate(tagged[0], target)}"
        return
    make_folder(target)
    for name, one in zip(safe_names(t.clip for t in tagged), tagged, strict=True):
        try:
            yield f"wrote {annotate(one, target / f'{name}.mp4')}"
        except MediaError as error:
            yield f"--annotate left out {error}"


def make_folder(folder: Path, remedy: str = "choose another folder") -> None:
    """Make the folder; StorageError with `remedy` where that is impossible."""
    from av_tagger.errors import StorageError, sentence

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"cannot be made ({error.strerror})"
        raise StorageError(sentence(folder, reason, remedy)) from error

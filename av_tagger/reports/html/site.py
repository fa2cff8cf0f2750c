"""Many media files: a page per file, and an index that searches, sorts and filters them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from av_tagger.reports.files import safe_names, write_text
from av_tagger.reports.html.index import IndexEntry, index_page
from av_tagger.reports.html.page import page
from av_tagger.reports.html.player import PageOptions
from av_tagger.reports.schema import read_results, spectrogram_of
from av_tagger.reports.spectrogram import draw_clip
from av_tagger.scores import Failed, Outcome, Status, Tagged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

PAGES = "pages"  # the folder of the pages, beside the index


@dataclass(frozen=True)
class PageSource:
    """A result and, if there is one, its spectrogram."""

    outcome: Outcome
    spectrogram: bytes | None = None


def write_page(
    tagged: Tagged,
    target: Path,
    spectrogram: bytes | None = None,
    options: PageOptions | None = None,
) -> None:
    """The page of one file: self-contained except for the media file, linked or embedded."""
    options = options or PageOptions()
    if spectrogram is None and options.listen and tagged.ear.status is not Status.NO_TRACK:
        spectrogram = draw_clip(tagged.clip)
    write_text(target, [page(tagged, target, spectrogram, options)])


def write_site(
    outcomes: Sequence[Outcome], folder: Path, options: PageOptions | None = None
) -> Path:
    """An index and a page per result; returns the path of the index."""
    return write_pages(lambda: (PageSource(outcome) for outcome in outcomes), folder, options)


def write_pages(
    read: Callable[[], Iterable[PageSource]], folder: Path, options: PageOptions | None = None
) -> Path:
    """As `write_site`, from results that `read` gives twice, one at a time in memory."""
    options = replace(options or PageOptions(), index="../index.html")
    names = safe_names([source.outcome.clip for source in read()])
    entries = list(_write_each(read(), names, folder, options))
    index = folder / "index.html"
    write_text(index, [index_page(entries)])
    return index


def _write_each(
    sources: Iterable[PageSource], names: list[str], folder: Path, options: PageOptions
) -> Iterator[IndexEntry]:
    for name, source in zip(names, sources, strict=True):
        outcome = source.outcome
        if isinstance(outcome, Failed):
            yield IndexEntry(outcome)
            continue
        target = folder / PAGES / f"{name}.html"
        write_page(outcome, target, source.spectrogram, options)
        yield IndexEntry(_light(outcome), f"{PAGES}/{quote(target.name)}")


def read_page_sources(results: Path) -> Iterator[PageSource]:
    """The results of a file of JSON lines, one at a time, with their spectrograms if stored."""
    for _, found, outcome in read_results(results):
        yield PageSource(outcome, spectrogram_of(found))


def _light(tagged: Tagged) -> Tagged:
    """A result without activity, pictures and scores, which the index does not need."""
    return replace(tagged, activity=None, keyframes=(), scores={}, notes=())

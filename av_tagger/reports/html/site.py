"""Many media files: a page each, and an index that searches, sorts and filters them without loading one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from av_tagger.reports.files import safe_names, write_text
from av_tagger.reports.html.markup import Html, data_block, document, h, join
from av_tagger.reports.html.page import PageOptions, page
from av_tagger.reports.schema import read_results, spectrogram_of
from av_tagger.reports.spectrogram import draw_clip
from av_tagger.scores import Failed, Outcome, Status, Tagged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

PAGES = "pages"  # the folder beside the index that holds a page a file


@dataclass(frozen=True)
class Exhibit:
    """What is shown of one file."""

    outcome: Outcome
    spectrogram: bytes | None = None


def write_page(
    tagged: Tagged,
    target: Path,
    spectrogram: bytes | None = None,
    options: PageOptions | None = None,
) -> None:
    """One file's page, self-contained but for the media file that it links to (or embeds)."""
    options = options or PageOptions()
    if spectrogram is None and options.listen and tagged.ear.status is not Status.NO_TRACK:
        spectrogram = draw_clip(tagged.clip)
    write_text(target, [page(tagged, target, spectrogram, options)])


def write_site(
    outcomes: Sequence[Outcome], folder: Path, options: PageOptions | None = None
) -> Path:
    """An index and a page for each outcome; answers where the index is."""
    return write_exhibits(lambda: (Exhibit(outcome) for outcome in outcomes), folder, options)


def write_exhibits(
    source: Callable[[], Iterable[Exhibit]], folder: Path, options: PageOptions | None = None
) -> Path:
    """The same from a source that is gone through twice and held in memory one exhibit at a time."""
    options = replace(options or PageOptions(), index="../index.html")
    names = safe_names([exhibit.outcome.clip for exhibit in source()])
    rows = list(_write_pages(source(), names, folder, options))
    index = folder / "index.html"
    write_text(index, [_index(rows)])
    return index


def _write_pages(
    exhibits: Iterable[Exhibit], names: list[str], folder: Path, options: PageOptions
) -> Iterator[Outcome | tuple[Tagged, str]]:
    for name, exhibit in zip(names, exhibits, strict=True):
        outcome = exhibit.outcome
        if isinstance(outcome, Failed):
            yield outcome
            continue
        target = folder / PAGES / f"{name}.html"
        write_page(outcome, target, exhibit.spectrogram, options)
        yield _light(outcome), f"{PAGES}/{quote(target.name)}"


def read_exhibits(results: Path) -> Iterator[Exhibit]:
    """The results of a file of JSON lines, one at a time, with their spectrograms if stored."""
    for _, document, outcome in read_results(results):
        yield Exhibit(outcome, spectrogram_of(document))


def _light(tagged: Tagged) -> Tagged:
    """What the index keeps of a result: no curves, no pictures, no scores."""
    return replace(tagged, activity=None, keyframes=(), scores={}, notes=())


def _index(rows: Sequence[Any]) -> Html:
    labels = sorted(
        {tag.label for row in rows if not isinstance(row, Failed) for tag in row[0].tags}
    )
    places = {label: number for number, label in enumerate(labels)}
    data = {"labels": labels, "rows": [_row(row, places) for row in rows]}
    body = join(
        [
            _head(rows),
            _tools(),
            h("main", None, h("ol", {"id": "list", "class": "list"}), _empty()),
            data_block("data", data),
        ]
    )
    return document("av-tag results", "index.js", body)


def _row(row: Any, places: dict[str, int]) -> list[Any]:
    """[name, folder, link, seconds, [[label, probability], ...]] or, for a failure, [name, folder, null, null, message]."""
    if isinstance(row, Failed):
        return [
            row.clip.path.name or row.clip.name,
            _folder(row.clip.path),
            None,
            None,
            row.message.removeprefix(f"{row.clip.path}: "),
        ]
    tagged, link = row
    seconds = round(tagged.duration_seconds, 1) if math.isfinite(tagged.duration_seconds) else None
    tags = [
        [places[tag.label], round(tag.probability, 2) if math.isfinite(tag.probability) else None]
        for tag in tagged.tags
    ]
    return [_title(tagged), _folder(tagged.clip.path), link, seconds, tags]


def _title(tagged: Tagged) -> str:
    clip = tagged.clip
    name = clip.path.name or clip.name
    if clip.start_seconds == 0 and clip.end_seconds is None:
        return name
    return f"{name} [{clip.start_seconds:g} – {'end' if clip.end_seconds is None else f'{clip.end_seconds:g}'} s]"


def _folder(path: Path) -> str:
    return "" if path.parent == Path() else str(path.parent)


def _head(rows: Sequence[Any]) -> Html:
    failed = sum(isinstance(row, Failed) for row in rows)
    hours = (
        sum(
            row[0].duration_seconds
            for row in rows
            if not isinstance(row, Failed) and math.isfinite(row[0].duration_seconds)
        )
        / 3600
    )
    length = f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.1f} minutes"
    facts = [
        f"{len(rows):,} file{'' if len(rows) == 1 else 's'}",
        length,
        f"{failed:,} failed" if failed else None,
    ]
    return h(
        "header",
        {"class": "top"},
        h("h1", None, "What sounds where"),
        h("p", {"class": "meta"}, [h("span", None, f) for f in facts if f]),
    )


def _tools() -> Html:
    orders = (
        ("given", "as given"),
        ("name", "name"),
        ("tags", "most tags"),
        ("sure", "most certain"),
        ("long", "longest"),
        ("short", "shortest"),
    )
    return h(
        "div",
        {"class": "tools", "role": "search"},
        h(
            "input",
            {
                "id": "search",
                "type": "search",
                "placeholder": "Search files",
                "aria-label": "Search files",
                "autocomplete": "off",
                "spellcheck": "false",
            },
        ),
        h(
            "label",
            {"class": "order"},
            "Sort ",
            h(
                "select",
                {"id": "order"},
                [h("option", {"value": value}, text) for value, text in orders],
            ),
        ),
        h(
            "div",
            {"id": "filters", "class": "filters", "role": "group", "aria-label": "Filter by class"},
        ),
        h("p", {"id": "count", "class": "count", "role": "status"}),
        h(
            "noscript",
            None,
            "Searching needs JavaScript; the pages themselves lie in the folder ",
            PAGES,
            ".",
        ),
    )


def _empty() -> Html:
    return h("p", {"id": "empty", "class": "nothing", "hidden": True}, "No file matches.")

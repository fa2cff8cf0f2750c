"""av-tag find RUN... QUERY, and av-tag index: searches the results of runs and live journals."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.cli.options import TalkOptions, command
from av_tagger.flags import OUTPUT, RunFlags, argument, option, same

if TYPE_CHECKING:
    from av_tagger.collection.index import Index
    from av_tagger.collection.query import Node
    from av_tagger.collection.search import Found


@dataclass(frozen=True, kw_only=True)
class FindOptions(TalkOptions):
    words: list[str] = argument(
        "RUN... QUERY",
        "Folders of av-tag batch or of listen --journal, or JSON lines; last, what to find.",
    )
    like: Path | None = option(
        None, "Find what sounds like this file; needs av-tag embed.", metavar="FILE"
    )
    embeddings: Path | None = option(
        None, "Embeddings for --like. Default: RUN/embeddings.npz or .parquet.", metavar="FILE"
    )
    limit: int = option(20, "Show the best N hits.", "-n", "--limit", low=1)
    json: bool = option(False, "Print JSON lines: one object per hit.", group=OUTPUT)
    html: Path | None = option(
        None, "Write a page with players.", metavar="FILE.html", group=OUTPUT
    )
    csv: Path | None = option(
        None, "Write a table: a row per event.", metavar="FILE.csv", group=OUTPUT
    )
    playlist: Path | None = option(
        None, "Write a playlist with start and stop times.", metavar="FILE.m3u", group=OUTPUT
    )
    device: str = same(RunFlags, "device")
    offline: bool = same(RunFlags, "offline")


@dataclass(frozen=True, kw_only=True)
class IndexOptions(TalkOptions):
    runs: list[str] = argument("RUN...", "As av-tag find takes them.")


def _find(options: FindOptions) -> int:
    """Find clips by the classes in them: siren AND NOT music, any siren, siren NEAR/5 "car horn".

    The index beside each run is made by the first search and brought up to date by the next ones.
    """
    from av_tagger.collection.query import parse

    runs, query = _runs_and_query(options)
    node = parse(query) if query else None
    with _indexes(runs, quiet=options.quiet) as indexes:
        why: list[str] = []
        if options.like is None:
            assert node is not None
            found = _by_words(indexes, node, options, why)
        else:
            found = _by_sound(indexes, node, runs, options, why)
    title = query or f"like {options.like.name if options.like else ''}"
    _show(title, found, why, options)
    return 0


def _runs_and_query(options: FindOptions) -> tuple[list[str], str]:
    """The last word is the query; with --like there may be none."""
    from av_tagger.errors import UsageError
    from av_tagger.path_checks import exists

    *runs, query = options.words
    if exists(query) and options.like is not None:
        return [*runs, query], ""
    if not runs:
        what = "add a query, such as" if exists(query) else "name a run first, such as"
        example = f'{query if exists(query) else "RUN"} "any siren"'
        raise UsageError(f"{what} av-tag find {example}")
    if exists(query):
        raise UsageError(f"the last word is a query, but {query} is a file; add what to find")
    return runs, query


@contextmanager
def _indexes(runs: Sequence[str], *, quiet: bool) -> Iterator[list[Index]]:
    """The indexes of all runs, up to date."""
    from av_tagger.cli.console import stderr_console
    from av_tagger.cli.styles import QUIET
    from av_tagger.collection.index import Index
    from av_tagger.collection.sources import sources_of

    console = stderr_console()
    with ExitStack() as stack:
        found = []
        for source in sources_of(runs):
            index = stack.enter_context(Index(source))
            with console.status(f"indexing {source.path.name}", spinner="dots"):
                new = index.update()
            if new and not quiet:
                what = "event" if source.live else "result"
                text = f"indexed {new:,} new {what}{'s' if new > 1 else ''} of {source.path}"
                console.say(text, QUIET)
            found.append(index)
        yield found


def _by_words(indexes: list[Index], node: Node, options: FindOptions, why: list[str]) -> Found:
    from av_tagger.collection.names import Names
    from av_tagger.collection.query import terms
    from av_tagger.collection.search import search
    from av_tagger.collection.word_closeness import word_closeness

    present = frozenset(label for index in indexes for label in index.labels())
    names = Names(present, word_closeness)
    told = [names.meaning(term).why for term in terms(node)]
    why += [line for line in dict.fromkeys(told) if line]
    return search(indexes, node, names.meaning, options.limit)


def _by_sound(
    indexes: list[Index],
    node: Node | None,
    runs: Sequence[str],
    options: FindOptions,
    why: list[str],
) -> Found:
    from av_tagger.collection.like import EmbeddingFiles, find_like
    from av_tagger.collection.names import Names
    from av_tagger.collection.query import terms
    from av_tagger.collection.search import matching_files
    from av_tagger.collection.word_closeness import word_closeness

    assert options.like is not None
    files = EmbeddingFiles(runs, options.embeddings)
    allowed = None
    if node is not None:
        present = frozenset(label for index in indexes for label in index.labels())
        names = Names(present, word_closeness)
        why += [line for t in terms(node) if (line := names.meaning(t).why)]
        allowed = matching_files(indexes, node, names.meaning)
    rows = files.embed(options.like, options.device, offline=options.offline)
    return find_like(indexes, files, rows, allowed, options.limit)


def _show(title: str, found: Found, why: Sequence[str], options: FindOptions) -> None:
    from av_tagger.cli.console import stderr_console
    from av_tagger.cli.session import say
    from av_tagger.cli.show_hits import show_hits
    from av_tagger.collection.tables import json_lines

    for line in why:
        say(line, options)
    if options.json:
        sys.stdout.writelines(json_lines(found.hits))
    else:
        show_hits(found)
    for line in _write(title, found, why, options):
        if not options.quiet:
            stderr_console().say(line)


def _write(title: str, found: Found, why: Sequence[str], options: FindOptions) -> Iterator[str]:
    from av_tagger.collection.page import hits_page
    from av_tagger.collection.tables import csv_table, playlist
    from av_tagger.reports.files import write_text

    if options.html is not None:
        write_text(options.html, [hits_page(title, why, found, options.html)])
        yield f"wrote {options.html}"
    if options.csv is not None:
        write_text(options.csv, csv_table(found.hits))
        yield f"wrote {options.csv}"
    if options.playlist is not None:
        write_text(options.playlist, playlist(found.hits, options.playlist))
        yield f"wrote {options.playlist}"


def _index(options: IndexOptions) -> None:
    """Make the index of runs and live journals, or bring it up to date, for av-tag find."""
    from av_tagger.cli.console import stderr_console
    from av_tagger.cli.help import counted
    from av_tagger.collection.like import prepare
    from av_tagger.collection.sources import embeddings_of

    console = stderr_console()
    with _indexes(options.runs, quiet=True) as indexes:
        for index in indexes:
            clips, events = index.counts()
            what = f"{counted(clips, 'scene' if index.source.live else 'clip')}"
            text = f"{index.path}: {what}, {counted(events, 'event')}"
            if not options.quiet:
                console.say(text)
    for path in embeddings_of(options.runs):
        count = prepare(path)
        if not options.quiet:
            text = f"{path}: {counted(count, 'second')} for --like"
            console.say(text)


find = command(FindOptions, _find)
index = command(IndexOptions, _index)

"""Runs a query on indexes: the best hits first, each with the events that matched."""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from av_tagger.collection.index import AGAIN, Index
from av_tagger.collection.names import Meaning
from av_tagger.collection.query import And, Near, Node, Or, Term, terms
from av_tagger.collection.rows import Array, bytes_of, text_of
from av_tagger.collection.select import TINY, MeaningOf, QueryRunner
from av_tagger.errors import StorageError, sentence

HEAD = "SELECT name, start, finish, duration, moment, detail FROM clips WHERE id = ?"
BY_NAME = "SELECT id FROM clips WHERE name = ? LIMIT 1"


@dataclass(frozen=True)
class FoundEvent:
    """An event of a hit; `media` is the kept sound of a stream, which begins at `media_start`."""

    label: str
    start: float
    end: float
    peak: float
    media: str = ""
    media_start: float = 0.0


@dataclass(frozen=True)
class Hit:
    """A clip, or a scene of a stream, that a query found."""

    source: str  # as the user named it
    file: str
    start: float
    end: float | None
    duration: float | None
    moment: float | None  # Unix time: of the file, or of the beginning of a scene
    score: float | None  # probability of the best tag asked for; with --like a similarity
    tags: tuple[tuple[str, float], ...]
    events: tuple[FoundEvent, ...]  # that matched
    live: bool = False
    asked: tuple[str, ...] = ()  # its tags that the query asked for


@dataclass(frozen=True)
class Found:
    """How many hits there are, and the best of them."""

    total: int
    hits: tuple[Hit, ...]


def search(indexes: Sequence[Index], node: Node, meaning: MeaningOf, limit: int) -> Found:
    """The best `limit` hits of all indexes, by the probability of what was asked for."""
    total = 0
    ranked: list[tuple[float, int, int]] = []
    for place, index in enumerate(indexes):
        with _readable(index):
            runner = QueryRunner(index, meaning)
            clips = runner.clips(node)
            scores = runner.scores(node)[clips]
        total += len(clips)
        rows = _best(scores, limit).tolist()
        ranked += [(-float(scores[row]), place, int(clips[row])) for row in rows]
    best = heapq.nsmallest(limit, ranked)
    hits = [_hit(indexes[place], clip, -score, node, meaning) for score, place, clip in best]
    return Found(total, tuple(hits))


def matching_files(indexes: Sequence[Index], node: Node, meaning: MeaningOf) -> set[str]:
    """The files of all clips that match."""
    files: set[str] = set()
    for index in indexes:
        with _readable(index):
            clips = QueryRunner(index, meaning).clips(node)
            wanted = set(clips.tolist())
            names = index.db.execute("SELECT id, name FROM clips")
            files.update(text_of(name) for clip, name in names if clip in wanted)
    return files


def hits_of_files(indexes: Sequence[Index], files: Iterable[str]) -> dict[str, Hit]:
    """What the indexes know of some files: date and tags."""
    wanted, found = list(files), dict[str, Hit]()
    for index in indexes:
        for name in wanted:
            with _readable(index):
                row = index.db.execute(BY_NAME, (bytes_of(name),)).fetchone()
            if row is not None:
                found.setdefault(name, _hit(index, row[0], -1.0, And(()), lambda _: Meaning(())))
    return found


def _best(scores: Array, limit: int) -> Array:
    """The rows of the highest scores; of equal ones the first."""
    if limit < len(scores):
        least = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        rows = np.flatnonzero(scores >= least)
    else:
        rows = np.arange(len(scores))
    order: Array = rows[np.argsort(-scores[rows], kind="stable")][:limit]
    return order


def _hit(index: Index, clip: int, score: float, node: Node, meaning: MeaningOf) -> Hit:
    with _readable(index):
        name, start, finish, duration, moment, detail = index.db.execute(HEAD, (clip,)).fetchone()
        stored = json.loads(detail)
        tags = tuple((str(label), float(p)) for label, p, _ in stored)
        events = [
            FoundEvent(label, float(s), float(e), float(p), *(m[1:3] if m else ()))
            for label, _, found in stored
            for s, e, p, *m in found
        ]
    chosen = set(_matching(node, events, dict(tags), meaning))
    matched = sorted((e for e in events if e in chosen), key=lambda e: (e.start, e.end))
    head = index.source.given, text_of(name), start, finish, duration, moment
    best = tuple(sorted(tags, key=lambda tag: -tag[1]))
    wanted = {label for t in terms(node, wanted_only=True) for label in meaning(t).labels}
    asked = tuple(label for label, _ in best if label in wanted)
    known = None if score < 0 else score
    return Hit(*head, known, best, tuple(matched), index.source.live, asked)


def _matching(
    node: Node, events: list[FoundEvent], tags: dict[str, float], meaning: MeaningOf
) -> Iterator[FoundEvent]:
    """The events that the positive parts of a query mean."""

    def of(term: Term) -> list[FoundEvent]:
        labels = set(meaning(term).labels)
        return [e for e in events if e.label in labels and _fits(e, term, tags)]

    match node:
        case Term():
            yield from of(node)
        case Near(left, right, seconds):
            for a in of(left):
                for b in of(right):
                    apart = max(b.start - a.end, a.start - b.end)
                    if a is not b and apart <= seconds + TINY:
                        yield from (a, b)
        case And(parts) | Or(parts):
            for part in parts:
                yield from _matching(part, events, tags, meaning)
        case _:
            return


def _fits(event: FoundEvent, term: Term, tags: dict[str, float]) -> bool:
    length = event.end - event.start
    short = term.shorter is None or length <= term.shorter + TINY
    return length >= term.longer - TINY and short and tags.get(event.label, 0.0) >= term.over


@contextmanager
def _readable(index: Index) -> Iterator[None]:
    """What is wrong with an index as one sentence."""
    try:
        yield
    except (sqlite3.Error, TypeError, ValueError, IndexError) as error:
        reason = f"the index cannot be searched ({error})"
        raise StorageError(sentence(index.path, reason, AGAIN)) from error

"""Conditions of a query as masks over the clips of one index, computed on its columns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from av_tagger.collection.index import Index
from av_tagger.collection.names import Meaning
from av_tagger.collection.query import And, Dated, Near, Node, Not, Or, PathLike, Term, terms
from av_tagger.collection.rows import (
    CLIPS,
    ENDS,
    EVENT_CLIPS,
    EVERY_CLIP,
    STARTS,
    VALUES,
    Array,
    read_columns,
)

Mask = NDArray[np.bool_]
MeaningOf = Callable[[Term], Meaning]

DAY = dt.timedelta(days=1)
STEP = 1e9  # seconds between two clips on the common time line of NEAR
TINY = 1e-6  # times are stored to the millisecond
_WILD = str.maketrans({"*": "%", "?": "_"})
_LITERAL = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})
# The first condition can use the index of three letters, the second is exact.
OF_PATH = "SELECT rowid FROM paths WHERE path LIKE ? AND path LIKE ? ESCAPE '\\'"


class QueryRunner:
    """One query on one index: which clips match, and how well."""

    def __init__(self, index: Index, meaning: MeaningOf) -> None:
        self.db, self.meaning, self.labels = index.db, meaning, index.labels()
        self._columns: dict[int, dict[str, Array]] = {}
        every = self.columns(EVERY_CLIP)
        self.size = int(every[CLIPS].max(initial=0)) + 1

    def columns(self, label: int) -> dict[str, Array]:
        if label not in self._columns:
            self._columns[label] = read_columns(self.db, label)
        return self._columns[label]

    def clips(self, node: Node) -> Array:
        """The numbers of the clips that match."""
        every = self._none()
        every[self.columns(EVERY_CLIP)[CLIPS]] = True
        return np.flatnonzero(self._mask(node) & every)

    def scores(self, node: Node) -> Array:
        """By clip the highest probability of a class that was asked for; -1 without one."""
        found = np.full(self.size, -1.0)
        for label in {n for t in terms(node, wanted_only=True) for n in self.numbers(t)}:
            columns = self.columns(label)
            np.maximum.at(found, columns[CLIPS], columns[VALUES])
        return found

    def numbers(self, term: Term) -> list[int]:
        """The labels of this index that a class stands for."""
        wanted = self.meaning(term).labels
        return [self.labels[name] for name in wanted if name in self.labels]

    def _none(self) -> Mask:
        return np.zeros(self.size, np.bool_)

    def _mask(self, node: Node) -> Mask:
        match node:
            case Not(inner):
                return ~self._mask(inner)
            case And(parts) | Or(parts):
                join = np.logical_and if isinstance(node, And) else np.logical_or
                found: Mask = join.reduce([self._mask(part) for part in parts])
                return found
            case _:
                return self._single(node)

    def _single(self, node: Term | Near | Dated | PathLike) -> Mask:
        match node:
            case Term():
                return self._of_term(node)
            case Near():
                return self._of_near(node)
            case Dated():
                return self._of_dates(node)
            case PathLike():
                return self._of_path(node)

    def _of_term(self, term: Term) -> Mask:
        found = self._none()
        for label in self.numbers(term):
            if term.of_events:
                found[self._events(term, label)[0]] = True
            else:
                columns = self.columns(label)
                found[columns[CLIPS][columns[VALUES] >= term.over]] = True
        return found

    def _events(self, term: Term, label: int) -> tuple[Array, Array, Array]:
        """Clips, starts and ends of the events of a label within the limits of a class."""
        columns, kept = self.columns(label), self._fits(term, label)
        return columns[EVENT_CLIPS][kept], columns[STARTS][kept], columns[ENDS][kept]

    def _fits(self, term: Term, label: int) -> Mask:
        """Which events of a label are within the limits of a class."""
        columns = self.columns(label)
        lengths = columns[ENDS] - columns[STARTS]
        kept: Mask = lengths >= term.longer - TINY
        if term.shorter is not None:
            kept &= lengths <= term.shorter + TINY
        if term.over:
            probable = self._none()
            probable[columns[CLIPS][columns[VALUES] >= term.over]] = True
            kept &= probable[columns[EVENT_CLIPS]]
        return kept

    def _of_near(self, near: Near) -> Mask:
        """Events of both classes on one time line, on which clips lie far apart.

        The number of events that reach an event is that of those which start before its end, less
        those which end before its start. Events of both sides are not near themselves.
        """
        found, left, right = self._none(), self.numbers(near.left), self.numbers(near.right)
        others = [self._events(near.right, label) for label in right]
        starts = np.sort(np.concatenate([[], *(c * STEP + s for c, s, _ in others)]))
        ends = np.sort(np.concatenate([[], *(c * STEP + e for c, _, e in others)]))
        reach = near.seconds + TINY
        for label in left:
            clips, first, last = self._events(near.left, label)
            begun = np.searchsorted(starts, clips * STEP + last + reach, "right")
            over = np.searchsorted(ends, clips * STEP + first - reach, "left")
            itself: Array = np.zeros(len(clips), np.bool_)
            if label in right:
                itself = self._fits(near.right, label)[self._fits(near.left, label)]
            found[clips[begun - over > itself]] = True
        return found

    def _of_dates(self, node: Dated) -> Mask:
        """Days of the local time zone; what has no date matches none."""
        every, found = self.columns(EVERY_CLIP), self._none()
        kept = np.isfinite(every[VALUES])
        if node.first is not None:
            kept &= every[VALUES] >= midnight(node.first)
        if node.last is not None and node.last < dt.date.max:
            kept &= every[VALUES] < midnight(node.last + DAY)
        found[every[CLIPS][kept]] = True
        return found

    def _of_path(self, node: PathLike) -> Mask:
        exact = node.pattern.translate(_LITERAL).translate(_WILD)
        rough = node.pattern.translate(_WILD)
        found = self._none()
        rows = self.db.execute(OF_PATH, (f"%{rough}%", f"%{exact}%")).fetchall()
        numbers = np.array([row[0] for row in rows], np.int64)
        found[numbers[numbers < self.size]] = True
        return found


def midnight(day: dt.date) -> float:
    """Unix time at which a day begins here."""
    try:
        return dt.datetime.combine(day, dt.time()).astimezone().timestamp()
    except (OverflowError, OSError, ValueError):  # outside of what the system's clock knows
        return (day - dt.date(1970, 1, 1)).total_seconds()

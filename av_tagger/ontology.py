"""How AudioSet classes relate, and which tags of a result name the same sound twice."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

KINDS, SOUNDS, NAMED_SOUNDS = ":", "~", "+"
_LINE = re.compile(r"(?P<parent>.+?)(?:(?P<kinds>:)| (?P<other>[~+])) (?P<children>.+)")


@dataclass(frozen=True)
class Relation:
    """One line of the table; `how` is KINDS, SOUNDS or NAMED_SOUNDS."""

    parent: str
    how: str
    children: tuple[str, ...]


@cache
def relations() -> tuple[Relation, ...]:
    """The relations between the 527 classes, as in the AudioSet ontology."""
    resource = files("av_tagger").joinpath("resources", "audioset_relations.txt")
    lines = resource.read_text(encoding="utf-8").splitlines()
    return tuple(_relation(line) for line in lines if line and not line.startswith("#"))


def children(label: str, how: str = KINDS + SOUNDS + NAMED_SOUNDS) -> tuple[str, ...]:
    """The classes directly under this one, of these relations."""
    return tuple(c for h in how for c in _table().get((label, h), ()))


@cache
def below(label: str, how: str = KINDS + SOUNDS + NAMED_SOUNDS) -> frozenset[str]:
    """Every class under this one at any depth; `how` limits the first step only."""
    return frozenset(_walk(children(label, how)))


@cache
def above(label: str, how: str = KINDS + SOUNDS + NAMED_SOUNDS) -> frozenset[str]:
    """Every class that has this one under it; `how` limits the step from that class."""
    return frozenset(r.parent for r in relations() if label in below(r.parent, how))


def fold(labels: Collection[str]) -> frozenset[str]:
    """The labels worth showing: no parent whose kind is named (Animal, beside Dog), and no sound of
    a source that is named (Bark, beside Dog). Labels outside AudioSet always stay.
    """
    shown = set(labels)
    return frozenset(x for x in shown if not (below(x, KINDS) & shown or above(x, SOUNDS) & shown))


def _walk(labels: Iterable[str]) -> Iterator[str]:
    for label in labels:
        yield label
        yield from _walk(children(label))


@cache
def _table() -> dict[tuple[str, str], tuple[str, ...]]:
    return {(r.parent, r.how): r.children for r in relations()}


def _relation(line: str) -> Relation:
    found = _LINE.fullmatch(line)
    assert found is not None, line
    how = found["kinds"] or found["other"]
    return Relation(found["parent"], how, tuple(found["children"].split(" | ")))

"""What an object proves: the sound classes one of whose visible forms its name or its kind names.

A sound class has visible forms (`labels.SoundClass.words`): things that are seen where the sound
is made. An object is evidence for a class only if it *is* such a thing by its own name or by its
dictionary definition. Nearness of word vectors alone is no evidence: a four-poster is near to a
car in every such space. Word vectors only say how far a name and the kind behind it agree.

Strength of the evidence, from 0 (none) to 1, the most of:

1.0            the usual name of the object is a visible form: "ambulance"
0.9            its kind is: "a light truck with an open body" (pickup); 0.6 where its usual name
               already is one: a fire engine is first of all that, then a truck
0.5 + 0.4 a    its usual name ends with one: "mountain bike"; a: agreement of name and kind
0.6 + 0.3 a    a later synonym is one: "cab, hack, taxi"
0.5 a          a later synonym ends with one: "axolotl, mud puppy" is hardly a puppy

The agreement is the cosine of the last words of name and kind, 0 where a vector is missing. The
longest visible form that ends a name counts: "railway car" is no car.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from av_tagger.video.kinds import Words, kind, singular_words
from av_tagger.video.naming import synonyms

Strength = NDArray[np.float32]
Agreement = Callable[[str, str], float]  # of two words, from 0 to 1
VisibleForms = Mapping[str, Sequence[str] | None]  # None: the label says it; empty: none

BY_KIND, BESIDE_A_NAME = 0.9, 0.6


@dataclass(frozen=True)
class Thing:
    """An object in words: its synonyms, the usual one first, and its kind."""

    names: tuple[Words, ...]
    kind: Words = ()

    @classmethod
    def of(cls, name: str, definition: str = "") -> Thing:
        return cls(tuple(singular_words(one) for one in synonyms(name)), kind(definition))


def strengths(
    things: Sequence[Thing], forms: Sequence[Sequence[str] | None], agreement: Agreement
) -> Strength:
    """(things, classes) strength of the evidence; a column of NaN for a class without any form."""
    known = [_known(group) for group in forms]
    every = frozenset().union(*known)
    table = np.zeros((len(things), len(forms)), dtype=np.float32)
    for row, thing in zip(table, things, strict=True):
        found = _named(thing, every, agreement)
        if found:
            row[:] = [max((found.get(form, 0.0) for form in mine), default=0.0) for mine in known]
    table[:, [not mine for mine in known]] = np.nan
    return table


def no_agreement(word: str, other: str) -> float:
    """Without word vectors nothing is known of how far two words agree."""
    del word, other
    return 0.0


def forms_of(labels: Iterable[str], words: VisibleForms) -> list[Sequence[str]]:
    """The visible forms of each class; a class that says nothing of them is seen as its label."""
    found = ((label, words.get(label)) for label in labels)
    return [(label,) if mine is None else mine for label, mine in found]


def _known(group: Sequence[str] | None) -> frozenset[Words]:
    phrases = (singular_words(phrase) for phrase in group or ())
    return frozenset(phrase for phrase in phrases if phrase)


def _named(thing: Thing, every: frozenset[Words], agreement: Agreement) -> dict[Words, float]:
    """Every visible form that the thing is, with its strength."""
    found: dict[Words, float] = {}
    of_kind = _ending(thing.kind, every)
    if of_kind:
        found[of_kind] = BESIDE_A_NAME if thing.names[0] in every else BY_KIND
    for place, name in enumerate(thing.names):
        form = _ending(name, every)
        if form:
            alike = agreement(form[-1], thing.kind[-1]) if thing.kind else 0.0
            strength = _by_name(place == 0, form == name, alike)
            found[form] = max(found.get(form, 0.0), strength)
    return found


def _by_name(usual: bool, whole: bool, alike: float) -> float:
    if usual:
        return 1.0 if whole else 0.5 + 0.4 * alike
    return 0.6 + 0.3 * alike if whole else 0.5 * alike


def _ending(name: Words, every: frozenset[Words]) -> Words:
    """The longest end of a name that is a visible form; empty where none is."""
    return next((name[i:] for i in range(len(name)) if name[i:] in every), ())

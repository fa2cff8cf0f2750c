"""How near an object is to a sound class: the rules, and the word vectors that they read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError, did_you_mean
from av_tagger.labels import ClassList, SoundClass
from av_tagger.video.imagenet import definitions, object_names
from av_tagger.video.kinds import kind, singular_words
from av_tagger.video.named import Agreement, Thing, forms_of, no_agreement, strengths
from av_tagger.video.naming import known_words, needed_words, synonyms

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

Similarity = NDArray[np.float32]
RuleName = Literal["paper", "ours"]
ClassWords = Mapping[str, Sequence[str] | None]  # visible forms by label (`labels.SoundClass`)


@dataclass(frozen=True)
class Reader:
    """Reads phrases as unit vectors."""

    vectors: KeyedVectors

    def read(self, phrases: Sequence[str]) -> Similarity:
        """(phrases, dimensions); a row of NaN for a phrase without a known word."""
        rows = [self._one(phrase) for phrase in phrases]
        return np.stack(rows) if rows else np.empty((0, self.vectors.vector_size), dtype=np.float32)

    def _one(self, phrase: str) -> Similarity:
        words = known_words(phrase, self.vectors.__contains__)
        if not words:
            return np.full(self.vectors.vector_size, np.nan, dtype=np.float32)
        mean = np.mean([self.vectors[word] for word in words], axis=0, dtype=np.float64)
        length = float(np.linalg.norm(mean))
        return np.asarray(
            mean / length if length > 0 else np.full_like(mean, np.nan), dtype=np.float32
        )


def paper_rule(
    vectors: KeyedVectors | None, objects: Sequence[str], sounds: Sequence[str], words: ClassWords
) -> Similarity:
    """Cosine of two descriptions (AV section 2.2): an object's usual name (the first with a known
    word) and a sound's whole label.
    """
    del words  # the paper has none
    if vectors is None:
        raise UsageError("the rule of the paper needs word vectors; choose the rule `ours`")
    reader = Reader(vectors)
    names = [synonyms(name) for name in objects]
    table = _by_object(reader, names, sounds)
    return (
        np.stack([_first_known(rows) for rows in table])
        if objects
        else np.empty((0, len(sounds)), np.float32)
    )


def our_rule(
    vectors: KeyedVectors | None, objects: Sequence[str], sounds: Sequence[str], words: ClassWords
) -> Similarity:
    """Strength of the evidence that an object is for a class, by its name and kind (`named`).

    A column of NaN: the class has no visible form. Word vectors, where there are any, say how far
    name and kind agree.
    """
    things = [Thing.of(*one) for one in zip(objects, definitions(objects), strict=True)]
    agreement = no_agreement if vectors is None else _cosine_of(vectors)
    return strengths(things, forms_of(sounds, words), agreement)


def _cosine_of(vectors: KeyedVectors) -> Agreement:
    def cosine(word: str, other: str) -> float:
        known = word in vectors and other in vectors
        return max(0.0, float(vectors.similarity(word, other))) if known else 0.0

    return cosine


Rule = Callable[["KeyedVectors | None", Sequence[str], Sequence[str], ClassWords], Similarity]
RULES: dict[str, Rule] = {
    "paper": paper_rule,
    "ours": our_rule,
}


class GloVe:
    """A `WordSpace` of word vectors under a rule; without vectors the rule `ours` reads names
    alone.
    """

    def __init__(
        self, vectors: KeyedVectors | None, name: str, rule: RuleName, words: ClassWords
    ) -> None:
        self.name = f"{name}, rule {rule}"
        self._vectors, self._rule, self._words = vectors, RULES[rule], dict(words)

    def similarity(self, objects: Sequence[str], sounds: Sequence[str]) -> Similarity:
        return self._rule(self._vectors, objects, sounds, self._words)


@dataclass
class WordTable:
    """A `WordSpace` that was computed before, for named objects and named sounds only."""

    name: str
    objects: tuple[str, ...]
    sounds: tuple[str, ...]
    values: Similarity  # (objects, sounds)

    def covers(self, objects: Sequence[str], sounds: Sequence[str]) -> bool:
        return set(objects) <= set(self.objects) and set(sounds) <= set(self.sounds)

    def similarity(self, objects: Sequence[str], sounds: Sequence[str]) -> Similarity:
        columns = _positions(self.sounds, sounds)
        if tuple(objects) == self.objects:  # all of them: two are called crane
            return self.values[:, columns]
        rows = _positions(self.objects, objects)
        return self.values[np.ix_(rows, columns)]


def class_words(classes: ClassList) -> dict[str, tuple[str, ...] | None]:
    return {c.label: c.words for c in classes}


@cache
def unnamed(classes: tuple[SoundClass, ...]) -> frozenset[str]:
    """Classes whose visible forms name no object of ImageNet: by the rule `ours` none is ever seen.

    However well the words of a name and of its kind agree.
    """
    objects = object_names()
    things = [Thing.of(*one) for one in zip(objects, definitions(objects), strict=True)]
    forms = forms_of([c.label for c in classes], {c.label: c.words for c in classes})
    most = np.nan_to_num(strengths(things, forms, _full_agreement)).max(axis=0)
    return frozenset(c.label for c, strength in zip(classes, most, strict=True) if strength == 0)


def _full_agreement(word: str, other: str) -> float:
    del word, other
    return 1.0


def words_to_keep(objects: Sequence[str], classes: ClassList) -> frozenset[str]:
    """The words that any rule could ask for, to be kept of a large file."""
    forms = [form for c in classes for form in c.words or ()]
    kinds = (" ".join(kind(definition)) for definition in definitions(objects))
    singular = (" ".join(singular_words(name)) for name in (*objects, *forms))
    return needed_words([*objects, *classes.labels, *kinds, *singular])


def _by_object(
    reader: Reader, names: Sequence[tuple[str, ...]], others: Sequence[str]
) -> list[Similarity]:
    """For each object a (synonyms, others) array of cosines."""
    flat = reader.read([synonym for group in names for synonym in group])
    with np.errstate(invalid="ignore"):
        cosines = np.clip(flat @ reader.read(others).T, -1.0, 1.0)
    return np.split(cosines, np.cumsum([len(group) for group in names])[:-1]) if names else []


def _first_known(rows: Similarity) -> Similarity:
    known = np.isfinite(rows).any(axis=1)
    first: Similarity = rows[int(known.argmax())]
    return first


def _positions(known: Sequence[str], asked: Sequence[str]) -> list[int]:
    place = {name: i for i, name in reversed(list(enumerate(known)))}  # of two cranes the first
    for name in asked:
        if name not in place:
            raise UsageError(
                f"the table of similarities does not know {name!r}; {did_you_mean(name, place)}"
            )
    return [place[name] for name in asked]

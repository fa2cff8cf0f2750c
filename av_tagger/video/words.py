"""How near the name of an object is to the name of a sound: rules, the vectors they read, and the table that ships."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError, WeightsError, did_you_mean, sentence
from av_tagger.labels import ClassList
from av_tagger.video.naming import known_words, needed_words, plain, synonyms

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

Similarity = NDArray[np.float32]
RuleName = Literal["paper", "ours"]
BESIDE = 0.99  # the most that any other class may have of an object that is named outright
ClassWords = Mapping[str, Sequence[str]]  # extra words by label


@dataclass(frozen=True)
class Reader:
    """Reads phrases as unit vectors."""

    vectors: KeyedVectors
    halves: bool

    def read(self, phrases: Sequence[str]) -> Similarity:
        """(phrases, dimensions); a row of NaN for a phrase without a known word."""
        rows = [self._one(phrase) for phrase in phrases]
        return np.stack(rows) if rows else np.empty((0, self.vectors.vector_size), dtype=np.float32)

    def _one(self, phrase: str) -> Similarity:
        words = known_words(phrase, self.vectors.__contains__, self.halves)
        if not words:
            return np.full(self.vectors.vector_size, np.nan, dtype=np.float32)
        mean = np.mean([self.vectors[word] for word in words], axis=0, dtype=np.float64)
        length = float(np.linalg.norm(mean))
        return np.asarray(
            mean / length if length > 0 else np.full_like(mean, np.nan), dtype=np.float32
        )


def paper_rule(
    vectors: KeyedVectors, objects: Sequence[str], sounds: Sequence[str], words: ClassWords
) -> Similarity:
    """Cosine of two descriptions (AV section 2.2): an object's usual name (the first with a known word) and a sound's whole label."""
    del words  # the paper has none
    reader = Reader(vectors, halves=False)
    names = [synonyms(name) for name in objects]
    table = _by_object(reader, names, sounds)
    return (
        np.stack([_first_known(rows) for rows in table])
        if objects
        else np.empty((0, len(sounds)), np.float32)
    )


def our_rule(
    vectors: KeyedVectors, objects: Sequence[str], sounds: Sequence[str], words: ClassWords
) -> Similarity:
    """The mean of the nearness to the sound's label and to the nearest of its class words, each for the best synonym.

    The words alone cannot tell a car from its alarm (both have the word "car"); the label alone does not know that a
    locomotive is a train. A side without any known word counts as 0; NaN only where neither side has one. A synonym that
    is itself a word of one class, and of no other, settles the matter with a similarity of 1: a "passenger car" is no car.
    """
    reader = Reader(vectors, halves=True)
    names = [synonyms(name) for name in objects]
    extra = [list(words.get(sound, ())) or [sound] for sound in sounds]
    to_labels = _best(_by_object(reader, names, sounds), len(sounds))
    flat = [word for group in extra for word in group]
    to_words = _best(_by_object(reader, names, flat), len(flat))
    ends = np.cumsum([len(group) for group in extra])
    nearest = [
        _max(to_words[:, end - len(group) : end], axis=1)
        for group, end in zip(extra, ends, strict=True)
    ]
    both = np.stack([to_labels, np.stack(nearest, axis=1) if nearest else to_labels])
    unknown = np.isnan(both).all(axis=0)
    near = np.where(unknown, np.nan, np.nan_to_num(both).mean(axis=0))
    named = _named_outright(names, extra)
    near = np.where(named.any(axis=1, keepdims=True), np.minimum(near, BESIDE), near)
    return np.where(named, 1.0, near).astype(np.float32)


def _named_outright(
    names: Sequence[Sequence[str]], words: Sequence[Sequence[str]]
) -> NDArray[np.bool_]:
    """(objects, sounds) where a synonym is a word of that sound alone."""
    said_of = Counter(word for group in words for word in {plain(word) for word in group})
    own = [{plain(word) for word in group if said_of[plain(word)] == 1} for group in words]
    called = [{plain(synonym) for synonym in group} for group in names]
    return np.array(
        [[bool(mine & theirs) for theirs in own] for mine in called], dtype=bool
    ).reshape(len(names), len(words))


RULES: dict[str, Callable[[KeyedVectors, Sequence[str], Sequence[str], ClassWords], Similarity]] = {
    "paper": paper_rule,
    "ours": our_rule,
}


class GloVe:
    """A `WordSpace` of word vectors under a rule."""

    def __init__(self, vectors: KeyedVectors, name: str, rule: RuleName, words: ClassWords) -> None:
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
        rows, columns = _positions(self.objects, objects), _positions(self.sounds, sounds)
        return self.values[np.ix_(rows, columns)]


def class_words(classes: ClassList) -> dict[str, tuple[str, ...]]:
    return {c.label: c.words for c in classes}


def words_to_keep(objects: Sequence[str], classes: ClassList) -> frozenset[str]:
    """The words that any rule could ask for, to be kept of a large file."""
    return needed_words([*objects, *classes.labels, *(word for c in classes for word in c.words)])


def compute(classes: ClassList) -> str:
    """The classes and their words as a text that tells whether a table was made for them."""
    return json.dumps([[c.label, list(c.words)] for c in classes], ensure_ascii=False)


def build_tables(
    vectors: KeyedVectors, source: str, objects: Sequence[str], classes: ClassList
) -> dict[str, WordTable]:
    """One table a rule."""
    words = class_words(classes)
    values = {
        rule: compute(vectors, objects, classes.labels, words) for rule, compute in RULES.items()
    }
    return {
        rule: WordTable(f"{source}, rule {rule}", tuple(objects), classes.labels, v)
        for rule, v in values.items()
    }


def save_tables(
    tables: Mapping[str, WordTable], path: Path, source: str, classes: ClassList
) -> None:
    from safetensors.numpy import save_file

    one = next(iter(tables.values()))
    names = {
        "objects": json.dumps(one.objects, ensure_ascii=False),
        "sounds": json.dumps(one.sounds, ensure_ascii=False),
    }
    metadata = names | {"source": source, "classes": compute(classes), "license": "PDDL-1.0"}
    save_file({rule: table.values for rule, table in tables.items()}, path, metadata=metadata)


def load_table(path: Path, rule: RuleName, classes: ClassList) -> WordTable | None:
    """The table of a rule, or None when it was made for other classes or other class words."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            facts = file.metadata()
            values = file.get_tensor(rule)
        made_for = dict(json.loads(facts["classes"]))
        objects, sounds = tuple(json.loads(facts["objects"])), tuple(json.loads(facts["sounds"]))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            sentence(path, f"is not a table of similarities ({error})", "install av_tagger again")
        ) from error
    if any(made_for.get(c.label) != list(c.words) for c in classes):
        return None
    return WordTable(f"{facts['source']}, rule {rule}", objects, sounds, values)


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


def _best(groups: Sequence[Similarity], width: int) -> Similarity:
    return (
        np.stack([_max(rows, axis=0) for rows in groups])
        if groups
        else np.empty((0, width), np.float32)
    )


def _max(values: Similarity, axis: int) -> Similarity:
    """The maximum of what is known; NaN where nothing is."""
    highest = np.where(np.isnan(values), -np.inf, values).max(axis=axis)
    return np.asarray(np.where(np.isfinite(highest), highest, np.nan), dtype=np.float32)


def _positions(known: Sequence[str], asked: Sequence[str]) -> list[int]:
    place = {name: i for i, name in reversed(list(enumerate(known)))}  # of two cranes the first
    for name in asked:
        if name not in place:
            raise UsageError(
                f"the table of similarities does not know {name!r}; {did_you_mean(name, place)}"
            )
    return [place[name] for name in asked]

"""From the words of a query to classes: labels, short names, kinds, groups, and word vectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import av_tagger.ontology as tree
from av_tagger.collection.query import Term
from av_tagger.errors import UsageError, did_you_mean
from av_tagger.labels import audioset, dcase2017

NEAR_WORDS = 0.6  # cosine of two phrases that can mean the same
MOST_LISTED = 8  # classes in a sentence
MOST_NEAR = 3  # classes that one phrase may stand for
_BRACKETS = re.compile(r"\s*\([^)]*\)")
_WORD = re.compile(r"[^\W_]+")

Closeness = Callable[[str, list[str]], list[float]]  # a phrase and others: their cosines


@dataclass(frozen=True)
class Meaning:
    """The labels that a name stands for, and why where that is not obvious."""

    labels: tuple[str, ...]
    why: str = ""


@dataclass
class Names:
    """Finds what the names of a query mean in a collection that has the labels `present`."""

    present: Collection[str]
    closeness: Callable[[], Closeness | None] = lambda: None  # word vectors, loaded when needed
    _known: dict[tuple[str, bool], Meaning] = field(default_factory=dict)

    def meaning(self, term: Term) -> Meaning:
        """UsageError with a hint for a name that stands for no class."""
        key = (term.name, term.kinds)
        if key not in self._known:
            self._known[key] = self._find(term)
        return self._known[key]

    def _find(self, term: Term) -> Meaning:
        name = " ".join(term.name.split())
        for step in (self._by_label, self._by_group, self._by_words):
            labels, how = step(name, kinds=term.kinds)
            if labels:
                return self._told(name, labels, how, kinds=term.kinds)
        return self._by_vectors(name, term)

    def _told(self, name: str, labels: Collection[str], how: str, *, kinds: bool) -> Meaning:
        """The labels that are here; a class that only has kinds here stands for these."""
        if kinds:
            labels = {x for label in labels for x in (label, *tree.below(label))}
        here = tuple(sorted(set(labels) & set(self.present)))
        if not here and not kinds:
            here = tuple(sorted({x for n in labels for x in tree.below(n)} & set(self.present)))
            how = f"no file has the tag {_listed(labels)}, these are kinds of it" if here else how
        if not here:
            return Meaning((), f"{name}: no file has the tag {_listed(labels)}")
        same = len(here) == 1 and here[0].casefold() == name.casefold()
        told = _listed(here) + (f" ({how})" if how else "")
        return Meaning(here, "" if same else f"{name}: {told}")

    def _by_label(self, name: str, *, kinds: bool) -> tuple[set[str], str]:
        """A whole label or an AudioSet id, or one of the names that a label lists."""
        key = name.casefold()
        whole = {label for label in self.present if label.casefold() == key}
        whole |= {c.label for c in audioset() if key in (c.label.casefold(), c.id.casefold())}
        if whole:
            return whole, f"{_listed(whole)} and its kinds" if kinds else ""
        every = {*self.present, *audioset().labels}
        short = {label for label in every if key in _short_names(label)}
        here = short & set(self.present)
        return here or short, ""

    def _by_group(self, name: str, *, kinds: bool) -> tuple[set[str], str]:
        """`any warning`, `any vehicle`: groups of the 17 classes of DCASE 2017."""
        if not kinds:
            return set(), ""
        return {c.label for c in dcase2017() if c.group == name.casefold()}, "a group of DCASE 2017"

    def _by_words(self, name: str, *, kinds: bool) -> tuple[set[str], str]:
        """Labels of the collection that hold all the words."""
        del kinds
        words = _words(name)
        if not words:
            return set(), ""
        return {x for x in self.present if words <= _words(x)}, f"named with {name!r}"

    def _by_vectors(self, name: str, term: Term) -> Meaning:
        close = self.closeness()
        if close is None:
            remedy = "with word vectors other words are understood, too: av-tag weights fetch words"
            raise UsageError(f"{self._unknown(name, term)}; {remedy}")
        near = self._near(name, close)
        if not near:
            raise UsageError(f"{self._unknown(name, term)} (nor is one near by word vectors)")
        told = ", ".join(f"{label} ({cosine:.2f})" for label, cosine in near)
        return Meaning(tuple(x for x, _ in near), f"{name}: near by word vectors to {told}")

    def _near(self, name: str, close: Closeness) -> list[tuple[str, float]]:
        """The nearest labels; where some share a word with the name, only these."""
        pairs = [(short, label) for label in self.present for short in sorted(_names(label))]
        best: dict[str, float] = {}
        for (_, label), cosine in zip(pairs, close(name, [p[0] for p in pairs]), strict=True):
            best[label] = max(cosine, best.get(label, -1.0))
        near = {label: c for label, c in best.items() if c >= NEAR_WORDS}
        shared = {label: c for label, c in near.items() if _words(name) & _words(label)}
        ranked = sorted((shared or near).items(), key=lambda item: (-item[1], item[0]))
        return ranked[:MOST_NEAR]

    def _unknown(self, name: str, term: Term) -> str:
        shorts = (s for label in (*self.present, *audioset().labels) for s in _names(label))
        hint = did_you_mean(name, {*self.present, *shorts}).partition("known:")[0].strip()
        lower = {"and", "or", "not", "near"} & {word.casefold() for word in name.split()}
        if lower:
            hint = f"write {min(lower).upper()} in capital letters to join classes"
        place = f"the query, character {term.place}: " if term.place else ""
        return f"{place}there is no class {name!r}" + (f"; {hint}" if hint else "")


def _names(label: str) -> Iterator[str]:
    """The names in `Fire engine, fire truck (siren)`: all of it, and those between commas."""
    yield label
    plain = _BRACKETS.sub("", label).strip()
    yield from (part.strip() for part in plain.split(",") if part.strip())


def _short_names(label: str) -> set[str]:
    return {name.casefold() for name in _names(label)}


def _words(text: str) -> set[str]:
    """Small letters, and without the s of a plural."""
    found = (word.casefold() for word in _WORD.findall(text))
    return {w[:-1] if len(w) > 3 and w.endswith("s") and w[-2] != "s" else w for w in found}


def _listed(labels: Collection[str]) -> str:
    names = sorted(labels)
    more = len(names) - MOST_LISTED
    return "; ".join(names[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")

"""How a name becomes words: synonyms, hyphens, capitals, brackets, and words without a vector.

The rule, for the names of objects and of sounds alike:

1. The name of an object is a list of synonyms between commas ("cab, hack, taxi, taxicab"); the name
of a sound is one phrase, commas or not ("Fire engine, fire truck (siren)"). What stands in brackets
is read like the rest. 2. A word is a run of letters and digits; "R.V." is read as "rv", a
possessive 's is dropped, "_" and "/" part words. 3. A word with hyphens is looked up whole
("go-kart"), then as its parts. 4. A word is looked up in small letters, then as it is written, then
with a capital, then in capitals only. A word without a vector is left out. 5. A phrase is the mean
of its words' vectors; a phrase without any known word has no vector and no similarity.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

Known = Callable[[str], bool]

_ABBREVIATION = re.compile(r"\b(?:[^\W\d_]\.){2,}")
_POSSESSIVE = re.compile(r"['’]s?\b")
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


def synonyms(name: str) -> tuple[str, ...]:
    """The names between the commas of an object's description, first the usual one."""
    return tuple(part.strip() for part in name.split(",") if part.strip())


def tokens(phrase: str) -> tuple[str, ...]:
    """The words of a phrase as written, hyphens kept."""
    plain = _ABBREVIATION.sub(lambda match: match.group().replace(".", ""), phrase)
    return tuple(_WORD.findall(_POSSESSIVE.sub("", plain)))


def plain(phrase: str) -> str:
    """A phrase as its words alone: what two spellings of one name have in common."""
    return " ".join(tokens(phrase)).replace("-", " ").lower()


def spellings(word: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((word.lower(), word, word.capitalize(), word.upper())))


def known_words(phrase: str, known: Known) -> list[str]:
    """The words of a phrase that have a vector, in the spelling that has it."""
    return [word for token in tokens(phrase) for word in _read(token, known)]


def needed_words(phrases: Iterable[str]) -> frozenset[str]:
    """Every word that reading these phrases may look up, to be kept of a large file."""
    return frozenset(
        word for phrase in phrases for token in tokens(phrase) for word in _askable(token)
    )


def _read(token: str, known: Known) -> list[str]:
    for word in spellings(token):
        if known(word):
            return [word]
    if "-" in token:
        return [word for part in token.split("-") for word in _read(part, known)]
    return []


def _askable(token: str) -> Iterator[str]:
    yield from spellings(token)
    for part in token.split("-"):
        yield from spellings(part)

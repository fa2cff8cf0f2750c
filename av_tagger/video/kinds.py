"""The kind of an object from its dictionary definition: "a breed of large powerful hound" is a
hound.
"""

from __future__ import annotations

import re
from itertools import pairwise

from av_tagger.video.naming import plain

Words = tuple[str, ...]

KEPT = 3  # words of a definition that can name a kind: "high-speed passenger train"
_BRACKETS = re.compile(r"\([^)]*\)")
_TOKEN = re.compile(r"[\w'-]+|[,;:]")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ARTICLES = _set("a an any the one each several various numerous of either two three many")
_GROUPS = _set(
    "breed breeds type types kind kinds variety varieties form forms species group groups"
    " piece pieces pair"
)
_SINGULAR_ENDINGS = ("ss", "us", "is")
_ENDS = _set(  # words and marks behind which a definition goes on to describe its noun
    ", ; : with that which who whose where used having in on by consisting worn for from to at as"
    " of when usually especially chiefly suitable powered driven designed made noted but only"
    " resembling found native between before after without containing propelled covered able"
    " like living bred raised drawn developed typically formerly originally via and or related"
    " tracked originating"
)


def kind(definition: str) -> Words:
    """The noun that a definition starts with and up to two words before it, in the singular.

    Empty where the definition does not start with a noun phrase.
    """
    tokens = _without_group(_TOKEN.findall(_BRACKETS.sub("", definition).lower()))
    while tokens and tokens[0] in _ARTICLES:
        tokens = tokens[1:]
    end = next((i for i, token in enumerate(tokens) if token in _ENDS), len(tokens))
    phrase = tokens[:end]
    while len(phrase) > 1 and not _could_be_noun(phrase[-1]):
        phrase = phrase[:-1]
    return tuple(singular(word) for word in phrase[-KEPT:])


def singular_words(phrase: str) -> Words:
    """The words of a phrase in small letters and in the singular."""
    return tuple(singular(word) for word in plain(phrase).split())


def singular(word: str) -> str:
    """The singular of a regular English plural; other words as they are."""
    if len(word) > len("ties") and word.endswith("ies"):
        return word[:-3] + "y"
    plural = len(word) > 3 and word.endswith("s") and not word.endswith(_SINGULAR_ENDINGS)
    return word[:-1] if plural else word


def _without_group(tokens: list[str]) -> list[str]:
    """What follows "a breed of", "any of various types of" and the like."""
    for i, (token, following) in enumerate(pairwise(tokens)):
        if token in _GROUPS and following == "of":
            return tokens[i + 2 :]
        if token in _ENDS - {"of"}:
            break
    return tokens


def _could_be_noun(word: str) -> bool:
    """Not a participle ("a chair mounted"), not an adverb, not the bare word breed."""
    participle = word.endswith("ed") and len(word) > len("shed")
    return not (participle or word.endswith("ly") or word in {"breed", "breeds"})

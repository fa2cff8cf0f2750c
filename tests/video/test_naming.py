"""How names become words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from av_tagger.video.naming import known_words, needed_words, plain, synonyms, tokens

KNOWN = {
    "go-kart",
    "mini",
    "bus",
    "fire",
    "truck",
    "siren",
    "ford",
    "Model",
    "t",
    "RV",
    "car",
    "ton",
    "bicycle",
    "built",
    "for",
    "two",
}


def read(phrase: str) -> list[str]:
    return known_words(phrase, KNOWN.__contains__)


def test_commas_part_synonyms() -> None:
    assert synonyms("cab, hack, taxi, taxicab") == ("cab", "hack", "taxi", "taxicab")
    assert synonyms("ambulance") == ("ambulance",)
    assert synonyms(" a ,, b ") == ("a", "b")


@pytest.mark.parametrize(
    ("phrase", "words"),
    [
        (
            "Fire engine, fire truck (siren)",
            ["fire", "fire", "truck", "siren"],
        ),  # brackets and commas are read through
        ("go-kart", ["go-kart"]),  # whole first
        ("bicycle-built-for-two", ["bicycle", "built", "for", "two"]),  # then in parts
        ("Model T", ["Model", "t"]),  # small letters first, then as written
        ("R.V.", ["RV"]),  # an abbreviation is one word, in capitals if nothing else is known
        ("minibus", []),  # its halves are known, but no words of the name
        ("Ford's truck", ["ford", "truck"]),
        ("fire_truck/siren", ["fire", "truck", "siren"]),
        ("xylophone", []),
        ("", []),
    ],
)
def test_words_are_read_by_the_rule(phrase: str, words: list[str]) -> None:
    assert read(phrase) == words


def test_spellings_have_a_plain_form() -> None:
    assert plain("Bicycle-built-for-Two") == "bicycle built for two"
    assert tokens("A.B.C. of x-rays") == ("ABC", "of", "x-rays")


@given(
    st.lists(st.text(alphabet="abcAB-. ,'()", max_size=12), max_size=4),
    st.sets(st.text(alphabet="abcAB", min_size=1, max_size=6)),
)
def test_nothing_is_read_that_was_not_kept(phrases: list[str], vocabulary: set[str]) -> None:
    needed = needed_words(phrases)
    for phrase in phrases:
        everything = known_words(phrase, vocabulary.__contains__)
        assert known_words(phrase, (vocabulary & needed).__contains__) == everything

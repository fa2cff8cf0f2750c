"""The language of av-tag find: what binds how, and one sentence with the place of a mistake."""

from __future__ import annotations

import datetime as dt

import pytest

from av_tagger.collection.query import (
    MOST_CLASSES,
    And,
    Dated,
    Near,
    Not,
    Or,
    PathLike,
    Term,
    parse,
    terms,
)
from av_tagger.errors import UsageError

A, B, C = Term("a", place=1), Term("b", place=6), Term("c", place=12)


def test_or_binds_less_than_and_and_not_most() -> None:
    found = parse("a OR b AND NOT c")
    assert found == Or((A, And((Term("b", place=6), Not(Term("c", place=16))))))
    assert parse("(a OR b) AND c") == And(
        (Or((Term("a", place=2), Term("b", place=7))), Term("c", place=14))
    )


def test_and_may_be_left_out_before_what_cannot_be_a_name() -> None:
    assert parse("a NOT b") == And((A, Not(Term("b", place=7))))
    day = dt.date(2026, 3, 1)
    assert parse("a SINCE 2026-03-01") == And((A, Dated(day, None)))
    assert parse("UNTIL 2026-03-01") == Dated(None, day)
    assert parse("ON 2026-03-01") == Dated(day, day)
    assert parse('a PATH "x AND/*"') == And((A, PathLike("x AND/*")))


def test_names_are_words_up_to_the_next_word_of_the_language_or_quoted() -> None:
    assert parse("fire engine, fire truck AND b") == And(
        (Term("fire engine, fire truck", place=1), Term("b", place=29))
    )
    assert parse('"rock AND roll (loud)"') == Term("rock AND roll (loud)", place=1)
    assert parse("/m/03kmc9") == Term("/m/03kmc9", place=1)


def test_kinds_limits_and_near() -> None:
    assert parse("any siren") == Term("siren", kinds=True, place=1)
    assert parse("any") == Term("any", place=1)
    assert parse('"any"') == Term("any", place=1)
    assert parse("a LONGER 3 SHORTER 5s OVER .8") == Term(
        "a", longer=3, shorter=5, over=0.8, place=1
    )
    assert parse("a NEAR/2.5 b") == Near(A, Term("b", place=12), 2.5)
    assert parse("a NEAR b NEAR/1 c") == And(
        (
            Near(A, Term("b", place=8), 5.0),
            Near(Term("b", place=8), Term("c", place=17), 1.0),
        )
    )


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("a AND", "6 (the end)", "expected the name of a class"),
        ("AND a", "1 ('AND')", "expected the name of a class"),
        ("(a OR b", "1 ('(')", "this '(' is never closed"),
        ("a b)", "4 (')')", "this ')' has no '(' before it"),
        ('a "b"', "3 ('b')", "expected AND, OR or the end"),
        ('a AND "b', "7", "this quote is never closed"),
        ("a LONGER b", "10 ('b')", "no number"),
        ("a LONGER -1", "10 ('-1')", "no number"),
        ("a LONGER nan", "10 ('nan')", "no number"),
        ("a OVER 2", "3 ('OVER')", "a probability from 0 to 1"),
        ("a NEAR/x b", "3 ('NEAR/x')", "no number"),
        ("(a) NEAR b", "5 ('NEAR')", "stands after a class"),
        ("ON yesterday", "4 ('yesterday')", "write it as 2026-03-01"),
        ("PATH", "5 (the end)", "expected a part of a path"),
        ('""', "1 (the end)", "is an empty name"),
        ('" "', "1 (the end)", "is an empty name"),
        ("()", "2 (')')", "expected the name of a class"),
        ("(" * 60 + "a", "51 ('(')", "nested more than 50 levels"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(text: str, place: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith(f"the query, character {place}: ")
    assert reason in message
    assert "\n" not in message


def test_empty_and_absurd_queries() -> None:
    with pytest.raises(UsageError, match="the query is empty"):
        parse("  ")
    with pytest.raises(UsageError, match="characters; write at most"):
        parse("a" * 10_001)
    with pytest.raises(UsageError, match=f"more than {MOST_CLASSES} classes"):
        parse(" OR ".join(["a"] * (MOST_CLASSES + 1)))


def test_terms_from_left_to_right() -> None:
    found = parse("a NEAR b AND NOT c OR PATH x")
    assert [t.name for t in terms(found)] == ["a", "b", "c"]
    assert [t.name for t in terms(found, wanted_only=True)] == ["a", "b"]

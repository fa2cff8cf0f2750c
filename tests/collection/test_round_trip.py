"""Random queries: written as text they are read as the same tree, and random texts never crash."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from av_tagger.collection.query import (
    RESERVED,
    And,
    Dated,
    Near,
    Node,
    Not,
    Or,
    PathLike,
    Term,
    parse,
    terms,
)
from av_tagger.errors import UsageError

NAMES = st.text("abc ()/,.AND", min_size=1, max_size=12).filter(lambda t: t.strip() != "")
NUMBERS = st.floats(0, 1, allow_nan=False).map(lambda x: round(x, 3))
TERMS = st.builds(
    Term,
    NAMES,
    st.booleans(),
    longer=NUMBERS,
    shorter=st.none() | NUMBERS,
    over=NUMBERS,
)
DAYS = st.dates(dt.date(1970, 1, 2), dt.date(2100, 1, 1))
LEAVES = (
    TERMS
    | st.builds(Near, TERMS, TERMS, NUMBERS)
    | st.builds(PathLike, NAMES)
    | st.builds(Dated, DAYS, st.none())
    | st.builds(Dated, st.none(), DAYS)
    | DAYS.map(lambda day: Dated(day, day))
)
SEVERAL = st.integers(2, 3)


def grown(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, inner) | st.builds(And, parts) | st.builds(Or, parts)


QUERIES: st.SearchStrategy[Any] = st.recursive(LEAVES, grown, max_leaves=6)


def written(node: Node) -> str:  # noqa: PLR0911
    """A query with every parenthesis and every quote."""
    match node:
        case Term():
            return term(node)
        case Near(left, right, seconds):
            return f"{term(left)} NEAR/{seconds} {term(right)}"
        case PathLike(pattern):
            return f'PATH "{pattern}"'
        case Dated(first, None):
            return f"SINCE {first}"
        case Dated(None, last):
            return f"UNTIL {last}"
        case Dated(first, _):
            return f"ON {first}"
        case Not(inner):
            return f"NOT ({written(inner)})"
        case And(parts) | Or(parts):
            word = " AND " if isinstance(node, And) else " OR "
            return word.join(f"({written(part)})" for part in parts)


def term(one: Term) -> str:
    text = f'any "{one.name}"' if one.kinds else f'"{one.name}"'
    text += f" LONGER {one.longer} OVER {one.over}"
    return text if one.shorter is None else f"{text} SHORTER {one.shorter}"


def placeless(node: Node) -> Node:
    match node:
        case Term():
            return replace(node, place=0)
        case Near():
            return replace(
                node, left=replace(node.left, place=0), right=replace(node.right, place=0)
            )
        case Not(inner):
            return Not(placeless(inner))
        case And(parts):
            return And(tuple(placeless(part) for part in parts))
        case Or(parts):
            return Or(tuple(placeless(part) for part in parts))
        case _:
            return node


@given(QUERIES)
def test_what_is_written_is_what_is_read(query: Node) -> None:
    found = parse(written(query))
    assert placeless(found) == query
    text = written(query)
    for one in terms(found):
        at = text.index(one.name, one.place - 1)
        assert at - (one.place - 1) <= len('any "'), "the place is that of the name"


WORDS = st.sampled_from(
    [*sorted(RESERVED), "NEAR/3", "NEAR/", "any", "dog", '"', '"a b"', "(", ")", "2026-01-01", "-1"]
)


@settings(max_examples=300)
@given(st.lists(WORDS | st.text(max_size=5), max_size=12).map(" ".join))
def test_any_text_is_a_query_or_one_sentence_with_a_place(text: str) -> None:
    try:
        found = parse(text)
    except UsageError as error:
        message = str(error)
        assert "\n" not in message
        assert message.startswith(("the query, character ", "the query is empty"))
        if "character " in message:
            place = int(message.partition("character ")[2].split(" ")[0].rstrip(":"))
            assert 1 <= place <= len(text) + 1
    else:
        assert all(one.name for one in terms(found))

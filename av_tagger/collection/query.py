"""The language of `av-tag find`: words in, a tree of conditions out. Says where it is wrong.

siren AND NOT music             boolean words, in capital letters; parentheses group
any siren                       a class and all its kinds
"fire engine" LONGER 3          an event of at least 3 s; SHORTER 3: at most 3 s
siren OVER 0.8                  the tag's probability is at least 0.8
siren NEAR/5 "car horn"         events at most 5 s apart; NEAR alone: 5 s
PATH "holiday/*"                a part of the file's path; * and ? stand for any text
SINCE 2026-03-01 UNTIL 2026-03-31    by date; ON 2026-03-01: one day
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from av_tagger.errors import UsageError, in_line

USUAL_NEAR = 5.0  # seconds
DEEPEST = 50  # parentheses and NOT inside each other
MOST_CLASSES = 100
LONGEST_QUERY = 10_000  # characters
LIMITS = ("LONGER", "SHORTER", "OVER")
DATES = ("ON", "SINCE", "UNTIL")
JOINS = ("AND", "OR", "NOT", "NEAR")
RESERVED = {*LIMITS, *DATES, *JOINS, "PATH"}
GRAMMAR = "see docs/tasks/find.md, or use words such as: siren AND NOT music"
_TOKEN = re.compile(r'\s*(?:(?P<text>"(?P<inner>[^"]*)")|(?P<mark>[()])|(?P<word>[^\s()"]+))')


@dataclass(frozen=True)
class Term:
    """A class by name, with limits for its events and its probability."""

    name: str
    kinds: bool = False  # `any NAME`: the class and all its kinds
    longer: float = 0.0  # seconds, of an event
    shorter: float | None = None
    over: float = 0.0  # probability of the tag
    place: int = 0  # of the name in the query, from 1

    @property
    def of_events(self) -> bool:
        """Whether single events are meant, and not the tag alone."""
        return self.longer > 0 or self.shorter is not None


@dataclass(frozen=True)
class Near:
    """Events of two classes at most so many seconds apart."""

    left: Term
    right: Term
    seconds: float


@dataclass(frozen=True)
class PathLike:
    """A part of the path; `*` and `?` stand for any text and any character."""

    pattern: str


@dataclass(frozen=True)
class Dated:
    """Days, both included; None is open."""

    first: dt.date | None
    last: dt.date | None


@dataclass(frozen=True)
class Not:
    inner: Node


@dataclass(frozen=True)
class And:
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    parts: tuple[Node, ...]


Node = Term | Near | PathLike | Dated | Not | And | Or


def parse(text: str) -> Node:
    """The tree of a query; UsageError with the place of the first mistake."""
    if len(text) > LONGEST_QUERY:
        raise UsageError(f"the query has {len(text)} characters; write at most {LONGEST_QUERY}")
    return _Parser(text).run()


def terms(node: Node, *, wanted_only: bool = False) -> Iterator[Term]:
    """The classes that a query names, from left to right; `wanted_only`: none under a NOT."""
    match node:
        case Term():
            yield node
        case Near():
            yield from (node.left, node.right)
        case Not():
            if not wanted_only:
                yield from terms(node.inner)
        case And() | Or():
            for part in node.parts:
                yield from terms(part, wanted_only=wanted_only)
        case PathLike() | Dated():
            return


@dataclass(frozen=True)
class _Token:
    text: str
    place: int  # from 1
    quoted: bool = False

    @property
    def word(self) -> str:
        """The reserved word, with NEAR/5 as NEAR; empty for anything else."""
        name = "" if self.quoted else self.text.partition("/")[0]
        return name if name in RESERVED else ""

    @property
    def is_name(self) -> bool:
        return self.quoted or (not self.word and self.text not in ("(", ")", ""))


class _Parser:
    """Recursive descent: OR binds least, then AND, NOT, NEAR, and the limits of a class."""

    def __init__(self, text: str) -> None:
        self.tokens = [*_tokens(text), _Token("", len(text) + 1)]
        self.at = self.depth = self.count = 0

    def run(self) -> Node:
        if len(self.tokens) == 1:
            raise UsageError(f"the query is empty; {GRAMMAR}")
        found = self._either()
        if self._here.text or self._here.quoted:
            if self._here.text == ")":
                raise _wrong(self._here, "this ')' has no '(' before it")
            raise _wrong(self._here, "expected AND, OR or the end", "; quote names of two parts")
        return found

    @property
    def _here(self) -> _Token:
        return self.tokens[self.at]

    def _take(self) -> _Token:
        token = self._here
        self.at += 1
        return token

    def _either(self) -> Node:
        parts = [self._both()]
        while self._here.word == "OR":
            self._take()
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _both(self) -> Node:
        """Joined by AND; dates and paths need no AND before them."""
        parts = [self._one()]
        while self._here.word in ("AND", "NOT", "PATH", *DATES):
            if self._here.word == "AND":
                self._take()
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise _wrong(self._here, f"is nested more than {DEEPEST} levels deep")
        found = self._inner()
        self.depth -= 1
        return found

    def _inner(self) -> Node:
        token = self._here
        if token.word == "NOT":
            self._take()
            return Not(self._one())
        if token.text == "(" and not token.quoted:
            return self._group()
        if token.word == "PATH":
            self._take()
            return PathLike(self._text("a part of a path"))
        if token.word in DATES:
            return self._dated()
        return self._near()

    def _group(self) -> Node:
        opened = self._take()
        found = self._either()
        if self._here.text != ")" or self._here.quoted:
            if not self._here.text:
                raise _wrong(opened, "this '(' is never closed")
            raise _wrong(self._here, "expected AND, OR or ')'")
        self._take()
        if self._here.word in ("NEAR", *LIMITS):
            raise _wrong(self._here, f"{self._here.word} stands after a class, not after ')'")
        return found

    def _dated(self) -> Dated:
        word, token = self._take().word, self._here
        text = self._text("a date such as 2026-03-01")
        try:
            day = dt.date.fromisoformat(text)
        except ValueError:
            raise _wrong(token, "is no date", "; write it as 2026-03-01") from None
        return Dated(day if word != "UNTIL" else None, day if word != "SINCE" else None)

    def _near(self) -> Node:
        terms = [self._term()]
        found: list[Node] = []
        while self._here.word == "NEAR":
            token = self._take()
            seconds = _number(token, token.text.partition("/")[2] or str(USUAL_NEAR))
            terms.append(self._term())
            found.append(Near(terms[-2], terms[-1], seconds))
        if not found:
            return terms[0]
        return found[0] if len(found) == 1 else And(tuple(found))

    def _term(self) -> Term:
        """A class: one quoted name, or words up to the next reserved word."""
        first = self._here
        self.count += 1
        if self.count > MOST_CLASSES:
            raise _wrong(first, f"the query names more than {MOST_CLASSES} classes")
        if not first.is_name:
            raise _wrong(first, "expected the name of a class")
        any_kind = not first.quoted and first.text.casefold() == "any"
        any_kind = any_kind and self.tokens[self.at + 1].is_name
        if any_kind:
            self._take()
        term = Term(*self._name(), kinds=any_kind, place=first.place)
        while self._here.word in LIMITS:
            token = self._take()
            value = _number(self._here, self._text(f"a number after {token.word}"))
            if token.word == "OVER" and value > 1:
                raise _wrong(token, "needs a probability from 0 to 1")
            term = _limited(term, token.word, value)
        return term

    def _name(self) -> tuple[str]:
        first = self._take()
        words = [first.text]
        while not first.quoted and self._here.is_name and not self._here.quoted:
            words.append(self._take().text)
        if not " ".join(words).strip():
            raise _wrong(first, "is an empty name")
        return (" ".join(words),)

    def _text(self, expected: str) -> str:
        if not self._here.is_name:
            raise _wrong(self._here, f"expected {expected}")
        return self._take().text


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:  # all but a quote is matched
            place = text.index('"', at) + 1
            raise UsageError(f"the query, character {place}: this quote is never closed")
        kind = str(found.lastgroup).replace("inner", "text")
        quoted = kind == "text"
        content = found["inner"] if quoted else found[kind]
        yield _Token(content, found.start(kind) + 1, quoted)
        at = found.end()


def _limited(term: Term, word: str, value: float) -> Term:
    if word == "LONGER":
        return replace(term, longer=value)
    return replace(term, shorter=value) if word == "SHORTER" else replace(term, over=value)


def _number(token: _Token, text: str) -> float:
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e7:
        raise _wrong(token, "is no number of at least 0")
    return value


def _wrong(token: _Token, reason: str, remedy: str = "") -> UsageError:
    shown = in_line(token.text, 40)
    quoted = f" ({shown!r})" if shown else " (the end)"
    return UsageError(f"the query, character {token.place}{quoted}: {reason}{remedy}")

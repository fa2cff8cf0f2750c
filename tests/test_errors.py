"""Errors: one sentence, pickling, one base class."""

from __future__ import annotations

import inspect
import pickle

import pytest

from av_tagger import errors
from av_tagger.errors import (
    LONGEST_REASON,
    AvTaggerError,
    MediaError,
    TableError,
    TimedOut,
    UsageError,
    did_you_mean,
    in_line,
    sentence,
)


def test_a_sentence_has_file_reason_and_remedy() -> None:
    assert sentence("a.mp4", "is empty", "record it again") == "a.mp4: is empty; record it again"
    assert (
        str(TableError("list.csv", 3, "no tab", "four columns"))
        == "list.csv, line 3: no tab; expected four columns"
    )


def test_a_sentence_is_one_printable_line() -> None:
    assert sentence("a.wav", "broke (line\n1\x1b[31m)") == "a.wav: broke (line 1 [31m)"


@pytest.mark.parametrize(
    "error", [MediaError("a", "b", "c"), TimedOut("a", "b", "c"), TableError("a", 1, "b", "c")]
)
def test_errors_can_be_pickled(error: AvTaggerError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)


def test_one_base_class_and_distinct_kinds() -> None:
    kinds = [
        c
        for _, c in inspect.getmembers(errors, inspect.isclass)
        if issubclass(c, AvTaggerError) and c.__module__ == errors.__name__
    ]
    assert len(kinds) == 9
    assert len({c.kind for c in kinds}) == len(kinds)
    assert errors.__doc__ is not None
    assert all(c.__name__ in errors.__doc__ for c in kinds)


def test_suggestions() -> None:
    assert did_you_mean("trian", ["train", "bus"]) == "did you mean 'train'?"
    assert did_you_mean("xyz", ["train", "bus"]) == "known: bus, train"
    many = did_you_mean("xyz", [f"n{number}" for number in range(1000)])
    assert many.endswith(" and 960 more")
    assert len(many) < 500


def test_words_that_no_name_can_have_are_cut_short() -> None:
    path = "/".join(["f" * 250] * 10)
    assert str(UsageError(f"{path}: is wrong")) == f"{path}: is wrong"
    assert str(UsageError("a\x1b[31m\nb\x9b")) == "a\\x1b[31m\nb\\x9b"
    assert str(UsageError(f"there is no {'x' * 5000!r}")) == f"there is no '{'x' * 59}..."
    assert str(UsageError(f"class {'Dog bark' * 300!r} is twice")) == (
        f"class '{('Dog bark' * 8)[:59]}...' is twice"
    )


def test_words_of_others_are_one_short_line() -> None:
    assert in_line(" a\r\n\tb\x1b[31m", 100) == "a b [31m"
    assert in_line("x" * 500, 10) == "x" * 10 + "..."
    assert len(str(TableError("a.csv", 3, "x" * 5000))) < LONGEST_REASON + 50

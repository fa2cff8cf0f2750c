"""Errors: one sentence, pickling, one base class."""

from __future__ import annotations

import inspect
import pickle

import pytest

from av_tagger import errors
from av_tagger.errors import AvTaggerError, MediaError, TableError, TimedOut, did_you_mean, sentence


def test_a_sentence_has_file_reason_and_remedy() -> None:
    assert sentence("a.mp4", "is empty", "record it again") == "a.mp4: is empty; record it again"
    assert (
        str(TableError("list.csv", 3, "no tab", "four columns"))
        == "list.csv, line 3: no tab; expected four columns"
    )


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

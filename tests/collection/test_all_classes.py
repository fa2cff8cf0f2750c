"""Every class of AudioSet can be named: by label, id and each of the names between its commas."""

from __future__ import annotations

import pytest

from av_tagger.collection.names import Names, _names
from av_tagger.collection.query import Term, parse
from av_tagger.labels import audioset, dcase2017
from av_tagger.ontology import below

EVERY = Names(frozenset(audioset().labels))


def labels(text: str, *, kinds: bool = False) -> tuple[str, ...]:
    return EVERY.meaning(Term(text, kinds)).labels


def test_labels_and_ids_are_themselves() -> None:
    for one in audioset():
        assert labels(one.label) == (one.label,)
        assert one.label in labels(one.id)
        assert labels(one.label.upper()) == (one.label,)


def test_names_between_commas_find_their_class() -> None:
    for one in audioset():
        for name in _names(one.label):
            found = labels(name)
            assert one.label in found or name.casefold() in {x.casefold() for x in found}


def test_any_is_the_class_and_all_below_it() -> None:
    for one in audioset():
        assert set(labels(one.label, kinds=True)) == {one.label, *below(one.label)}


def test_every_label_can_be_quoted_in_a_query() -> None:
    for one in audioset():
        assert parse(f'"{one.label}"') == Term(one.label, place=1)


@pytest.mark.parametrize("name", sorted(c.label for c in dcase2017()))
def test_with_seventeen_classes_each_is_found_by_its_first_name(name: str) -> None:
    seventeen = Names(frozenset(dcase2017().labels))
    first = name.partition(",")[0].partition(" (")[0]
    assert name in seventeen.meaning(Term(first)).labels

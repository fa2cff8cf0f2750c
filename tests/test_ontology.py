"""The relations between AudioSet classes: complete, no cycles, and what folds under what."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from av_tagger.labels import audioset, dcase2017
from av_tagger.ontology import KINDS, SOUNDS, above, below, children, fold, relations

LABELS = audioset().labels


def test_the_table_names_audioset_classes_only() -> None:
    named = {r.parent for r in relations()} | {c for r in relations() for c in r.children}
    assert named <= set(LABELS)
    assert len(named) > 400
    assert all(len(set(r.children)) == len(r.children) for r in relations())


def test_no_class_is_below_itself() -> None:
    assert [label for label in LABELS if label in below(label)] == []


def test_no_class_is_both_a_kind_and_a_sound_of_another() -> None:
    assert [label for label in LABELS if below(label, KINDS) & below(label, SOUNDS)] == []


def test_every_class_of_dcase_has_its_place() -> None:
    assert all(above(label) for label in dcase2017().labels if label != "Screaming")
    assert "Vehicle" in above("Police car (siren)")
    assert "Siren" in above("Police car (siren)")
    assert set(children("Dog")) >= {"Bark", "Growling"}


@pytest.mark.parametrize(
    ("tags", "shown"),
    [
        (("Animal", "Domestic animals, pets", "Dog", "Bark"), {"Dog"}),
        (("Animal", "Bark"), {"Bark"}),
        (("Vehicle", "Rail transport", "Train", "Train horn"), {"Train", "Train horn"}),
        (("Siren", "Emergency vehicle", "Police car (siren)"), {"Police car (siren)"}),
        (("Bird", "Wild animals", "Chirp, tweet"), {"Bird"}),
        (("Vehicle", "Car", "Car passing by"), {"Car passing by"}),
        (("Vehicle", "Speech"), {"Vehicle", "Speech"}),
        (("a class of my own", "Dog"), {"a class of my own", "Dog"}),
        ((), set()),
    ],
)
def test_folding(tags: tuple[str, ...], shown: set[str]) -> None:
    assert fold(tags) == shown


def leads_to(label: str, shown: frozenset[str], tags: set[str]) -> bool:
    """From tag to related tag to one that is shown: Patter, a sound of Rodents; Mouse, a kind."""
    seen, waiting = {label}, [label]
    while waiting:
        one = waiting.pop()
        related = (below(one) | above(one)) & tags - seen
        if related & shown:
            return True
        seen |= related
        waiting += related
    return False


@given(st.sets(st.sampled_from(LABELS), min_size=1, max_size=12))
@example({"Rodents, rats, mice", "Patter", "Mouse"})
def test_folding_never_loses_everything_and_is_stable(tags: set[str]) -> None:
    shown = fold(tags)
    assert shown
    assert shown <= tags
    assert fold(shown) == shown
    assert all(leads_to(x, shown, tags) for x in tags - shown)

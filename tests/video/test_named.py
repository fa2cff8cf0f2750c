"""Evidence by name and kind: what counts how much."""

from __future__ import annotations

import numpy as np
import pytest

from av_tagger.video.named import Thing, forms_of, no_agreement, strengths


def agree(word: str, other: str) -> float:
    return 0.5 if (word, other) in {("bike", "machine"), ("puppy", "salamander")} else 0.0


@pytest.mark.parametrize(
    ("name", "definition", "forms", "expected"),
    [
        ("ambulance", "", ["ambulance"], 1.0),
        ("ambulances", "", ["Ambulance"], 1.0),
        ("pickup", "a light truck with an open body", ["truck"], 0.9),
        ("mountain bike", "", ["bike"], 0.5),
        ("mountain bike", "a machine with pedals", ["bike"], 0.7),
        ("cab, hack, taxi", "", ["taxi"], 0.6),
        ("axolotl, mud puppy", "a larval salamander", ["puppy"], 0.25),
        ("axolotl, mud puppy", "", ["puppy"], 0.0),
        ("railway car", "", ["car"], 0.5),
        ("railway car", "", ["car", "railway car"], 1.0),
        ("car mirror", "a mirror that a driver uses", ["car"], 0.0),
        ("four-poster", "a bed with posts", ["car", "passing"], 0.0),
        ("fire screen, fireguard", "a metal screen", ["fire engine", "fire"], 0.0),
        ("carton", "a box", ["car", "ton"], 0.0),
    ],
)
def test_by_hand(name: str, definition: str, forms: list[str], expected: float) -> None:
    found = strengths([Thing.of(name, definition)], [forms], agree)
    assert found.shape == (1, 1)
    assert found[0, 0] == pytest.approx(expected)


def test_the_longest_form_counts_whichever_class_it_belongs_to() -> None:
    things = [Thing.of("railway car"), Thing.of("sports car")]
    found = strengths(things, [["car"], ["railway car"]], no_agreement)
    np.testing.assert_allclose(found, [[0, 1], [0.5, 0]])


def test_a_name_comes_before_a_kind() -> None:
    engine = Thing.of("fire engine", "any of various large trucks that carry firemen")
    found = strengths([engine], [["fire engine"], ["truck"]], no_agreement)
    np.testing.assert_allclose(found, [[1, 0.6]])
    found = strengths([engine], [["fire truck"], ["truck"]], no_agreement)
    np.testing.assert_allclose(found, [[0, 0.9]])


def test_a_class_without_visible_form_is_no_opinion() -> None:
    found = strengths([Thing.of("car")], [["car"], (), None], no_agreement)
    assert found[0, 0] == 1
    assert np.isnan(found[0, 1:]).all()


def test_what_says_nothing_of_its_forms_is_seen_as_its_label() -> None:
    words = {"Drone": None, "Siren": (), "Train": ("train", "tram")}
    assert forms_of(["Drone", "Siren", "Train", "Boat"], words) == [
        ("Drone",),
        (),
        ("train", "tram"),
        ("Boat",),
    ]


def test_nothing_in_nothing_out() -> None:
    assert strengths([], [["car"]], no_agreement).shape == (0, 1)
    assert strengths([Thing.of("car")], [], no_agreement).shape == (1, 0)

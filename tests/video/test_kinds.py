"""The kind of an object from its definition."""

from __future__ import annotations

import pytest

from av_tagger.video.imagenet import definitions, object_names
from av_tagger.video.kinds import kind, singular, singular_words


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("a vehicle that takes people to and from hospitals", "vehicle"),
        ("a breed of large powerful hound of European origin", "large powerful hound"),
        ("any of various small truck-like vehicles", "small truck-like vehicle"),
        ("a high-speed passenger train", "high-speed passenger train"),
        ("(Middle Ages) flexible armor made of rings", "flexible armor"),
        ("a railcar where passengers ride", "railcar"),
        ("a chair mounted on rockers", "chair"),
        ("a light truck with an open body; and a tailboard", "light truck"),
        ("tall fast-moving dog breed", "tall fast-moving dog"),
        ("very long widely distributed owl", "widely distributed owl"),
        ("of the sea", "sea"),
        ("", ""),
        ("with wheels", ""),
    ],
)
def test_kinds(definition: str, expected: str) -> None:
    assert " ".join(kind(definition)) == expected


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("dogs", "dog"),
        ("lorries", "lorry"),
        ("bus", "bus"),
        ("glass", "glass"),
        ("tennis", "tennis"),
    ],
)
def test_plurals(plural: str, one: str) -> None:
    assert singular(plural) == one
    assert singular(one) == one


def test_words_of_a_phrase() -> None:
    assert singular_words("Race-cars of T.V. stars") == ("race", "car", "of", "tv", "star")


def test_most_objects_of_imagenet_have_a_kind() -> None:
    kinds = [kind(text) for text in definitions(object_names())]
    assert sum(map(bool, kinds)) > 950
    dogs = [k for k in kinds if k[-1:] in {("dog",), ("terrier",), ("hound",), ("spaniel",)}]
    assert len(dogs) > 50

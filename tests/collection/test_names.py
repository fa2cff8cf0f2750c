"""What names of a query stand for: labels, short names, kinds, groups, words, word vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.collection.names import Names
from av_tagger.collection.query import Term
from av_tagger.collection.word_closeness import word_closeness
from av_tagger.errors import UsageError
from av_tagger.labels import audioset

AMBULANCE, FIRE, POLICE = (
    "Ambulance (siren)",
    "Fire engine, fire truck (siren)",
    "Police car (siren)",
)
HERE = (AMBULANCE, FIRE, POLICE, "Air horn, truck horn", "Truck", "Dog")
NAMES = Names(HERE)


def labels(text: str, *, kinds: bool = False, names: Names = NAMES) -> tuple[str, ...]:
    return names.meaning(Term(text, kinds, place=1)).labels


def why(text: str, *, kinds: bool = False) -> str:
    return NAMES.meaning(Term(text, kinds, place=1)).why


def test_labels_ids_and_short_names_in_any_case() -> None:
    assert labels("dog") == labels("/m/0bt9lr") == ("Dog",)
    assert why("dog") == ""
    assert labels("fire truck") == labels("FIRE  engine") == (FIRE,)
    assert why("fire truck") == f"fire truck: {FIRE}"


def test_kinds_are_those_of_the_ontology() -> None:
    assert labels("siren", kinds=True) == (AMBULANCE, FIRE, POLICE)
    assert "Siren and its kinds" in why("siren", kinds=True)
    assert labels("animal", kinds=True) == ("Dog",)
    assert labels("dog", kinds=True) == ("Dog",)


def test_of_many_kinds_the_first_are_listed() -> None:
    many = Names(frozenset({*HERE, *(c.label for c in audioset())}))
    meaning = many.meaning(Term("animal", kinds=True))
    assert len(meaning.labels) > 50
    assert meaning.why.count(";") == 7
    assert f"and {len(meaning.labels) - 8} more (Animal and its kinds)" in meaning.why


def test_a_class_without_results_stands_for_its_kinds() -> None:
    assert labels("Siren") == (AMBULANCE, FIRE, POLICE)
    assert "no file has the tag Siren, these are kinds of it" in why("Siren")


def test_a_class_without_results_and_kinds_finds_nothing_and_says_so() -> None:
    assert labels("Accordion") == ()
    assert why("Accordion") == "Accordion: no file has the tag Accordion"


def test_groups_of_dcase() -> None:
    assert labels("warning", kinds=True) == ("Air horn, truck horn", AMBULANCE, FIRE, POLICE)
    assert "a group of DCASE 2017" in why("warning", kinds=True)


def test_words_of_labels() -> None:
    assert labels("horns") == ("Air horn, truck horn",)
    assert labels("police") == (POLICE,)
    assert "named with 'police'" in why("police")


def test_own_classes_come_before_words() -> None:
    own = Names(("siren of the mill", "Truck"))
    assert labels("Siren of the mill", names=own) == ("siren of the mill",)
    assert labels("mill", names=own) == ("siren of the mill",)


def near(phrase: str, others: list[str]) -> list[float]:
    known = {"fire truck": 0.76, "Truck": 0.7, "truck horn": 0.65, "Dog": 0.1}
    return [known.get(other, 0.3) for other in others]


def test_free_words_find_the_nearest_class_and_say_why() -> None:
    names = Names(HERE, lambda: near)
    meaning = names.meaning(Term("fire brigade", place=1))
    assert meaning.labels == (FIRE,), "the one that shares a word"
    assert meaning.why == f"fire brigade: near by word vectors to {FIRE} (0.76)"
    meaning = names.meaning(Term("lorry", place=1))
    assert meaning.labels == (FIRE, "Truck", "Air horn, truck horn"), "none shares one"


def test_without_word_vectors_one_sentence() -> None:
    with pytest.raises(UsageError) as caught:
        labels("fire brigade")
    message = str(caught.value)
    assert message.startswith("the query, character 1: there is no class 'fire brigade'")
    assert message.endswith("av-tag weights fetch words")


def test_misspelt_and_joined_names() -> None:
    with pytest.raises(UsageError, match="no class 'amublance'; did you mean 'Ambulance'"):
        labels("amublance")
    with pytest.raises(UsageError, match="write AND in capital letters to join classes"):
        labels("dog and truck")
    far = Names(HERE, lambda: lambda phrase, others: [0.1] * len(others))
    with pytest.raises(UsageError, match="nor is one near by word vectors"):
        labels("quixotic", names=far)


def test_real_word_vectors_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest phrase has the largest cosine; words without a vector are far from all."""
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    assert word_closeness() is None
    rows = {"fire": [1, 0, 0], "brigade": [1, 1, 0], "engine": [1, 0.5, 0], "dog": [0, 0, 1]}
    lines = (f"{word} {' '.join(map(str, row))}\n" for word, row in rows.items())
    (tmp_path / "glove.6B.300d.txt").write_text("".join(lines))
    close = word_closeness()
    assert close is not None
    cosines = close("fire brigade", ["Fire engine", "dog", "zzz"])
    assert cosines[0] > 0.9 > cosines[1]
    assert cosines[2] == -1.0
    assert np.isfinite(cosines).all()

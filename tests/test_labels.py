"""Class lists: order, ids, files, and every mistake in them."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from av_tagger.errors import UsageError
from av_tagger.labels import audioset, choose_classes, dcase2017, read_classes

RESOURCES = files("av_tagger") / "resources"


def test_the_official_order() -> None:
    labels = dcase2017().labels
    assert len(labels) == 17
    assert labels[:3] == ("Train horn", "Air horn, truck horn", "Car alarm")
    assert labels[-1] == "Train"
    assert sum(c.group == "warning" for c in dcase2017()) == 9


def test_agrees_with_the_official_list(shared: Path) -> None:
    rows = (shared / "data/dcase2017/sound_event_list_17_classes.txt").read_text().splitlines()[1:]
    assert [tuple(row.split("\t")[::2]) for row in rows] == [(c.id, c.label) for c in dcase2017()]


def test_audioset_holds_dcase() -> None:
    assert len(audioset()) == 527
    assert len(set(audioset().ids)) == 527
    assert audioset().pick([c.id for c in dcase2017()]).labels == dcase2017().labels


@pytest.mark.parametrize(
    ("choice", "labels"),
    [
        ("Siren", ("Siren",)),
        ("siren;/m/0bt9lr", ("Siren", "Dog")),
        ("Dog,Cat", ("Dog", "Cat")),
        ("Air horn, truck horn", ("Air horn, truck horn",)),
        ("Air horn, truck horn;Dog", ("Air horn, truck horn", "Dog")),
    ],
)
def test_choices(choice: str, labels: tuple[str, ...]) -> None:
    assert choose_classes(choice).labels == labels


def test_all_and_none() -> None:
    assert choose_classes("all") is audioset()
    assert choose_classes(None) is dcase2017()


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean 'Motorcycle'"):
        choose_classes("Motorcycel")


def test_any_other_name_is_a_class_of_its_own() -> None:
    drone, train = choose_classes("Drone; Train")
    assert (drone.label, drone.id, drone.words) == ("Drone", "", None)
    assert train.id


def test_the_ear_s_own_classes_are_known() -> None:
    assert choose_classes("my dog;Traine", ["My dog", "Traine"]).labels == ("My dog", "Traine")


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ("Trian", "did you mean 'Train'"),
        ("Fire engine", "did you mean 'Fire engine, fire truck (siren)'"),
        ("/m/nothing", "there is no sound class '/m/nothing'"),
        ("classes.txt", "classes.txt: there is no such file of classes"),
    ],
)
def test_mistyped_and_incomplete_names_are_refused(choice: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_classes(choice)
    assert sentence in str(caught.value)


def test_what_is_seen_is_known_of_audioset_classes_only() -> None:
    """Every line of the resource names a class, and no class is left undecided."""
    listed = tomllib.loads((RESOURCES / "visible.toml").read_text(encoding="utf-8"))
    assert set(listed) <= set(audioset().labels)
    assert not set(listed) & set(dcase2017().labels)
    assert all(words and len(set(words)) == len(words) for words in listed.values())
    assert all(c.words is not None for c in audioset())
    assert audioset().find("Speech").words == ()


def test_files(tmp_path: Path) -> None:
    text = tmp_path / "classes.txt"
    text.write_text("# mine\nTrain horn\n/m/0bt9lr\nMy own sound\n\n", encoding="utf-8-sig")
    classes = read_classes(text)
    assert classes.labels == ("Train horn", "Dog", "My own sound")
    assert classes.find("train HORN").words == ()  # it does not show
    assert "terrier" in (classes.find("Dog").words or ())
    assert classes.find("my own sound").words is None
    toml = tmp_path / "classes.toml"
    toml.write_text('[[class]]\nlabel = "Drone"\nwords = ["drone", "quadcopter"]\n')
    assert choose_classes(str(toml)).find("Drone").words == ("drone", "quadcopter")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Train\nBus\nTrain\n", "class 'Train' is in the list more than once"),
        (b"", "at least one class"),
        (b"\xff\xfe\x00\x01", "cannot be read"),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words) as caught:
        read_classes(path)
    assert str(path) in str(caught.value)


def test_a_list_of_names_may_be_longer_than_a_path() -> None:
    names = [f"a sound of my own, number {number}" for number in range(300)]
    assert choose_classes(";".join(names)).labels == tuple(names)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[class]]\nlabel = \n", "Invalid value"),
        ('[[class]]\nid = "x"', "class 1 has no label"),
        ("[[class]]\nlabel = 5", "class 1: 'label' is not text"),
        ('[[class]]\nlabel = "a"\nwords = "b"', "class 1: 'words' is not a list of texts"),
        ('[[class]]\nlabel = "a"\nalso = [1]', "class 1: 'also' is not a list of texts"),
        ("class = 5", "begin every class with"),
        ("class = [1]", "class 1 has no label"),
        ("class = " + "[" * 5000, "nested too deeply"),
    ],
    ids=str,
)
def test_bad_toml(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "classes.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words) as caught:
        read_classes(path)
    assert str(caught.value).startswith(f"{path}: ")
